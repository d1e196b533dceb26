package rnn

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

var toy = Config{Dense: 2, Query: 2, Alternative: 1, Rows: 64, Embed: 8, Hidden: 16, Width: 16, Seed: 7}

func record(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory is a tape on which a change comes soon if and only if the two tokens
// that were shown first differ, some steps of noise ago: nothing in the question
// or in the last steps tells.
func memory(t testing.TB, sequences, gap int, rng *rand.Rand) (*Tape, []bool) {
	t.Helper()
	tape := NewTape(toy)
	tokens := []uint32{Token("trigger", "a"), Token("trigger", "b")}
	noise := []uint32{Token("noise", "x"), Token("noise", "y"), Token("noise", "z")}
	var truth []bool
	for range sequences {
		s := tape.Open(nil)
		first, second := rng.IntN(2), rng.IntN(2)
		for _, k := range []int{first, second} {
			record(t, tape.Step(s, &Step{Dense: normals(rng, 2), Tokens: tokens[k : k+1]}))
		}
		for range gap + rng.IntN(3) {
			k := rng.IntN(3)
			record(t, tape.Step(s, &Step{Dense: normals(rng, 2), Tokens: noise[k : k+1]}))
		}
		q := Question{Dense: normals(rng, 2), Offset: [Horizons]float32{}}
		number := must[int](t)(tape.Ask(s, &q))
		soon := first != second
		o := Outcome{Survived: 2}
		if soon {
			o = Outcome{Survived: 1, Happened: true}
		}
		record(t, tape.Answer(number, o))
		truth = append(truth, soon)
	}
	return tape, truth
}

func TestLearnsWhatNeedsMemory(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 9))
	train, _ := memory(t, 1500, 6, rng)
	test, truth := memory(t, 500, 6, rng)
	n := must[*Network](t)(New(toy))
	_, err := Train(context.Background(), n, train, nil, Options{Epochs: 60, Rate: 1e-2, Chunk: 16})
	record(t, err)
	before, after := must[Loss](t)(Evaluate(context.Background(), must[*Network](t)(New(toy)), test)), must[Loss](t)(Evaluate(context.Background(), n, test))
	// Even odds for two intervals is 2 ln 2; who knows loses nothing.
	if b := before.Hazard.Mean(); math.Abs(b-2*math.Ln2) > 1e-6 {
		t.Errorf("untrained the loss is %v, the offset's is %v", b, 2*math.Ln2)
	}
	if after.Hazard.Mean() > 0.1 {
		t.Errorf("trained the loss is %v", after.Hazard.Mean())
	}
	right := 0
	record(t, Predict(context.Background(), n, test, func(q int, a *Answer, _ [2][]float32) {
		if (a.Within()[1] > 0.5) == truth[q] {
			right++
		}
	}))
	if right < 490 {
		t.Errorf("%d of %d are right", right, len(truth))
	}
}

// known is a tape whose hazards follow from the question's numbers through a
// logistic regression, censored at random; the offsets know nothing of it.
func known(t testing.TB, questions int, rng *rand.Rand) (*Tape, [][Horizons]float64) {
	t.Helper()
	tape := NewTape(toy)
	var rates [][Horizons]float64
	s := tape.Open(nil)
	for range questions {
		x := normals(rng, 2)
		q := Question{Dense: x}
		var p [Horizons]float64
		o, open := Outcome{}, true
		censored := 1 + rng.IntN(Horizons)
		for k := range Horizons {
			q.Offset[k] = -3
			p[k] = logistic(-2 + 1.2*float64(x[0]) - 0.4*float64(k)*float64(x[1]))
			if !open || k >= censored {
				continue
			}
			if rng.Float64() < p[k] {
				o.Happened, open = true, false
			} else {
				o.Survived++
			}
		}
		number := must[int](t)(tape.Ask(s, &q))
		record(t, tape.Answer(number, o))
		rates = append(rates, p)
	}
	return tape, rates
}

