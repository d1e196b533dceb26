package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/telemetry"
)

// serveNode runs the daemon as one of several nodes until ctx ends: it answers all the
// time, and works while it leads.
func (a *app) serveNode(ctx context.Context, c *wire.Config, o wire.Options, listener net.Listener, ready func(loop *wire.Loop, url, token string)) error {
	nodes, err := c.Join(ctx, o)
	if err != nil {
		return err
	}
	defer nodes.Close()
	client, err := c.HTTPClient(false)
	if err != nil {
		return err
	}
	if t, ok := client.Transport.(*http.Transport); ok {
		t.MaxIdleConnsPerHost = 100 // as many as in all: there is one leader
	}
	url := c.LocalURL(listener.Addr())
	withdraw, err := console.AnnounceDaemon(c.DataDir(), url)
	if err != nil {
		return err
	}
	defer withdraw()
	f := &shared{listener: listener}
	forward := newForwarder(c.Node.Name, f.lead, nodes.ForwardingKey, client.Transport, o.Log)
	standby := http.NewServeMux()
	standby.Handle("GET /healthz", api.Local(telemetry.Healthy()))
	standby.Handle("GET /readyz", api.Local(telemetry.Ready(forward.ready)))
	standby.Handle("/", forward)
	f.standby = api.Hosts(c.Hosts, standby)

	g, running := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // until this node leads no more
	g.Go(func() error { return alone{listener, o.Log}.serve(serving, f) })
	g.Go(func() error { return nodes.Read(running) })
	told := false
	g.Go(func() error {
		nodes.Follow(running, func(t postgres.Term) {
			forward.leads(t)
			if !told && t.Number > 0 && t.Node.Name != c.Node.Name {
				token, err := nodes.Token()
				if told = err == nil; told {
					fmt.Fprintf(a.Out, "Node %s stands by for %s. The page: %s/?token=%s\n", c.Node.Name, t.Node.Name, url, token)
				}
			}
			if t.Number > 0 && t.Node.Name != c.Node.Name {
				o.Log.Info("this node stands by", "node", c.Node.Name, "leader", t.Node.Name, "term", t.Number)
			}
		})
		return nil
	})
	g.Go(func() error {
		defer stop()
		fmt.Fprintf(a.Out, "Node %s answers at %s, and leads when it is its turn.\n", c.Node.Name, url)
		for running.Err() == nil {
			turn, err := nodes.Lead(running)
			if err != nil {
				return nil // running has ended
			}
			if err := a.turn(running, c, o, nodes, turn, f, ready); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

// again is how long a node waits that could not lead before it stands again, so that
// another one may.
const again = 2 * time.Second

// turn leads for a term. It returns an error only if this node can lead no more.
func (a *app) turn(ctx context.Context, c *wire.Config, o wire.Options, nodes *wire.Nodes, turn wire.Turn, f front, ready func(loop *wire.Loop, url, token string)) error {
	log := o.Log.With("node", c.Node.Name, "term", turn.Term.Number)
	began := time.Now()
	leading, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	kept := make(chan error, 1)
	// The term lasts until everything is closed: a run that is being applied is finished.
	keeping, release := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		err := nodes.Keep(keeping, turn.Term)
		lose(err)
		kept <- err
	}()
	err := nodes.Ready(leading)
	if err == nil {
		o.Turn = &turn
		err = a.work(leading, c, o, f, func(loop *wire.Loop, url, token string) {
			log.Info("this node leads", "after", time.Since(began).Round(time.Millisecond).String())
			ready(loop, url, token)
		})
	}
	release()
	lost := <-kept
	if lost == nil {
		resigning, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRequests)
		defer cancel()
		lost = nodes.Resign(resigning, turn.Term)
	}
	switch {
	case ctx.Err() != nil:
		return err
	case err == nil && lost == nil:
		return nil
	case lost == nil && !penumbra.KindOf(err).Retry():
		return err
	}
	log.Warn("this node leads no longer", "error", errors.Join(lost, err))
	select {
	case <-ctx.Done():
	case <-time.After(again):
	}
	return nil
}
