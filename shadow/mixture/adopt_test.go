package mixture

import (
	"fmt"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/daily"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

func TestVerdictOfATrial(t *testing.T) {
	t.Parallel()
	// Each day has 10 questions and so many that left.
	days := func(n, left int, serving, candidate float64) []trialDay {
		out := []trialDay{{At: 0}}
		for i := range n {
			out = append(out, trialDay{At: int64(i+1) * daily.Seconds, Questions: 10, Left: left, Weight: 10, Serving: serving, Candidate: candidate})
		}
		return out
	}
	for name, x := range map[string]struct {
		days      []trialDay
		over, won bool
	}{
		"nothing yet":                {days(0, 0, 0, 0), false, false},
		"too short":                  {days(6, 10, 2, 1), false, false},
		"long enough, better":        {days(7, 3, 2, 1), true, true},
		"long enough, worse":         {days(7, 3, 1, 2), true, false},
		"long enough, the same":      {days(7, 3, 1, 1), true, false},
		"too few left":               {days(27, 0, 2, 1), false, false},
		"few left for too long":      {days(28, 0, 2, 1), true, false},
		"enough left in four weeks":  {days(28, 1, 2, 1), true, true},
		"not a number is no victory": {days(7, 3, 1, nan()), true, false},
	} {
		over, won := verdict(0, x.days)
		if over != x.over || won != x.won {
			t.Errorf("%s: over %v, won %v, want %v, %v", name, over, won, x.over, x.won)
		}
	}
}

func nan() float64 { z := 0.0; return z / z }

// asking are tapes of a question each, whose answer is in its features.
func asking(n int, wrong bool) []*rnn.Tape {
	var out []*rnn.Tape
	for i := range n {
		tape := rnn.NewTape(shape(1))
		tape.Open(nil)
		q := &rnn.Question{Dense: make([]float32, shape(1).Query)}
		q.Dense[0] = float32(i%2*2 - 1)
		for k := range q.Offset {
			q.Offset[k] = -2
		}
		_, _ = tape.Ask(0, q)
		outcome := rnn.Outcome{Survived: horizons}
		if (i%2 == 1) != wrong {
			outcome = rnn.Outcome{Survived: 2, Happened: true}
		}
		_ = tape.Answer(0, outcome)
		_ = tape.Weigh(0, 1)
		out = append(out, tape)
	}
	return out
}

// taught returns a network that learnt from the tapes.
func taught(tapes []*rnn.Tape) *rnn.Network {
	l := rnn.NewLearner(New(Options{Seed: 1}).net, rnn.LearnerOptions{Seed: 1, Rate: 1e-2})
	for _, t := range tapes {
		_ = l.Add(t)
	}
	for range 60 {
		_, _ = l.Update()
	}
	return l.Network()
}

// TestWorseCandidateIsRefused lets a network that was taught the wrong answers
// stand trial, and one that was taught the right ones.
func TestWorseCandidateIsRefused(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		wrong, adopted bool
	}{"taught right": {false, true}, "taught wrong": {true, false}} {
		m := New(Options{Seed: 1})
		serving, candidate := m.net, taught(asking(128, x.wrong))
		m.begin(0)
		m.candidate = candidate
		for d := range 8 {
			at := int64(d+1) * daily.Seconds
			m.try(at, asking(20, false), 10)
			m.updateNetwork(at)
		}
		all := m.Learnt()
		if len(all) != 1 || (all[0].State == penumbra.AdoptedVersion) != x.adopted || all[0].Score.Better != x.adopted || all[0].Why == "" {
			t.Fatalf("%s: %+v", name, all)
		}
		if (m.net == candidate) != x.adopted || (m.net == serving) == x.adopted {
			t.Errorf("%s: the wrong network serves", name)
		}
		if back := m.TakeBack(all[0].Created); back != x.adopted || m.net != serving {
			t.Errorf("%s: going back %v, the first network serves again %v", name, back, m.net == serving)
		}
		if x.adopted && m.Learnt()[0].State != penumbra.TakenBackVersion {
			t.Errorf("%s: %+v", name, m.Learnt()[0])
		}
	}
}

// TestTakenBackBeforehand lets a model that is built again from its timeline
// refuse what a person went back from.
func TestTakenBackBeforehand(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	run := func(back ...time.Time) []penumbra.ModelVersion {
		m := New(Options{Seed: 1})
		for _, at := range back {
			if m.TakeBack(at) {
				t.Error("something was taken back from a model that has learnt nothing")
			}
		}
		for d := range 200 {
			for i := range 40 {
				action := "update"
				if d == 0 {
					action = "create"
				}
				if (d+i)%5 == 0 || d == 0 {
					m.Observe(&penumbra.Observation{
						Kind: penumbra.EventKind, Time: time.Unix(int64(1000+d)*daily.Seconds+3600, 0), Source: "git:0", Action: action, Type: "t",
						Resource: penumbra.Address(fmt.Sprint("s/t.a", i)),
						Settings: penumbra.NewSettings(penumbra.Setting{Path: "image", Value: penumbra.Number(float64(d))}),
					})
				}
			}
		}
		return m.Learnt()
	}
	first := run()
	for _, v := range first {
		if v.State == penumbra.AdoptedVersion {
			again := run(v.Created)
			for _, x := range again {
				if x.Created.Equal(v.Created) && x.State != penumbra.TakenBackVersion {
					t.Errorf("%+v", x)
				}
			}
			return
		}
	}
	t.Fatalf("nothing was adopted: %+v", first)
}