func TestHazardIsCalibrated(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 9))
	train, _ := known(t, 20000, rng)
	test, rates := known(t, 4000, rng)
	n := must[*Network](t)(New(toy))
	_, err := Train(context.Background(), n, train, nil, Options{Epochs: 60, Rate: 1e-2})
	record(t, err)
	// By tenths of what is forecast for each horizon: forecast against truth.
	for k := range Horizons {
		type pair struct{ forecast, truth float64 }
		var all []pair
		record(t, Predict(context.Background(), n, test, func(q int, a *Answer, _ [2][]float32) {
			stays := 1.0
			for _, p := range rates[q][:k+1] {
				stays *= 1 - p
			}
			all = append(all, pair{a.Within()[k], 1 - stays})
		}))
		slices.SortFunc(all, func(a, b pair) int {
			if a.forecast < b.forecast {
				return -1
			}
			return 1
		})
		for tenth := range 10 {
			var sum pair
			some := all[tenth*len(all)/10 : (tenth+1)*len(all)/10]
			for _, p := range some {
				sum.forecast += p.forecast / float64(len(some))
				sum.truth += p.truth / float64(len(some))
			}
			if math.Abs(sum.forecast-sum.truth) > 0.05 {
				t.Errorf("horizon %d, tenth %d: forecast %.3f, truth %.3f", k, tenth, sum.forecast, sum.truth)
			}
		}
	}
}

// Weights stand for how many questions a sampled one speaks for.
func TestWeightsUndoSampling(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 9))
	tape := NewTape(toy)
	s := tape.Open(nil)
	// One in ten of those that did not happen, all that did: a rate of 5 in 100.
	for range 3000 {
		happened := rng.Float64() < 0.05/(0.05+0.095)
		number := must[int](t)(tape.Ask(s, &Question{Dense: normals(rng, 2)}))
		o := Outcome{Survived: 1}
		if happened {
			o = Outcome{Happened: true}
		} else {
			record(t, tape.Weigh(number, 10))
		}
		record(t, tape.Answer(number, o))
	}
	n := must[*Network](t)(New(toy))
	_, err := Train(context.Background(), n, tape, nil, Options{Epochs: 100, Rate: 1e-2})
	record(t, err)
	mean := 0.0
	record(t, Predict(context.Background(), n, tape, func(_ int, a *Answer, _ [2][]float32) {
		mean += a.Within()[0] / float64(tape.Questions())
	}))
	if math.Abs(mean-0.05) > 0.01 {
		t.Errorf("the rate is forecast as %v, it is 0.05", mean)
	}
}

// Tokens that never come again say nothing, and may not be learnt by heart.
func TestRareTokensAreNotLearntByHeart(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 9))
	c := toy
	c.Rows = 1 << 14
	signs := []uint32{Token("sign", "bad"), Token("sign", "good")}
	tape := func() *Tape {
		tape := NewTape(c)
		for range 1500 {
			s := tape.Open(nil)
			record(t, tape.Step(s, &Step{Dense: []float32{0, 0}, Tokens: hashes(rng, 8)}))
			is := rng.IntN(2)
			number := must[int](t)(tape.Ask(s, &Question{Dense: []float32{0, 0}, Tokens: append(hashes(rng, 4), signs[is])}))
			o := Outcome{Survived: 1}
			if rng.Float64() < []float64{0.3, 0.02}[is] {
				o = Outcome{Happened: true}
			}
			record(t, tape.Answer(number, o))
		}
		return tape
	}
	train, test := tape(), tape()
	n := must[*Network](t)(New(c))
	_, err := Train(context.Background(), n, train, nil, Options{Epochs: 20, Rate: 2e-3})
	record(t, err)
	fitted, loss := must[Loss](t)(Evaluate(context.Background(), n, train)), must[Loss](t)(Evaluate(context.Background(), n, test))
	// Who knows the two rates loses 0.354.
	if gap := loss.Total() - fitted.Total(); gap > 0.05 || loss.Total() > 0.39 {
		t.Errorf("the loss is %v on the training tape, %v on another of the same", fitted.Total(), loss.Total())
	}
}

// choosing is a tape on which the resource's first step says which alternative
// is chosen: the one with the same token.
func choosing(t testing.TB, head Head, sequences int, rng *rand.Rand) *Tape {
	t.Helper()
	tape := NewTape(toy)
	tokens := []uint32{Token("value", "1"), Token("value", "2"), Token("value", "3")}
	for range sequences {
		s := tape.Open(nil)
		is := rng.IntN(3)
		record(t, tape.Step(s, &Step{Dense: normals(rng, 2), Tokens: tokens[is : is+1]}))
		record(t, tape.Step(s, &Step{Dense: normals(rng, 2)}))
		number := must[int](t)(tape.Ask(s, &Question{Dense: normals(rng, 2)}))
		order := rng.Perm(3)
		var alternatives []Alternative
		for _, k := range order {
			alternatives = append(alternatives, Alternative{Dense: []float32{0}, Tokens: tokens[k : k+1], Offset: float32(k)})
		}
		record(t, tape.Choose(number, head, alternatives, slices.Index(order, is)))
	}
	return tape
}

