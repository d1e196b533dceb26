package rnn

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// follow is a tape of one step and one question: it happens at once if the
// token is the one that counts.
func follow(t testing.TB, counts uint32, rng *rand.Rand) *Tape {
	t.Helper()
	tape := NewTape(toy)
	s := tape.Open(normals(rng, toy.Hidden))
	tokens := []uint32{Token("state", "up"), Token("state", "down")}
	is := tokens[rng.IntN(2)]
	record(t, tape.Step(s, &Step{Dense: normals(rng, 2), Tokens: []uint32{is}}))
	number := must[int](t)(tape.Ask(s, &Question{Dense: normals(rng, 2)}))
	o := Outcome{Survived: 1}
	if is == counts {
		o = Outcome{Happened: true}
	}
	record(t, tape.Answer(number, o))
	return tape
}

func lossOn(t testing.TB, n *Network, tapes []*Tape) float64 {
	t.Helper()
	var sum Loss
	for _, tape := range tapes {
		l := must[Loss](t)(Evaluate(context.Background(), n, tape))
		sum.add(&l)
	}
	return sum.Total()
}

func TestLearnerLearnsAndFollows(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 3))
	given := must[*Network](t)(New(toy))
	l := NewLearner(given, LearnerOptions{Capacity: 200, Rate: 1e-2})
	before := slices.Clone(given.params)
	// What counts turns round halfway: the store forgets, and so does the network.
	for _, counts := range []uint32{Token("state", "up"), Token("state", "down")} {
		var test []*Tape
		for range 100 {
			test = append(test, follow(t, counts, rng))
		}
		for range 3000 {
			record(t, l.Add(follow(t, counts, rng)))
			if l.Fresh() >= 16 {
				must[Loss](t)(l.Update())
			}
		}
		if loss := lossOn(t, l.Network(), test); loss > 0.05 {
			t.Errorf("the loss is %v", loss)
		}
	}
	if l.Kept() != 200 {
		t.Errorf("%d tapes are kept, at most 200", l.Kept())
	}
	if !slices.Equal(given.params, before) {
		t.Error("the network that was given changed")
	}
}

func TestLearnerDrawsEachOnce(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 3))
	l := NewLearner(must[*Network](t)(New(toy)), LearnerOptions{Capacity: 10, Batch: 8})
	if loss := must[Loss](t)(l.Update()); loss != (Loss{}) {
		t.Errorf("of nothing it learnt %v", loss)
	}
	for range 25 {
		record(t, l.Add(follow(t, 0, rng)))
	}
	for _, want := range []int{10, 6, 2, 0, 0} {
		if got := l.Fresh(); got != want {
			t.Errorf("%d tapes are fresh, want %d", got, want)
		}
		if loss := must[Loss](t)(l.Update()); loss.Hazard.Weight != 8 {
			t.Errorf("an update learnt from %v questions, want 8", loss.Hazard.Weight)
		}
	}
}

func TestLearnerIsDeterministic(t *testing.T) {
	t.Parallel()
	learn := func(seed uint64) []float32 {
		rng := rand.New(rand.NewPCG(3, 3))
		l := NewLearner(stirred(t, small), LearnerOptions{Seed: seed, Capacity: 30})
		for i := range 60 {
			record(t, l.Add(mixed(t, small, rng, 5, 1, 3)))
			if i%5 == 0 {
				must[Loss](t)(l.Update())
			}
		}
		return l.Network().params
	}
	if !slices.Equal(learn(1), learn(1)) {
		t.Error("the same seed gives other parameters")
	}
	if slices.Equal(learn(1), learn(2)) {
		t.Error("another seed gives the same parameters")
	}
}

func TestLearnerRefuses(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 3))
	l := NewLearner(must[*Network](t)(New(toy)), LearnerOptions{Size: 10})
	state := NewTape(toy)
	state.Open([]float32{1})
	extreme := NewTape(toy)
	number := must[int](t)(extreme.Ask(extreme.Open(nil), &Question{Dense: []float32{1e30, 1e30}}))
	record(t, extreme.Answer(number, Outcome{Happened: true}))
	long := NewTape(toy)
	s := long.Open(nil)
	for range 11 {
		record(t, long.Step(s, &Step{Dense: []float32{0, 0}}))
	}
	for name, tape := range map[string]*Tape{"another shape": mixed(t, small, rng, 1), "another state": state, "a long tape": long} {
		if err := l.Add(tape); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if l.Kept() != 0 {
		t.Errorf("%d tapes are kept", l.Kept())
	}
	record(t, l.Add(extreme))
	before := l.Network()
	if _, err := l.Update(); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("an infinite gradient: the error is %v", err)
	}
	if !slices.Equal(l.Network().params, before.params) {
		t.Error("an infinite gradient changed the network")
	}
}

// For the race detector: adding, updating and looking at the same time.
func TestLearnerSideBySide(t *testing.T) {
	t.Parallel()
	l := NewLearner(must[*Network](t)(New(toy)), LearnerOptions{Capacity: 20})
	var wait sync.WaitGroup
	for i := range 3 {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 3))
			for range 50 {
				if err := l.Add(follow(t, 0, rng)); err != nil {
					t.Error(err)
				}
				if _, err := l.Update(); err != nil {
					t.Error(err)
				}
				_ = l.Fresh() + l.Kept() + l.Network().Size()
			}
		})
	}
	wait.Wait()
}
