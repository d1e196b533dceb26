package backtest

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// askedRows makes the questions of rows by hand: of one horizon and one predictor.
func askedRows(cuts ...[]row) (*replay, *questions) {
	w := newWorld(&Options{})
	p := &replay{options: &Options{Alerts: 7, Every: day, Horizons: []int{2}}, world: w}
	for i, rows := range cuts {
		c := cut{at: int64(i) * 86400}
		levels := make([]uint16, 0, len(rows))
		for k, x := range rows {
			number := int32(len(w.class))
			if x.setting > 0 {
				number = int32(x.setting - 1)
			}
			for int(number) >= len(w.class) {
				w.class = append(w.class, x.class)
			}
			c.setting = append(c.setting, number)
			c.left = append(c.left, -1)
			if x.left {
				c.left[k] = int32(len(w.changes))
				w.changes = append(w.changes, change{number, int32(len(w.commits))})
				w.commits = append(w.commits, c.at+43200)
			}
			levels = append(levels, levelOfProbability(x.said))
		}
		c.answers = [][][]uint16{{levels}}
		p.cuts = append(p.cuts, c)
	}
	p.options.To = time.Unix(int64(len(cuts)+1)*86400, 0)
	return p, p.questions(0)
}

type row struct {
	said    float64
	left    bool
	class   int32
	setting int // from 1; 0 for one of its own
}

// exact are the same figures by their definition.
func exact(rows []row) (roc, pr float64) {
	var won, pairs, positives float64
	for _, a := range rows {
		if !a.left {
			continue
		}
		positives++
		var above, hits float64
		for _, b := range rows {
			if b.said >= a.said {
				above++
				if b.left {
					hits++
				}
			}
			if !b.left {
				pairs++
				if a.said > b.said {
					won++
				} else if a.said == b.said {
					won += 0.5
				}
			}
		}
		pr += hits / above
	}
	return won / pairs, pr / positives
}

func TestKnownRanking(t *testing.T) {
	t.Parallel()
	// Precision at the four that left: 1, 2/3, 3/4 and 4/6.
	rows := []row{{0.9, true, 0, 0}, {0.8, false, 0, 0}, {0.7, true, 0, 0}, {0.6, true, 0, 0}, {0.5, false, 0, 0}, {0.4, true, 0, 0}}
	_, q := askedRows(rows)
	var h histogram
	q.count(0, &h)
	got := h.rank()
	if want := (1 + 2.0/3 + 3.0/4 + 4.0/6) / 4; math.Abs(got.pr-want) > 1e-12 {
		t.Errorf("average precision %v, want %v", got.pr, want)
	}
	if want := 4.0 / 8; math.Abs(got.roc-want) > 1e-12 {
		t.Errorf("area under ROC %v, want %v", got.roc, want)
	}
	if want := 1.5; math.Abs(got.lift-want) > 1e-12 { // the first of six, where 4 of 6 leave
		t.Errorf("lift %v, want %v", got.lift, want)
	}
	log, brier := h.loss()
	var wantLog, wantBrier float64
	for _, x := range rows {
		p := x.said
		if !x.left {
			p = 1 - p
		}
		wantLog -= math.Log(p) / 6
		wantBrier += (1 - p) * (1 - p) / 6
	}
	if math.Abs(log-wantLog) > 1e-4 || math.Abs(brier-wantBrier) > 1e-4 {
		t.Errorf("log loss %v and Brier %v, want %v and %v", log, brier, wantLog, wantBrier)
	}
	curve := h.curve(100)
	if len(curve) != 4 || curve[3] != (Point{1, 4.0 / 6}) || curve[0] != (Point{0.25, 1}) {
		t.Errorf("curve %v", curve)
	}
	var n int
	for _, b := range h.reliability() {
		n += b.Questions
		if b.Said < b.Low || b.Said > b.High {
			t.Errorf("bin %+v", b)
		}
	}
	if n != 6 {
		t.Errorf("%d questions in the bins", n)
	}
}

// TestLevelsAreExactEnough holds what comes of levels against what comes of the
// probabilities themselves, ties and classes included.
func TestLevelsAreExactEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		cuts := make([][]row, rapid.IntRange(1, 4).Draw(t, "cuts"))
		var all []row
		for i := range cuts {
			for range rapid.IntRange(2, 40).Draw(t, "rows") {
				z := float64(random.IntN(40))/3 - 9 // a grid: equal ones occur
				x := row{said: 1 / (1 + math.Exp(-z)), class: int32(random.IntN(3)), left: random.IntN(4) == 0}
				cuts[i] = append(cuts[i], x)
			}
			all = append(all, cuts[i]...)
		}
		_, q := askedRows(cuts...)
		if len(q.positives) == 0 || len(q.positives) == len(all) {
			return
		}
		var h histogram
		q.count(0, &h)
		got := h.rank()
		roc, pr := exact(all)
		if math.Abs(got.roc-roc) > 1e-9 || math.Abs(got.pr-pr) > 1e-9 {
			t.Fatalf("levels give %v, the probabilities %v, %v", got, roc, pr)
		}
		a := newArena(q, 3)
		same, fought := a.duels(0, true).share()
		if want, some := withinExact(cuts); some != fought || math.Abs(same-want) > 1e-9 && some {
			t.Fatalf("within class and cut %v, by hand %v", same, want)
		}
		any, fought := a.duels(0, false).share()
		if want, some := withinExact([][]row{all}); some != fought || math.Abs(any-want) > 1e-9 && some {
			t.Fatalf("within class %v, by hand %v", any, want)
		}
	})
}

