package logkeys

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// request draws a normal session: two writes in either order, reads between, and
// a close. One in fifty is retried.
func request(r *rand.Rand) []string {
	s := []string{"open"}
	if r.IntN(2) == 0 {
		s = append(s, "write a", "write b")
	} else {
		s = append(s, "write b", "write a")
	}
	for range 1 + r.IntN(3) {
		s = append(s, "read")
	}
	if r.IntN(50) == 0 {
		s = append(s, "retry", "read")
	}
	return append(s, "close")
}

func learnt(t testing.TB, n int, o Options) (*Model[string], *rand.Rand) {
	t.Helper()
	m, r := New[string](o), rand.New(rand.NewPCG(7, 1))
	for range n {
		m.Learn(request(r))
	}
	return m, r
}

func TestAnomaliesAreFoundAndNamed(t *testing.T) {
	t.Parallel()
	m, _ := learnt(t, 1500, Options{})
	for _, c := range []struct {
		name, session string
		kinds         []EventKind
		says          string
	}{
		{"a key never seen", "open,write a,write b,panic,close", []EventKind{Transition, Count}, "panic"},
		{"an end too early", "open,write a", []EventKind{Ending, Count}, ""},
		{"a key twice", "open,write a,write a,write b,read,close", []EventKind{Transition, Excess, Count}, "write a"},
		{"a key left out", "open,write b,read,close", []EventKind{Transition, Count}, ""},
		{"a wrong order", "write a,open,write b,read,close", []EventKind{Transition}, "write a"},
		{"a loop", "open,write a,write b" + strings.Repeat(",read", 40) + ",close", []EventKind{Transition, Excess, Length, Count}, ""},
		{"nothing at all", "", []EventKind{Ending, Count}, ""},
	} {
		var session []string
		if c.session != "" {
			session = strings.Split(c.session, ",")
		}
		got := m.Score(session)
		if got.P > 0.01 || !slices.Contains(c.kinds, got.Worst.Kind) || !strings.Contains(got.Worst.String(), c.says) {
			t.Errorf("%s: p %.4f, %v: %v", c.name, got.P, got.Worst.Kind, got.Worst)
		}
	}
	if got := m.Score(strings.Split("open,write b,write a,read,read,close", ",")); got.P < 0.05 {
		t.Errorf("a usual session has p %.4f: %v", got.P, got.Worst)
	}
}

// TestExpectedInstead asks for what was due at the surprising place.
func TestExpectedInstead(t *testing.T) {
	t.Parallel()
	m, _ := learnt(t, 1500, Options{})
	s := m.Start()
	s.Next("open")
	got := s.Next("close")
	if got.P > 0.01 || got.Worst.Kind != Transition || got.Worst.Key != "close" || got.Worst.At != 1 {
		t.Fatalf("p %.4f, %+v", got.P, got.Worst)
	}
	x := got.Worst.Expected
	if len(x) < 2 || !strings.HasPrefix(x[0].Key, "write") || !strings.HasPrefix(x[1].Key, "write") || math.Abs(x[0].Probability-0.5) > 0.1 {
		t.Errorf("expected instead: %+v", x)
	}
}

// TestFalseAlarms counts them on sessions that are as those learnt.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	m, r := learnt(t, 3000, Options{})
	const n = 4000
	for _, rate := range []float64{0.01, 0.05} {
		alarms := 0
		for range n {
			if m.Score(request(r)).P <= rate {
				alarms++
			}
		}
		// The calibration itself is a draw of 2,048.
		if most := rate*n + 4*math.Sqrt(rate*n*(1+n/2048.0)); float64(alarms) > most {
			t.Errorf("%d alarms of %d at %g, %.0f are allowed", alarms, n, rate, most)
		}
	}
}

func TestKnowsNothingYet(t *testing.T) {
	t.Parallel()
	m := New[uint32](Options{})
	if got := m.Score([]uint32{1, 2, 3}); got.P != 1 || got.Worst.Kind != None {
		t.Errorf("without sessions: %+v", got)
	}
	for range 30 {
		m.Learn([]uint32{1, 2})
	}
	m.Learn(nil)
	if got := m.Score([]uint32{9}); got.P < 1.0/30 || m.Sessions() != 30 {
		t.Errorf("after %d sessions p is %g", m.Sessions(), got.P)
	}
}

