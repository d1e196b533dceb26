package conformal_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/conformal"
	"pgregory.net/rapid"
)

// stream draws scores whose distribution moves: a model that is too sure of
// itself at first, then too careful, with bursts.
func stream(seed uint64, n int) func(i int) conformal.Outcome {
	r := rand.New(rand.NewPCG(seed, 7))
	return func(i int) conformal.Outcome {
		phase := 2 * math.Pi * float64(i) / float64(n)
		score := math.Pow(r.Float64(), math.Exp(1.2*math.Sin(3*phase))*(1-0.5*float64(i%2)))
		return conformal.Outcome{Group: conformal.Group{Name: fmt.Sprint("c", i%2), Parent: "p"}, Low: score, High: score}
	}
}

func TestCoversADriftingStream(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		const n = 30000
		next := stream(seed, n)
		c := conformal.New(conformal.Options{})
		confidences := [...]float64{0.9, 0.95, 0.97, 0.99}
		var held [len(confidences)][2]float64
		var tenth, worst [len(confidences)]float64
		for k := range worst {
			worst[k] = 1
		}
		for i := range n {
			o := next(i)
			for k, confidence := range confidences {
				if o.Low < c.Level(o.Group, confidence) {
					held[k][i%2]++
					tenth[k]++
				}
				if i%(n/10) == n/10-1 {
					worst[k] = min(worst[k], tenth[k]/(n/10))
					tenth[k] = 0
				}
			}
			c.Learn([]conformal.Outcome{o})
		}
		for k, confidence := range confidences {
			for g, x := range held[k] {
				if got := x / (n / 2); math.Abs(got-confidence) > 0.01 {
					t.Errorf("seed %d, group %d: covers %.4f at %v", seed, g, got, confidence)
				}
			}
			if worst[k] < confidence-0.04 {
				t.Errorf("seed %d: covers %.4f in the worst tenth at %v", seed, worst[k], confidence)
			}
		}
	}
}

// TestSmoothedScores is of a model that gives the value that stays 0.9 where
// 0.97 of them do.
func TestSmoothedScores(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	c := conformal.New(conformal.Options{})
	g := conformal.Group{Name: "g"}
	for range 5000 {
		o := conformal.Outcome{Group: g, Low: 0, High: 0.9}
		if r.Float64() > 0.97 {
			o.Low, o.High = 0.9, 1
		}
		c.Learn([]conformal.Outcome{o})
	}
	s := c.Scale(g)
	if got := s.Mass(0.9); math.Abs(got-0.97) > 0.015 {
		t.Errorf("the mass of what stays is %v", got)
	}
}

func TestLevelsRise(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := conformal.New(conformal.Options{Life: rapid.Float64Range(5, 500).Draw(t, "life"), Rate: 0.05})
		for range rapid.IntRange(0, 30).Draw(t, "batches") {
			var batch []conformal.Outcome
			for range rapid.IntRange(1, 20).Draw(t, "outcomes") {
				low := rapid.Float64Range(0, 1).Draw(t, "low")
				batch = append(batch, conformal.Outcome{
					Group: conformal.Group{Name: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "group"), Parent: "p"},
					Low:   low, High: rapid.Float64Range(low, 1).Draw(t, "high"),
				})
			}
			c.Learn(batch)
		}
		for _, name := range []string{"a", "b", "new"} {
			s := c.Scale(conformal.Group{Name: name, Parent: "p"})
			level, mass := 0.0, 0.0
			for i := 1; i < 200; i++ {
				x := float64(i) / 200
				l, m := s.Level(x), s.Mass(x)
				if !(l >= level && l <= 1) || !(m >= mass-1e-6 && m <= 1) {
					t.Fatalf("level %v after %v, mass %v after %v at %v", l, level, m, mass, x)
				}
				level, mass = l, m
			}
		}
	})
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	a := conformal.New(conformal.Options{Life: 300})
	next := stream(1, 1000)
	for i := range 1000 {
		a.Learn([]conformal.Outcome{next(i)})
	}
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	b := conformal.New(conformal.Options{})
	if err := b.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	g := conformal.Group{Name: "c1", Parent: "p"}
	for i := range 100 {
		o := []conformal.Outcome{next(i)}
		a.Learn(o)
		b.Learn(o)
		if x, y := a.Level(g, 0.97), b.Level(g, 0.97); x != y {
			t.Fatalf("%v and %v", x, y)
		}
	}
	before, _ := b.MarshalBinary()
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if err := b.UnmarshalBinary(bad); penumbra.KindOf(err) != penumbra.Damaged {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if after, _ := b.MarshalBinary(); !bytes.Equal(before, after) {
		t.Error("a refused checkpoint changed the state")
	}
}