func TestLearnsToChoose(t *testing.T) {
	t.Parallel()
	for head := range Head(heads) {
		rng := rand.New(rand.NewPCG(4, uint64(head)))
		train, test := choosing(t, head, 1000, rng), choosing(t, head, 300, rng)
		n := must[*Network](t)(New(toy))
		before := must[Loss](t)(Evaluate(context.Background(), n, test))
		_, err := Train(context.Background(), n, train, nil, Options{Epochs: 40, Rate: 1e-2})
		record(t, err)
		after := must[Loss](t)(Evaluate(context.Background(), n, test))
		if after.Choice[head].Mean() > 0.1 || before.Choice[head].Mean() < 1 {
			t.Errorf("%s: the loss is %v, before %v", head, after.Choice[head].Mean(), before.Choice[head].Mean())
		}
		if other := after.Choice[1-head]; other.Weight != 0 {
			t.Errorf("%s: the other head has the loss %v", head, other)
		}
	}
}

// sizes are ratios with a spread that the question tells, half a logistic
// distribution either side of its centre.
func sizes(t testing.TB, questions int, rng *rand.Rand) (*Tape, []float32) {
	t.Helper()
	tape := NewTape(toy)
	var truth []float32
	for range questions {
		s := tape.Open(nil)
		x := normals(rng, 2)
		y := x[0] + float32(math.Exp(0.5*float64(x[1]))*rng.NormFloat64())
		number := must[int](t)(tape.Ask(s, &Question{Dense: x}))
		record(t, tape.Size(number, y))
		truth = append(truth, y)
	}
	return tape, truth
}

func TestQuantilesCover(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 9))
	train, _ := sizes(t, 20000, rng)
	test, truth := sizes(t, 5000, rng)
	n := must[*Network](t)(New(toy))
	_, err := Train(context.Background(), n, train, nil, Options{Epochs: 40, Rate: 1e-2})
	record(t, err)
	var under [quantiles]float64
	record(t, Predict(context.Background(), n, test, func(i int, a *Answer, _ [2][]float32) {
		q := a.Quantiles()
		if !slices.IsSorted(q[:]) {
			t.Errorf("the quantiles %v cross", q)
		}
		for k := range q {
			if truth[i] <= q[k] {
				under[k] += 1 / float64(len(truth))
			}
		}
	}))
	for k, level := range Levels {
		if math.Abs(under[k]-level) > 0.02 {
			t.Errorf("%.3f are under the quantile of %v", under[k], level)
		}
	}
}

func TestTrainingIsDeterministic(t *testing.T) {
	t.Parallel()
	train := mixed(t, small, rand.New(rand.NewPCG(6, 9)), randomLengths(200)...)
	validation := mixed(t, small, rand.New(rand.NewPCG(7, 9)), randomLengths(50)...)
	fit := func(seed uint64) (*Network, Report) {
		n := must[*Network](t)(New(small))
		r, err := Train(context.Background(), n, train, validation, Options{Epochs: 3, Batch: 200, Seed: seed})
		record(t, err)
		return n, r
	}
	one, first := fit(1)
	two, second := fit(1)
	if !slices.Equal(one.params, two.params) {
		t.Error("the same seed gives other parameters")
	}
	if first.Epochs[2] != second.Epochs[2] || first.Best != second.Best {
		t.Errorf("the same seed gives another report: %v, %v", first, second)
	}
	if other, _ := fit(2); slices.Equal(one.params, other.params) {
		t.Error("another seed gives the same parameters")
	}
}