// TestPNeverRises holds the promise that an alarm stands.
func TestPNeverRises(t *testing.T) {
	t.Parallel()
	m, _ := learnt(t, 600, Options{})
	keys := append(slices.Clone(m.keys), "other")
	rapid.Check(t, func(t *rapid.T) {
		s, last := m.Start(), 1.0
		for _, k := range rapid.SliceOfN(rapid.SampledFrom(keys), 0, 60).Draw(t, "session") {
			got := s.Next(k)
			if got.P > last || got.P <= 0 {
				t.Fatalf("p went from %g to %g", last, got.P)
			}
			last = got.P
		}
		got := s.End()
		if got.P > last || s.Next("open").P != got.P {
			t.Fatalf("p went from %g to %g, then %g", last, got.P, s.Next("open").P)
		}
	})
}

// TestProbabilitiesSumToOne over all that may follow and something new.
func TestProbabilitiesSumToOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tree := newTree(3, rapid.SampledFrom([]int{20, 1 << 20}).Draw(t, "limit"))
		symbols := rapid.Uint32Range(1, 5)
		history := []uint32{begin}
		for _, s := range rapid.SliceOfN(symbols, 1, 200).Draw(t, "text") {
			tree.learn(tree.contexts(nil, history), s)
			history = push(history, s, 3)
		}
		contexts := tree.contexts(nil, rapid.SliceOfN(symbols, 0, 5).Draw(t, "history"))
		sum := tree.probability(contexts, novel)
		if sum <= 0 {
			t.Fatalf("something new is impossible")
		}
		for s := range uint32(5) {
			if i, ok := tree.nodes[contexts[0]].find(s + 1); ok && i >= 0 {
				sum += tree.probability(contexts, s+1)
			}
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("the probabilities sum to %v", sum)
		}
	})
}

// TestMemoryIsBounded learns far more than there is room for.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m, r := New[uint32](Options{Contexts: 2000, Keys: 50, Calibration: 100}), rand.New(rand.NewPCG(3, 3))
	for range 1500 {
		s := []uint32{1, 2, 3}
		for range 5 {
			s = append(s, 10+r.Uint32N(1000))
		}
		m.Learn(s)
	}
	if m.order.entries > 2000 || m.content.entries > 2000 || m.Keys() != 50 || len(m.last) != 100 {
		t.Errorf("%d and %d entries, %d keys, %d sessions", m.order.entries, m.content.entries, m.Keys(), len(m.last))
	}
	if p := m.order.probability(m.order.contexts(nil, []uint32{begin, m.numbers[1]}), m.numbers[2]); p < 0.9 {
		t.Errorf("what always follows was forgotten: %v", p)
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	last := uint32(0)
	for n := range uint32(1 << 16) {
		b := bucket(n)
		if b != last && b != last+1 || least(b) > int(n) || least(b+1) <= int(n) && n > 7 {
			t.Fatalf("%d is in bucket %d from %d on", n, b, least(b))
		}
		last = b
	}
	if b := bucket(maxCount); b >= 1<<bucketBits {
		t.Errorf("bucket %d", b)
	}
}

func BenchmarkNext(b *testing.B) {
	m, r := learnt(b, 3000, Options{})
	session := request(r)
	s := m.Start()
	for i := 0; b.Loop(); i++ {
		if i%len(session) == 0 {
			s = m.Start()
		}
		s.Next(session[i%len(session)])
	}
}

func BenchmarkLearn(b *testing.B) {
	m, r := learnt(b, 3000, Options{})
	session, keys := request(r), 0
	for b.Loop() {
		m.Learn(session)
		keys += len(session)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(keys), "ns/key")
}

func Example() {
	m := New[string](Options{})
	for range 500 {
		m.Learn([]string{"allocate", "receive", "receive", "stored"})
	}
	s := m.Start()
	s.Next("allocate")
	got := s.Next("stored")
	fmt.Printf("%.3f: %v after %d, %v expected\n", got.P, got.Worst.Key, got.Worst.At, got.Worst.Expected[0].Key)
	// Output: 0.004: stored after 1, receive expected
}
