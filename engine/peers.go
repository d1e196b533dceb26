package engine

import (
	"context"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// peersAtOnce is how many peers of what drifted are judged before an ingest is
	// answered. In a large fleet something drifts with every batch, and its peers are
	// many times the batch.
	peersAtOnce = 1000
	// peersRest is how long it is waited at the least between two looks at peers that
	// were put off, and peersShare the part of the time that the looks take at the most.
	peersRest  = time.Second
	peersShare = 0.1
)

// fleet is the resources of a type in a stack.
type fleet struct{ stack, kind string }

// peers are the fleets whose forecasts have moved, and that nobody has judged since.
type peers struct {
	mu    sync.Mutex
	due   map[fleet]time.Time // as of when they are to be judged
	woken chan struct{}       // has one if there are some
}

func newPeers() *peers {
	return &peers{due: map[fleet]time.Time{}, woken: make(chan struct{}, 1)}
}

// putOff notes fleets down. However often one is put off, it is judged once.
func (p *peers) putOff(stacks, kinds map[string]bool, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for stack := range stacks {
		for kind := range kinds {
			x := fleet{stack, kind}
			p.due[x] = later(p.due[x], at)
		}
	}
	select {
	case p.woken <- struct{}{}:
	default:
	}
}

// take returns the fleets put off, and forgets them.
func (p *peers) take() map[fleet]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.due
	p.due = map[fleet]time.Time{}
	return due
}

// lookAtPeers judges what was put off until ctx ends.
func (e *Engine) lookAtPeers(ctx context.Context) error {
	return atMost(ctx, e.peers.woken, peersRest, peersShare, func() {
		if err := e.publish(ctx, e.judgePeers()); err != nil && ctx.Err() == nil {
			e.log.Error("drifts of the peers of what drifted could not be stored; the next look finds them again", "error", err)
		}
	})
}

// judgePeers judges the fleets that were put off.
func (e *Engine) judgePeers() []penumbra.Drift {
	due := e.peers.take()
	if len(due) == 0 {
		return nil
	}
	var again []penumbra.Address
	for x := range due {
		again = append(again, e.catalogue.Of(x.stack, map[string]bool{x.kind: true})...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.judgeAll(again, func(r *tracked) time.Time { return later(due[fleet{r.Address.Stack(), r.Type}], r.last) })
}