// withinExact compares all pairs of one group and class.
func withinExact(groups [][]row) (float64, bool) {
	var won, pairs float64
	for _, rows := range groups {
		for _, a := range rows {
			for _, b := range rows {
				if !a.left || b.left || a.class != b.class {
					continue
				}
				pairs++
				if a.said > b.said {
					won++
				} else if a.said == b.said {
					won += 0.5
				}
			}
		}
	}
	return won / max(1, pairs), pairs > 0
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for p := 1e-6; p < 1; p = min(p*1.07, p+0.01) {
		got := worths().said[levelOfProbability(p)]
		if math.Abs(got-p) > 3e-4*p || math.Abs(got-p) > 3e-4*(1-p)+1e-6 {
			t.Errorf("%v is kept as %v", p, got)
		}
	}
	if levelOfProbability(0) != 0 || levelOfProbability(1) != levels-1 || levelOf(math.NaN()) != 0 {
		t.Error("the ends are not the ends")
	}
}

// TestBootstrapKnowsTheSpread draws rows whose mean loss has a known standard
// error.
func TestBootstrapKnowsTheSpread(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	const n, per = 200, 50
	cuts := make([][]row, n)
	share := make([]float64, n)
	for i := range cuts {
		for range per {
			x := row{said: 0.2, left: random.Float64() < 0.2}
			cuts[i] = append(cuts[i], x)
			if x.left {
				share[i] += 1.0 / per
			}
		}
	}
	p, q := askedRows(cuts...)
	p.options.Bootstrap, p.options.Seed = 2000, 5
	r := newResampler(q, p.options)
	if r.blocks != n {
		t.Fatalf("%d blocks of %d cuts a horizon apart", r.blocks, n)
	}
	var h histogram
	q.count(0, &h)
	a := newArena(q, 1)
	within := a.duels(0, true)
	drawn := r.resample(0, &h, &within)
	log, _ := h.loss()
	if math.Abs(drawn.whole.loss-log) > 1e-12 {
		t.Errorf("the whole has loss %v, want %v", drawn.whole.loss, log)
	}
	var mean, square float64
	for _, x := range share {
		mean += x / n
	}
	for _, x := range share {
		square += (x - mean) * (x - mean) / (n - 1)
	}
	// A row that leaves costs log 4 more than one that stays.
	want := math.Log(4) * math.Sqrt(square/n)
	var losses []float64
	for _, x := range drawn.byBlock {
		losses = append(losses, x.loss)
	}
	interval := middle(losses)
	if got := (interval.High - interval.Low) / 2 / 1.96; got < 0.85*want || got > 1.15*want {
		t.Errorf("standard error %v, want %v", got, want)
	}
	if interval.Low > log || interval.High < log {
		t.Errorf("%v is not in %v", log, interval)
	}
}

// TestBlocksAreAHorizonLong keeps overlapping horizons from passing for
// independent ones.
func TestBlocksAreAHorizonLong(t *testing.T) {
	t.Parallel()
	cuts := make([][]row, 28)
	for i := range cuts {
		cuts[i] = []row{{said: 0.1, left: i%5 == 0}}
	}
	p, _ := askedRows(cuts...)
	p.options.Horizons, p.options.To = []int{3}, p.options.To.Add(7*day)
	if r := newResampler(p.questions(0), p.options); r.blocks != 4 {
		t.Errorf("28 daily cuts of a week are %d blocks, want 4", r.blocks)
	}
}

func TestAlertsByHand(t *testing.T) {
	t.Parallel()
	// One alert a day. Setting 1 stays likeliest and never leaves: it is alerted
	// on once a horizon, here a day. Setting 2 leaves after the second cut.
	p, q := askedRows(
		[]row{{0.9, false, 0, 1}, {0.5, false, 0, 2}},
		[]row{{0.3, false, 0, 1}, {0.5, true, 0, 2}},
		[]row{{0.3, false, 0, 1}, {0.2, true, 0, 2}},
	)
	a := p.alerts(q, 0, "x")
	if a.Alerts != 3 || a.Events != 2 || math.Abs(a.Precision-1.0/3) > 1e-9 || a.Recall != 0.5 || a.LeadMedian != 0.5 {
		t.Errorf("%+v", a)
	}
	if r := p.alerts(q, -1, "at random"); r.Alerts != 3 || r.Events != 2 {
		t.Errorf("at random %+v", r)
	}
}

func TestSmoothed(t *testing.T) {
	t.Parallel()
	a, b, c := penumbra.String("a"), penumbra.String("b"), penumbra.String("c")
	e := penumbra.Expectation{Confidence: 0.9, Novel: true, NovelProbability: 0.1, Values: []penumbra.Candidate{{Value: a, Probability: 0.6}, {Value: b, Probability: 0.3}}}
	sure := penumbra.Expectation{Confidence: 0.9, Values: []penumbra.Candidate{{Value: a, Probability: 0.995}}}
	half := penumbra.Expectation{Confidence: 0.75, Values: []penumbra.Candidate{{Value: a, Probability: 0.6}, {Value: b, Probability: 0.3}}}
	for _, x := range []struct {
		e    *penumbra.Expectation
		v    penumbra.Value
		want float64
	}{{&e, a, 1}, {&e, b, 1}, {&e, c, 0}, {&sure, a, 0.9 / 0.995}, {&sure, b, 0}, {&half, b, 0.5}} {
		if got := smoothed(x.e, x.v); math.Abs(got-x.want) > 1e-9 {
			t.Errorf("%v in %+v: %v, want %v", x.v, x.e.Values, got, x.want)
		}
	}
}
