package rnn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
)

// Learner keeps a network learning while another serves. Short tapes go into a
// bounded store when it is known what came of their questions; each update
// learns from the oldest that none has seen and from a random draw of all, so
// that the recent does not wipe out the rest (experience replay, Lin 1992).
//
// It may be used from several goroutines; Add never waits for an Update.
type Learner struct {
	options LearnerOptions

	store     sync.Mutex
	source    *rand.PCG
	rng       *rand.Rand
	kept      []*Tape // number i is at i modulo the capacity
	added     int
	learnt    int // the first number that no update has seen
	weight    float64
	questions int // with a weight, on the tapes kept

	work  sync.Mutex
	net   *Network
	adam  *adam
	chunk chunk
	tapes []*Tape
	lanes []lane
}

// LearnerOptions bound a learner. Zero fields take their default.
type LearnerOptions struct {
	Capacity int     // tapes kept; 4096
	Size     int     // steps and questions of a tape, at most; 64
	Batch    int     // tapes in one update, half of them new if there are; 32
	Rate     float64 // of Adam; 2e-4
	Decay    float64 // of weights, decoupled; 0.3
	Clip     float64 // largest norm of a gradient; 1
	Seed     uint64  // of the draws
}

func (o LearnerOptions) withDefaults() LearnerOptions {
	defaults(&o.Capacity, 4096)
	defaults(&o.Size, 64)
	defaults(&o.Batch, 32)
	defaults(&o.Rate, 2e-4)
	defaults(&o.Decay, 0.3)
	defaults(&o.Clip, 1)
	return o
}

func defaults[T int | float64](field *T, without T) {
	if *field <= 0 {
		*field = without
	}
}

// NewLearner returns a learner that starts from a copy of n.
func NewLearner(n *Network, o LearnerOptions) *Learner {
	n = n.Clone()
	source := rand.NewPCG(o.Seed, 0x6c6561726e)
	return &Learner{
		options: o.withDefaults(),
		source:  source,
		rng:     rand.New(source),
		net:     n,
		adam:    newAdam(n),
		chunk:   chunk{grad: newGradient(n)},
	}
}

// Network returns a copy of the network as it is now.
func (l *Learner) Network() *Network {
	l.work.Lock()
	defer l.work.Unlock()
	return l.net.Clone()
}

// Kept returns how many tapes are kept.
func (l *Learner) Kept() int {
	l.store.Lock()
	defer l.store.Unlock()
	return len(l.kept)
}

// Fresh returns how many of the tapes kept no update has learnt from.
func (l *Learner) Fresh() int {
	l.store.Lock()
	defer l.store.Unlock()
	return l.added - l.firstFresh()
}

func (l *Learner) firstFresh() int { return max(l.learnt, l.added-len(l.kept)) }

// position is where the tape lies that is the i-th oldest.
func (l *Learner) position(i int) int { return (l.added - len(l.kept) + i) % l.options.Capacity }

// Add stores a tape, which is the learner's from then on, in place of the
// oldest if the store is full. The tape holds the last few steps before its
// questions, from the state before them: one of an earlier version of the
// network will do. It returns an error of kind Invalid for a tape that does not
// fit the network or is larger than the options allow.
func (l *Learner) Add(t *Tape) error {
	l.store.Lock()
	defer l.store.Unlock()
	err := t.fits(l.net.config)
	if n := t.Steps() + t.Questions(); err == nil && n > l.options.Size {
		err = fmt.Errorf("it has %d steps and questions, at most %d", n, l.options.Size)
	}
	if err != nil {
		return invalid("keep a tape to learn from", err)
	}
	if len(l.kept) < l.options.Capacity {
		l.kept = append(l.kept, t)
	} else {
		at := l.added % l.options.Capacity
		l.count(l.kept[at], -1)
		l.kept[at] = t
	}
	l.count(t, 1)
	l.added++
	return nil
}

func (l *Learner) count(t *Tape, sign int) {
	for i := range t.asked {
		if a := &t.asked[i]; a.answered() {
			l.weight += float64(sign) * float64(a.weight)
			l.questions += sign
		}
	}
}

// Update makes one step of the optimiser and returns the loss before it, of
// the questions that it learnt from: none if nothing is kept. The cost is
// bounded by the options. It returns an error of kind Invalid, and changes
// nothing, if the loss or the gradient is not finite.
func (l *Learner) Update() (Loss, error) {
	l.work.Lock()
	defer l.work.Unlock()
	mean := l.draw()
	if len(l.tapes) == 0 || mean <= 0 {
		return Loss{}, nil
	}
	l.lanes = l.lanes[:0]
	questions := 0
	for _, t := range l.tapes {
		questions += len(t.asked)
		for i := range t.sequences {
			l.lanes = append(l.lanes, newLane(t, &t.sequences[i]))
		}
	}
	slices.SortStableFunc(l.lanes, longestFirst)
	c := &l.chunk
	c.scale = float32(1 / (mean * float64(questions)))
	c.begin(l.net, l.lanes)
	c.advance(l.options.Size)
	loss := c.loss
	err := notFinite("the loss of an update", loss.Total())
	if err == nil {
		err = descend(l.net, l.adam, c.grad, l.options.Rate, l.options.Clip, l.options.Decay)
	}
	c.loss = Loss{}
	c.grad.reset(l.net)
	return loss, err
}

// draw sets l.tapes to what the next update learns from, and returns the mean
// weight of a question.
func (l *Learner) draw() float64 {
	l.store.Lock()
	defer l.store.Unlock()
	l.tapes = l.tapes[:0]
	if len(l.kept) == 0 || l.questions == 0 {
		return 0
	}
	first := l.firstFresh()
	l.learnt = min(l.added, first+(l.options.Batch+1)/2)
	for i := first; i < l.learnt; i++ {
		l.tapes = append(l.tapes, l.kept[i%l.options.Capacity])
	}
	for len(l.tapes) < l.options.Batch {
		l.tapes = append(l.tapes, l.kept[l.position(l.rng.IntN(len(l.kept)))])
	}
	return l.weight / float64(l.questions)
}
