package bayes_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/bayes"
	"pgregory.net/rapid"
)

// drawNetwork draws a network of up to seven variables with up to four states.
func drawNetwork(t *rapid.T) *bayes.Network {
	variables := make([]bayes.Variable, rapid.IntRange(1, 7).Draw(t, "variables"))
	families := make([]bayes.Family, len(variables))
	for i := range variables {
		variables[i].Name = fmt.Sprint("v", i)
		for s := range rapid.IntRange(1, 4).Draw(t, "states") {
			variables[i].States = append(variables[i].States, fmt.Sprint(s))
		}
		for p := range i {
			if len(families[i].Parents) < 3 && rapid.Bool().Draw(t, "arc") {
				families[i].Parents = append(families[i].Parents, p)
			}
		}
	}
	drawTables(variables, families, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)))
	// Some exact zeros, as a deterministic relation has them.
	for i, f := range families {
		if r := len(variables[i].States); r > 1 && rapid.IntRange(0, 4).Draw(t, "zero") == 0 {
			f.Table[1] += f.Table[0]
			f.Table[0] = 0
		}
	}
	n, err := bayes.Define(variables, families)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// drawRow draws evidence for some of the variables.
func drawRow(t *rapid.T, n *bayes.Network, label string) bayes.Row {
	row := n.Unobserved()
	for i, v := range n.Variables() {
		if rapid.IntRange(0, 2).Draw(t, label) == 0 {
			row[i] = uint8(rapid.IntRange(0, len(v.States)-1).Draw(t, "state"))
		}
	}
	return row
}

// enumerate calls f with every row and its probability, by nothing but the
// chain rule. A variable that set names has the state with certainty.
func enumerate(n *bayes.Network, set bayes.Row, f func(bayes.Row, float64)) {
	variables := n.Variables()
	row := make(bayes.Row, len(variables))
	for {
		p := 1.0
		for i, v := range variables {
			if set != nil && set[i] != bayes.Missing {
				if row[i] != set[i] {
					p = 0
				}
				continue
			}
			at := 0
			family := n.Family(i)
			for _, parent := range family.Parents {
				at = at*len(variables[parent].States) + int(row[parent])
			}
			p *= family.Table[at*len(v.States)+int(row[i])]
		}
		f(row, p)
		k := 0
		for ; k < len(row); k++ {
			if row[k]++; int(row[k]) < len(variables[k].States) {
				break
			}
			row[k] = 0
		}
		if k == len(row) {
			return
		}
	}
}

func agrees(row, given bayes.Row) bool {
	for i, s := range given {
		if s != bayes.Missing && s != row[i] {
			return false
		}
	}
	return true
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9 }

// TestInferenceIsEnumeration holds variable elimination against the sum over
// all cases: marginals, joints, the probability of the evidence, the likeliest
// case, and all of that after an intervention.
func TestInferenceIsEnumeration(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t)
		given := drawRow(t, n, "given")
		variables := n.Variables()
		targets := rapid.Permutation(indices(len(variables))).Draw(t, "targets")[:min(2, len(variables))]
		size := 1
		for _, x := range targets {
			size *= len(variables[x].States)
		}
		want, total, top := make([]float64, size), 0.0, 0.0
		enumerate(n, nil, func(row bayes.Row, p float64) {
			if agrees(row, given) {
				at := 0
				for _, x := range targets {
					at = at*len(variables[x].States) + int(row[x])
				}
				want[at] += p
				total += p
				top = max(top, p)
			}
		})
		log, err := n.LogProbability(given)
		if err != nil || !near(math.Exp(log), total) {
			t.Fatalf("probability of the evidence %v, by enumeration %v (%v)", math.Exp(log), total, err)
		}
		got, err := n.Joint(targets, given)
		row, most, errMost := n.Likeliest(given)
		if total == 0 {
			if penumbra.KindOf(err) != penumbra.Invalid || penumbra.KindOf(errMost) != penumbra.Invalid {
				t.Fatalf("impossible evidence: %v, %v", err, errMost)
			}
			return
		}
		if err != nil || errMost != nil {
			t.Fatal(err, errMost)
		}
		for k := range want {
			if !near(got[k], want[k]/total) {
				t.Fatalf("joint %v, by enumeration %v over %v", got, want, total)
			}
		}
		if p, err := n.LogProbability(row); err != nil || !agrees(row, given) || !near(math.Exp(most), top) || !near(math.Exp(p), top) {
			t.Fatalf("likeliest %v with %v, which has %v; by enumeration %v", row, math.Exp(most), math.Exp(p), top)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestInterventionIsEnumeration(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t)
		variables := n.Variables()
		set := n.Unobserved()
		x := rapid.IntRange(0, len(variables)-1).Draw(t, "set")
		set[x] = uint8(rapid.IntRange(0, len(variables[x].States)-1).Draw(t, "to"))
		target := rapid.IntRange(0, len(variables)-1).Draw(t, "target")
		want := make([]float64, len(variables[target].States))
		enumerate(n, set, func(row bayes.Row, p float64) { want[row[target]] += p })
		e, err := n.Do(target, set, n.Unobserved(), bayes.EffectOptions{Draws: 2})
		if err != nil {
			t.Fatal(err)
		}
		for k := range want {
			if !near(e.Distribution[k], want[k]) || !near(e.Low[k], want[k]) || !near(e.High[k], want[k]) {
				t.Fatalf("%+v, by enumeration %v", e, want)
			}
			if e.Least != nil && (e.Least[k] > want[k]+1e-9 || e.Most[k] < want[k]-1e-9) {
				t.Fatalf("%v is outside the bounds %+v", want, e)
			}
		}
	})
}

