package rnn

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var small = Config{Dense: 3, Query: 4, Alternative: 2, Rows: 16, Embed: 3, Hidden: 4, Width: 5, Seed: 1}

// stirred is a network all of whose parameters are away from zero.
func stirred(t testing.TB, c Config) *Network {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(c.Seed, 5))
	for i := range n.params {
		n.params[i] += float32(0.3 * rng.NormFloat64())
	}
	return n
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func normals(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

func hashes(rng *rand.Rand, n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = rng.Uint32()
	}
	return out
}

// mixed is a tape of sequences of the given lengths with every kind of
// question, outcome and label, some before the first step.
func mixed(t testing.TB, c Config, rng *rand.Rand, lengths ...int) *Tape {
	t.Helper()
	tape := NewTape(c)
	for i, length := range lengths {
		var start []float32
		if i%2 == 1 {
			start = normals(rng, c.Hidden)
		}
		s := tape.Open(start)
		for k := range length + 1 {
			for range rng.IntN(3) {
				ask(t, tape, s, rng)
			}
			if k < length {
				if err := tape.Step(s, &Step{Dense: normals(rng, c.Dense), Tokens: hashes(rng, rng.IntN(4))}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return tape
}

func ask(t testing.TB, tape *Tape, s int, rng *rand.Rand) {
	t.Helper()
	c := tape.config
	q := Question{Dense: normals(rng, c.Query), Tokens: hashes(rng, rng.IntN(4))}
	copy(q.Offset[:], normals(rng, Horizons))
	number := must[int](t)(tape.Ask(s, &q))
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	fail(tape.Weigh(number, 0.5+rng.Float32()))
	o := Outcome{Survived: rng.IntN(Horizons), Happened: rng.IntN(2) == 0}
	fail(tape.Answer(number, o))
	if rng.IntN(2) == 0 {
		fail(tape.Size(number, float32(rng.NormFloat64())))
	}
	for head := range Head(heads) {
		if rng.IntN(2) == 0 {
			continue
		}
		alternatives := make([]Alternative, 1+rng.IntN(4))
		for i := range alternatives {
			alternatives[i] = Alternative{Dense: normals(rng, c.Alternative), Tokens: hashes(rng, rng.IntN(4)), Offset: float32(rng.NormFloat64())}
		}
		fail(tape.Choose(number, head, alternatives, rng.IntN(len(alternatives))))
	}
}

// gradientOf returns the loss of a tape and its derivatives, by chunks of a
// length.
func gradientOf(n *Network, tape *Tape, length int) (float64, *gradient) {
	c := chunk{grad: newGradient(n), scale: 1}
	var lanes []lane
	for i := range tape.sequences {
		lanes = append(lanes, newLane(tape, &tape.sequences[i]))
	}
	slices.SortStableFunc(lanes, longestFirst)
	c.begin(n, lanes)
	for c.advance(length) {
	}
	sum := 0.0
	for _, m := range c.loss.means() {
		sum += m.Sum
	}
	return sum, c.grad
}

// Each derivative is held against the central difference of the loss in double
// precision, parameter by parameter.
func TestGradient(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	tape := mixed(t, small, rand.New(rand.NewPCG(2, 2)), 7, 5, 5, 2, 0, 0)
	loss, g := gradientOf(n, tape, 8)
	r := newReference(n)
	if want := r.loss(tape); math.Abs(loss-want) > 1e-4*want {
		t.Fatalf("the loss is %v, want %v", loss, want)
	}
	groups := map[string]span{
		"input": n.at.input, "input bias": n.at.inputBias, "recurrent": n.at.recurrent, "inner bias": n.at.innerBias,
		"query": n.at.query, "query bias": n.at.queryBias, "output": n.at.output, "embedding": n.at.embedding,
	}
	for i, h := range n.at.choice {
		name := Head(i).String()
		groups[name+" question"], groups[name+" alternative"] = h.question, h.alternative
		groups[name+" bias"], groups[name+" score"] = h.bias, h.score
	}
	checked := 0
	for name, s := range groups {
		moved := 0
		for i := s.first; i < s.end(); i++ {
			const e = 1e-5
			kept := r.p[i]
			r.p[i] = kept + e
			up := r.loss(tape)
			r.p[i] = kept - e
			down := r.loss(tape)
			r.p[i] = kept
			want := (up - down) / (2 * e)
			if got := float64(g.values[i]); math.Abs(got-want) > 2e-4*(1+math.Abs(want)) {
				t.Errorf("%s, number %d: the derivative is %v, want %v", name, i-s.first, got, want)
			}
			if math.Abs(want) > 1e-2 {
				moved++
			}
			checked++
		}
		// A group that hardly matters would hide a missing term.
		if moved < s.rows*s.cols/2 {
			t.Errorf("%s: only %d of %d parameters move the loss", name, moved, s.rows*s.cols)
		}
	}
	if checked != n.Size() {
		t.Errorf("%d of %d parameters were checked", checked, n.Size())
	}
}

// Shorter chunks carry the state, so the loss stays the same; the derivative is
// cut, so it does not.
func TestChunksCarryTheState(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	tape := mixed(t, small, rand.New(rand.NewPCG(3, 2)), 23, 17, 16, 9, 4, 0)
	whole, full := gradientOf(n, tape, 64)
	for _, length := range []int{1, 2, 5, 16, 23} {
		loss, g := gradientOf(n, tape, length)
		if math.Abs(loss-whole) > 1e-5*whole {
			t.Errorf("in chunks of %d the loss is %v, whole %v", length, loss, whole)
		}
		at := n.at.recurrent
		differs := false
		for i := at.first; i < at.end(); i++ {
			differs = differs || math.Abs(float64(g.values[i]-full.values[i])) > 1e-3
		}
		if want := length < 23; differs != want {
			t.Errorf("in chunks of %d the derivative differs: %v, want %v", length, differs, want)
		}
	}
}

// What serves (Step, Ask, AskAll, Choose), what plays a tape and the reference
// give the same answers.
func TestAnswersAgree(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	rng := rand.New(rand.NewPCG(4, 2))
	lengths := make([]int, 150)
	for i := range lengths {
		lengths[i] = rng.IntN(40)
	}
	tape := mixed(t, small, rng, lengths...)
	answers := make([]*Answer, tape.Questions())
	choices := make([][heads][]float32, tape.Questions())
	err := Predict(context.Background(), n, tape, func(q int, a *Answer, choice [2][]float32) {
		copied := *a
		answers[q] = &copied
		for h, p := range choice {
			choices[q][h] = append([]float32(nil), p...)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want float32) {
		t.Helper()
		if math.Abs(float64(got-want)) > 1e-4 {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	r, x := newReference(n), &Scratch{}
	for i := range tape.sequences {
		s := &tape.sequences[i]
		h := make([]float32, small.Hidden)
		copy(h, s.start)
		slow := make([]float64, small.Hidden)
		for j := range h {
			slow[j] = float64(h[j])
		}
		next := 0
		for k := 0; k <= len(s.steps); k++ {
			for ; next < len(s.questions) && int(tape.asked[s.questions[next]].after) == k; next++ {
				number := s.questions[next]
				a := &tape.asked[number]
				q := Question{Dense: tape.questions.row(number), Tokens: tape.questions.tokensOf(number), Offset: a.offset}
				var one Answer
				n.Ask(h, &q, &one, x)
				hidden, raw := r.ask(slow, &tape.questions, number)
				wide := r.quantiles(raw[Horizons:])
				for j := range one.Hazard {
					near("hazard", one.Hazard[j], a.offset[j]+float32(raw[j]))
					near("hazard of the tape", answers[number].Hazard[j], one.Hazard[j])
				}
				fast, played := one.Quantiles(), answers[number].Quantiles()
				for j := range fast {
					near("quantile", fast[j], float32(wide[j]))
					near("quantile of the tape", played[j], fast[j])
				}
				for head := range Head(heads) {
					if a.choice[head] == 0 {
						continue
					}
					c := tape.choices[a.choice[head]-1]
					want := r.choose(hidden, head, tape, c)
					var alternatives []Alternative
					for row := c.first; row < c.first+c.n; row++ {
						alternatives = append(alternatives, Alternative{Dense: tape.alternatives.row(row), Tokens: tape.alternatives.tokensOf(row), Offset: tape.scores[row]})
					}
					out := make([]float32, len(alternatives))
					n.Choose(h, &q, head, alternatives, out, x)
					for j := range out {
						near("choice", out[j], float32(want[j]))
						near("choice of the tape", choices[number][head][j], out[j])
					}
				}
			}
			if k < len(s.steps) {
				step := s.steps[k]
				n.Step(h, &Step{Dense: tape.steps.row(step), Tokens: tape.steps.tokensOf(step)}, x)
				slow = r.step(slow, &tape.steps, step)
			}
		}
		if next != len(s.questions) {
			t.Fatalf("sequence %d: %d of %d questions were asked", i, next, len(s.questions))
		}
	}
}

func TestAskAllIsAskForEach(t *testing.T) {
	t.Parallel()
	n := stirred(t, small)
	rng := rand.New(rand.NewPCG(6, 2))
	state := normals(rng, small.Hidden)
	for _, count := range []int{0, 1, 63, 64, 65, 200} {
		questions := make([]Question, count)
		for i := range questions {
			questions[i] = Question{Dense: normals(rng, small.Query), Tokens: hashes(rng, rng.IntN(5))}
			copy(questions[i].Offset[:], normals(rng, Horizons))
		}
		out := make([]Answer, count)
		n.AskAll(state, questions, out, &Scratch{})
		for i := range questions {
			var want Answer
			n.Ask(state, &questions[i], &want, &Scratch{})
			for k := range want.Hazard {
				if math.Abs(float64(out[i].Hazard[k]-want.Hazard[k])) > 1e-5 {
					t.Fatalf("question %d of %d: hazard %v, want %v", i, count, out[i].Hazard, want.Hazard)
				}
			}
		}
	}
}

func TestExp(t *testing.T) {
	t.Parallel()
	for x := -86.5; x < 87; x += 0.00137 {
		got, want := float64(exp(float32(x))), math.Exp(float64(float32(x)))
		if math.Abs(got/want-1) > 3e-7 {
			t.Fatalf("exp(%v) is %v, want %v", x, got, want)
		}
	}
	if x := exp(float32(math.NaN())); x == x {
		t.Errorf("exp(NaN) is %v", x)
	}
	if low, high := sigmoid(-1000), sigmoid(1000); low > 1e-30 || high != 1 {
		t.Errorf("sigmoid of -1000 and 1000 is %v and %v", low, high)
	}
}
