package rnn

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	learnerMagic = "penumbra learner"
	pcgSize      = 20 // of a marshalled rand.PCG
)

// WriteTo writes the network, the optimiser, the tapes kept and the state of
// the draws, see format.md: a learner that reads it goes on as this one would
// have. The options are the program's and not in it.
func (l *Learner) WriteTo(out io.Writer) (int64, error) {
	l.work.Lock()
	defer l.work.Unlock()
	l.store.Lock()
	defer l.store.Unlock()
	w := &wire{}
	w.network(l.net)
	w.adam(l.adam, l.net)
	w.store(l)
	return seal(out, learnerMagic, w.data)
}

// ReadFrom replaces everything but the options by what WriteTo wrote. Of more
// tapes than the options allow the newest are kept. It returns an error of kind
// Damaged, and leaves the learner as it was, if the data is not a whole learner
// of a version that it knows.
func (l *Learner) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	size := int64(len(data))
	if err != nil {
		return size, fmt.Errorf("read learner: %w", err)
	}
	payload, err := envelope.Open(learnerMagic, checkpointVersion, data)
	w := &wire{reading: true, data: payload, err: err}
	n := &Network{}
	w.network(n)
	fresh := &Learner{options: l.options, net: n}
	if w.err == nil {
		fresh.adam = newAdam(n)
		w.adam(fresh.adam, n)
		w.store(fresh)
		w.check(w.err != nil || len(w.data) == 0, "%d bytes are left over", len(w.data))
	}
	if w.err != nil {
		return size, damaged("read the learner", "start it again from a network", w.err)
	}
	l.work.Lock()
	defer l.work.Unlock()
	l.store.Lock()
	defer l.store.Unlock()
	l.net, l.adam, l.chunk = n, fresh.adam, chunk{grad: newGradient(n)}
	l.source, l.rng = fresh.source, rand.New(fresh.source)
	l.kept, l.added, l.learnt = fresh.kept, fresh.added, fresh.learnt
	l.weight, l.questions = fresh.weight, fresh.questions
	return size, nil
}

func (w *wire) adam(a *adam, n *Network) {
	steps := uint64(a.steps)
	w.uint64(&steps)
	w.check(steps <= 1<<53, "it has made %d steps", steps)
	a.steps = int(steps)
	w.float(&a.table)
	w.check(a.table >= 0, "a second moment is negative")
	if w.reading && len(w.data) < 4*(len(a.first)+len(a.second)) {
		w.fail("it ends too soon")
		return
	}
	w.floatsOf(a.first)
	w.floatsOf(a.second)
	for _, x := range a.second {
		w.check(x >= 0, "a second moment is negative")
	}
}

// store is the tapes, oldest first, and what is drawn from them.
func (w *wire) store(l *Learner) {
	var state []byte
	if !w.reading {
		state, w.err = l.source.MarshalBinary()
		w.data = append(w.data, state...)
	} else if state = w.take(pcgSize); state != nil {
		l.source = &rand.PCG{}
		w.err = l.source.UnmarshalBinary(state)
	}
	bits := math.Float64bits(l.weight)
	w.uint64(&bits)
	l.weight = math.Float64frombits(bits)
	w.check(l.weight >= 0 && l.weight <= math.MaxFloat64, "the weight of all questions is %v", l.weight)
	fresh := uint32(l.added - l.firstFresh())
	w.uint32(&fresh)
	n := w.count(len(l.kept), 4)
	w.check(uint64(fresh) <= uint64(n), "%d of %d tapes are fresh", fresh, n)
	if !w.reading {
		for i := range n {
			w.tape(l.kept[l.position(i)])
		}
		return
	}
	stored := l.weight
	l.weight = 0
	for i := 0; i < n && w.err == nil; i++ {
		t := &Tape{}
		w.tape(t)
		if w.err != nil {
			return
		}
		if err := t.fits(l.net.config); err != nil {
			w.fail("%w", err)
			return
		}
		if n-i <= l.options.Capacity {
			l.kept = append(l.kept, t)
			l.count(t, 1)
		}
	}
	if len(l.kept) == n {
		l.weight = stored // the same sum, in the order in which it came about
	}
	l.added = len(l.kept)
	l.learnt = max(0, l.added-int(fresh))
}