// TestChestClinic holds marginals of ASIA that were worked out by hand from its
// tables.
func TestChestClinic(t *testing.T) {
	t.Parallel()
	n := asia.network(t)
	for name, want := range map[string]float64{"tub": 0.0104, "lung": 0.055, "bronc": 0.45, "either": 0.064828, "xray": 0.11029004} {
		p, err := n.Posterior(n.Index(name), n.Unobserved())
		if err != nil || !near(p[0], want) {
			t.Errorf("P(%s) is %v, want %v (%v)", name, p[0], want, err)
		}
	}
}

// TestLongChainDoesNotUnderflow has evidence far below the least float64.
func TestLongChainDoesNotUnderflow(t *testing.T) {
	t.Parallel()
	variables := make([]bayes.Variable, 60)
	families := make([]bayes.Family, len(variables))
	for i := range variables {
		variables[i] = bayes.Variable{Name: fmt.Sprint(i), States: yesNo}
		families[i].Table = []float64{1e-10, 1 - 1e-10}
		if i > 0 {
			families[i] = bayes.Family{Parents: []int{i - 1}, Table: []float64{1e-10, 1 - 1e-10, 1e-10, 1 - 1e-10}}
		}
	}
	n, err := bayes.Define(variables, families)
	if err != nil {
		t.Fatal(err)
	}
	given := make(bayes.Row, len(variables))
	log, err := n.LogProbability(given)
	if want := 60 * math.Log(1e-10); err != nil || math.Abs(log-want) > 1e-9 {
		t.Errorf("log probability %v, want %v (%v)", log, want, err)
	}
	given[30] = bayes.Missing
	if p, err := n.Posterior(30, given); err != nil || !near(p[0], 1e-10) {
		t.Errorf("posterior %v (%v)", p, err)
	}
}

// TestTooDenseIsRefused asks for a joint of 24 variables.
func TestTooDenseIsRefused(t *testing.T) {
	t.Parallel()
	n := alarm.network(t)
	if _, err := n.Joint(indices(24), n.Unobserved()); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("error %v", err)
	}
}

func TestUnfitNetworksAreRefused(t *testing.T) {
	t.Parallel()
	two := []bayes.Variable{{Name: "a", States: yesNo}, {Name: "b", States: yesNo}}
	flat := []float64{0.5, 0.5}
	for name, families := range map[string][]bayes.Family{
		"cycle":          {{Parents: []int{1}, Table: []float64{1, 0, 0, 1}}, {Parents: []int{0}, Table: []float64{1, 0, 0, 1}}},
		"own parent":     {{Parents: []int{0}, Table: []float64{1, 0, 0, 1}}, {Table: flat}},
		"too short":      {{Table: flat}, {Parents: []int{0}, Table: flat}},
		"sum":            {{Table: flat}, {Table: []float64{0.5, 0.6}}},
		"negative":       {{Table: flat}, {Table: []float64{-0.5, 1.5}}},
		"not a number":   {{Table: flat}, {Table: []float64{math.NaN(), 1}}},
		"family missing": {{Table: flat}},
	} {
		if _, err := bayes.Define(two, families); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
