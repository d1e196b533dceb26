package bayes_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/penumbra-iac/penumbra/shadow/bayes"
)

// simpson is a network in which observation misleads. Under high load people
// choose the large pool, so that large pools are seen with dropped throughput
// more often (0.62 against 0.28) though at each load they drop it less.
func simpson(t testing.TB) *bayes.Network {
	t.Helper()
	n, err := bayes.Define([]bayes.Variable{
		{Name: "load", Tier: bayes.Pattern, States: []string{"high", "low"}},
		{Name: "pool", Tier: bayes.Setting, States: []string{"large", "small"}},
		{Name: "throughput", Tier: bayes.Metric, States: []string{"drop", "normal"}},
	}, []bayes.Family{
		{Table: []float64{0.5, 0.5}},
		{Parents: []int{0}, Table: []float64{0.9, 0.1, 0.1, 0.9}},
		{Parents: []int{0, 1}, Table: []float64{0.68, 0.32, 0.8, 0.2, 0.08, 0.92, 0.22, 0.78}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestInterventionIsNotObservation learns that network from its cases, and has
// the intervention right where conditioning has even the sign wrong.
func TestInterventionIsNotObservation(t *testing.T) {
	t.Parallel()
	truth := simpson(t)
	n := learn(t, sample(truth, 5000, 11), bayes.Options{})
	seen := func(pool uint8) float64 {
		p, err := n.Posterior(2, bayes.Row{bayes.Missing, pool, bayes.Missing})
		if err != nil {
			t.Fatal(err)
		}
		return p[0]
	}
	do := func(pool uint8) bayes.Effect {
		e, err := n.Do(2, bayes.Row{bayes.Missing, pool, bayes.Missing}, n.Unobserved(), bayes.EffectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	large, small := do(0), do(1)
	if seen(0)-seen(1) < 0.3 {
		t.Errorf("conditioning does not mislead: %v, %v", seen(0), seen(1))
	}
	for _, c := range []struct {
		name string
		e    bayes.Effect
		want float64
	}{{"large", large, 0.38}, {"small", small, 0.51}} {
		if math.Abs(c.e.Distribution[0]-c.want) > 0.03 || c.e.Low[0] > c.want || c.e.High[0] < c.want || !c.e.Reaches {
			t.Errorf("P(drop | do(pool = %s)) is %v: %+v", c.name, c.want, c.e)
		}
		if c.e.Least[0] != c.e.Most[0] && math.Abs(c.e.Least[0]-c.e.Most[0]) > 1e-9 {
			t.Errorf("between tiers every direction is known: %+v", c.e)
		}
	}
}

// TestIntervalsHold counts how often the 90 % interval of an effect holds the
// true one, and that it narrows as cases come.
func TestIntervalsHold(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	truth := simpson(t)
	parents := [][]int{nil, {0}, {0, 1}}
	held, width := 0, map[int]float64{}
	const runs = 200
	for _, cases := range []int{100, 1000} {
		for seed := range uint64(runs) {
			n, err := bayes.Fit(sample(truth, cases, seed), parents, bayes.Options{})
			if err != nil {
				t.Fatal(err)
			}
			e, err := n.Do(2, bayes.Row{bayes.Missing, 1, bayes.Missing}, n.Unobserved(), bayes.EffectOptions{Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			if e.Low[0] <= 0.51 && 0.51 <= e.High[0] {
				held++
			}
			width[cases] += (e.High[0] - e.Low[0]) / runs
		}
	}
	t.Logf("held %d of %d, mean width %v", held, 2*runs, width)
	if share := float64(held) / (2 * runs); share < 0.85 || share > 0.96 {
		t.Errorf("the interval of 90 %% held %.3f", share)
	}
	if width[1000] > width[100]/2 {
		t.Errorf("widths %v", width)
	}
}

// TestSupportIsThatOfTheConfigurations has the small pool seen under high load
// about 1 in 20 times: that is what an answer about it rests on.
func TestSupportIsThatOfTheConfigurations(t *testing.T) {
	t.Parallel()
	n, err := bayes.Fit(sample(simpson(t), 2000, 4), [][]int{nil, {0}, {0, 1}}, bayes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := n.Do(2, bayes.Row{bayes.Missing, 1, bayes.Missing}, n.Unobserved(), bayes.EffectOptions{Draws: 1})
	// Half of the passing goes through 100 cases, half through 900.
	if want := 1 / (0.5/100 + 0.5/900); err != nil || math.Abs(e.Support-want) > 50 {
		t.Errorf("support %v, want about %v (%v)", e.Support, want, err)
	}
	back, err := n.Do(1, bayes.Row{bayes.Missing, bayes.Missing, 0}, n.Unobserved(), bayes.EffectOptions{Draws: 1})
	if err != nil || back.Reaches || !near(back.Distribution[0], back.Without[0]) {
		t.Errorf("setting an effect moved its cause: %+v (%v)", back, err)
	}
}

// TestDirectionsThatDataCannotTell has a pair of settings that only observation
// knows: which causes the other is open, and the bounds say so.
func TestDirectionsThatDataCannotTell(t *testing.T) {
	t.Parallel()
	truth, err := bayes.Define([]bayes.Variable{
		{Name: "a", Tier: bayes.Setting, States: yesNo},
		{Name: "b", Tier: bayes.Setting, States: yesNo},
		{Name: "m", Tier: bayes.Metric, States: yesNo},
	}, []bayes.Family{
		{Table: []float64{0.5, 0.5}},
		{Parents: []int{0}, Table: []float64{0.9, 0.1, 0.1, 0.9}},
		{Parents: []int{1}, Table: []float64{0.9, 0.1, 0.1, 0.9}},
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := truth.Do(2, bayes.Row{0, bayes.Missing, bayes.Missing}, truth.Unobserved(), bayes.EffectOptions{Draws: 1})
	// If a causes b, 0.82; if b causes a, setting a moves nothing: 0.5.
	if err != nil || !near(e.Distribution[0], 0.82) || !near(e.Least[0], 0.5) || !near(e.Most[0], 0.82) {
		t.Errorf("%+v (%v)", e, err)
	}
}

func TestInfluencesAreRanked(t *testing.T) {
	t.Parallel()
	n := asia.network(t)
	got, err := n.Influences(n.Index("dysp"), 0, n.Unobserved())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range got {
		names = append(names, n.Variables()[x.Variable].Name)
	}
	// By hand: setting bronchitis moves P(dyspnoea) from 0.139 to 0.806; tub and
	// lung make either certain, whose swing is a little less than its own.
	if names[0] != "bronc" || slices.Contains(names, "xray") || len(names) != 6 {
		t.Errorf("%v: %+v", names, got)
	}
	first := got[0]
	p := 0.064828
	if want := 0.9*p + 0.8*(1-p) - (0.7*p + 0.1*(1-p)); !near(first.Swing, want) || first.Raises != 0 || first.Lowers != 1 {
		t.Errorf("%+v, want a swing of %v", first, want)
	}
	flows, err := n.Influences(n.Index("dysp"), bayes.Missing, n.Unobserved())
	if err != nil || n.Variables()[flows[0].Variable].Name != "bronc" || !(flows[0].Flow > flows[1].Flow) {
		t.Errorf("%+v (%v)", flows, err)
	}
	given := n.Unobserved()
	given[n.Index("bronc")] = 0
	if got, err = n.Influences(n.Index("dysp"), 0, given); err != nil || slices.ContainsFunc(got, func(x bayes.Influence) bool { return x.Variable == n.Index("bronc") }) {
		t.Errorf("what is given was varied: %+v (%v)", got, err)
	}
}

// TestUpdateIsFit adds cases one by one and comes to what all together give;
// decay forgets down to the prior.
func TestUpdateIsFit(t *testing.T) {
	t.Parallel()
	truth := asia.network(t)
	d := sample(truth, 400, 9)
	parents := make([][]int, len(d.Variables))
	for i := range parents {
		parents[i] = truth.Family(i).Parents
	}
	whole, err := bayes.Fit(d, parents, bayes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := &bayes.Data{Variables: d.Variables, Rows: d.Rows[:100]}
	n, err := bayes.Fit(first, parents, bayes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range d.Rows[100:] {
		if err := n.Update(row, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	for i := range parents {
		a, b := whole.Family(i).Table, n.Family(i).Table
		for k := range a {
			if !near(a[k], b[k]) {
				t.Fatalf("variable %d: %v at once, %v one by one", i, a, b)
			}
		}
	}
	n.Decay(0)
	if p, err := n.Posterior(7, n.Unobserved()); err != nil || !near(p[0], 0.5) {
		t.Errorf("with everything forgotten %v (%v)", p, err)
	}
	if err := truth.Update(d.Rows[0], 0, 1); err == nil {
		t.Error("a network with exact tables took a case")
	}
}

func BenchmarkLearn(b *testing.B) {
	n := first20(b)
	d := sample(n, 10000, 1)
	for b.Loop() {
		learn(b, d, bayes.Options{})
	}
}

func BenchmarkLearnMissing(b *testing.B) {
	n := first20(b)
	d := sample(n, 10000, 1)
	conceal(d, 0.05, 1)
	for b.Loop() {
		learn(b, d, bayes.Options{})
	}
}

// first20 is ALARM cut to its first twenty variables: no arc leads out of them
// to an earlier one, so they are a network of their own.
func first20(t testing.TB) *bayes.Network {
	n := alarm.network(t)
	var families []bayes.Family
	for i := range 20 {
		families = append(families, n.Family(i))
	}
	cut, err := bayes.Define(n.Variables()[:20], families)
	if err != nil {
		t.Fatal(err)
	}
	return cut
}

func BenchmarkPosterior(b *testing.B) {
	for _, s := range []standard{asia, alarm} {
		b.Run(s.name, func(b *testing.B) {
			n := s.network(b)
			random := rand.New(rand.NewPCG(1, 1))
			var rows []bayes.Row
			for range 64 {
				row := n.Sample(random)
				for i := range row {
					if random.IntN(4) > 0 {
						row[i] = bayes.Missing
					}
				}
				rows = append(rows, row)
			}
			for i := 0; b.Loop(); i++ {
				row := rows[i%len(rows)]
				if _, err := n.Posterior(i%len(row), row); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDo(b *testing.B) {
	n := learn(b, sample(asia.network(b), 1000, 1), bayes.Options{})
	set := n.Unobserved()
	set[n.Index("smoke")] = 0
	for b.Loop() {
		if _, err := n.Do(n.Index("dysp"), set, n.Unobserved(), bayes.EffectOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