// Not parallel: it says how many cores there are.
func TestTrainingDoesNotDependOnCores(t *testing.T) {
	tape := mixed(t, small, rand.New(rand.NewPCG(6, 9)), randomLengths(200)...)
	fit := func(cores int) (*Network, Loss) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		n := must[*Network](t)(New(small))
		r, err := Train(context.Background(), n, tape, nil, Options{Epochs: 2, Batch: 200})
		record(t, err)
		return n, r.Epochs[1].Train
	}
	one, first := fit(1)
	for _, cores := range []int{2, 4} {
		many, loss := fit(cores)
		if !slices.Equal(one.params, many.params) || loss != first {
			t.Errorf("%d cores give other parameters or another loss than one", cores)
		}
	}
}

func randomLengths(n int) []int {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	out := make([]int, n)
	for i := range out {
		out[i] = rng.IntN(50)
	}
	return out
}

// The training tape says the opposite of the validation tape, so that each
// epoch is worse than the network as it came.
func TestEarlyStoppingRestoresTheBest(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 9))
	always := func(happened bool) *Tape {
		tape := NewTape(toy)
		s := tape.Open(nil)
		for range 200 {
			number := must[int](t)(tape.Ask(s, &Question{Dense: normals(rng, 2)}))
			o := Outcome{Survived: 1}
			if happened {
				o = Outcome{Happened: true}
			}
			record(t, tape.Answer(number, o))
		}
		return tape
	}
	n := must[*Network](t)(New(toy))
	before := slices.Clone(n.params)
	report, err := Train(context.Background(), n, always(true), always(false), Options{Epochs: 10, Patience: 2})
	record(t, err)
	if !report.Stopped || report.Best != 0 || len(report.Epochs) != 2 {
		t.Errorf("it ran %d epochs, stopped %v, best %d", len(report.Epochs), report.Stopped, report.Best)
	}
	if !slices.Equal(n.params, before) {
		t.Error("the network is not as it came")
	}

	// A fast rate overshoots: what is kept is the best, not the last.
	train, _ := known(t, 300, rng)
	validation, _ := known(t, 300, rng)
	report, err = Train(context.Background(), n, train, validation, Options{Epochs: 200, Patience: 5, Rate: 5e-2})
	record(t, err)
	after := must[Loss](t)(Evaluate(context.Background(), n, validation))
	if !report.Stopped || report.Best == 0 || after != report.Epochs[report.Best-1].Validation {
		t.Errorf("best was epoch %d of %d, and now the loss is %v", report.Best, len(report.Epochs), after)
	}
	worse := 0
	for i, e := range report.Epochs {
		if e.Validation.Total() < after.Total() {
			t.Errorf("epoch %d had the loss %v, now it is %v", i+1, e.Validation.Total(), after.Total())
		}
		if e.Validation.Total() > 1.001*after.Total() {
			worse = i + 1
		}
	}
	if worse < 2 {
		t.Error("the rate was too slow to overshoot")
	}
}

func TestTrainRefuses(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	good, _ := known(t, 100, rng)
	unanswered := NewTape(toy)
	must[int](t)(unanswered.Ask(unanswered.Open(nil), &Question{Dense: []float32{0, 0}}))
	extreme := NewTape(toy)
	number := must[int](t)(extreme.Ask(extreme.Open(nil), &Question{Dense: []float32{1e30, 1e30}}))
	record(t, extreme.Answer(number, Outcome{Happened: true}))
	cases := map[string]struct {
		train, validation *Tape
	}{
		"no outcome":           {unanswered, nil},
		"another shape":        {mixed(t, small, rng, 3), nil},
		"another shape behind": {good, mixed(t, small, rng, 3)},
		"an infinite gradient": {extreme, nil},
	}
	for name, c := range cases {
		n := must[*Network](t)(New(toy))
		before := slices.Clone(n.params)
		_, err := Train(context.Background(), n, c.train, c.validation, Options{})
		if penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: the error is %v", name, err)
		}
		if !slices.Equal(n.params, before) {
			t.Errorf("%s: the network is not as it came", name)
		}
	}
}

func TestTrainStopsWithItsContext(t *testing.T) {
	t.Parallel()
	tape, _ := known(t, 100, rand.New(rand.NewPCG(10, 9)))
	ctx, cancel := context.WithCancel(context.Background())
	epochs := 0
	n := must[*Network](t)(New(toy))
	_, err := Train(ctx, n, tape, nil, Options{Epochs: 50, Progress: func(p Progress) {
		if epochs = p.Epoch; epochs == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || epochs != 3 {
		t.Errorf("after epoch %d it ended with %v", epochs, err)
	}
}
