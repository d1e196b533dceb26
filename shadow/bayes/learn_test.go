package bayes_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/penumbra-iac/penumbra/shadow/bayes"
)

// graph is a partly directed graph: at [a][b] an arc or half an edge.
type graph [][]bool

// completed returns the essential graph of a network without tiers, by the
// definition: v-structures, then what follows without a cycle or a new
// v-structure. It is written apart from the package's own.
func completed(parents func(int) []int, n int) graph {
	skeleton, g := make(graph, n), make(graph, n)
	for i := range n {
		skeleton[i], g[i] = make([]bool, n), make([]bool, n)
	}
	for c := range n {
		for _, p := range parents(c) {
			skeleton[p][c], skeleton[c][p] = true, true
			g[p][c], g[c][p] = true, true
		}
	}
	for c := range n {
		for _, a := range parents(c) {
			for _, b := range parents(c) {
				if a != b && !skeleton[a][b] {
					g[c][a], g[c][b] = false, false
				}
			}
		}
	}
	arc := func(a, b int) bool { return g[a][b] && !g[b][a] }
	edge := func(a, b int) bool { return g[a][b] && g[b][a] }
	settle := func(a, b int) bool {
		for c := range n {
			if arc(c, a) && !skeleton[c][b] || arc(a, c) && arc(c, b) {
				return true
			}
			for d := range n {
				if c != d && edge(a, c) && edge(a, d) && arc(c, b) && arc(d, b) && !skeleton[c][d] {
					return true
				}
			}
		}
		return false
	}
	for again := true; again; {
		again = false
		for a := range n {
			for b := range n {
				if edge(a, b) && settle(a, b) {
					g[b][a], again = false, true
				}
			}
		}
	}
	return g
}

// distance is the structural Hamming distance: how many pairs differ.
func distance(a, b graph) (n int) {
	for i := range a {
		for k := range i {
			if a[i][k] != b[i][k] || a[k][i] != b[k][i] {
				n++
			}
		}
	}
	return n
}

func essential(n *bayes.Network) graph {
	return completed(func(i int) []int { return n.Family(i).Parents }, len(n.Variables()))
}

// divergence is the Kullback-Leibler divergence of b from a in nats, by a
// sample: the mean of the difference of log probabilities.
func divergence(t testing.TB, a, b *bayes.Network, cases int) float64 {
	var sum float64
	for _, row := range sample(a, cases, 99).Rows {
		p, err := a.LogProbability(row)
		if err != nil {
			t.Fatal(err)
		}
		q, err := b.LogProbability(row)
		if err != nil {
			t.Fatal(err)
		}
		sum += p - q
	}
	return sum / float64(cases)
}

func learn(t testing.TB, d *bayes.Data, opts bayes.Options) *bayes.Network {
	t.Helper()
	n, err := bayes.Learn(d, opts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestStructureIsRecovered learns the standard networks from more and more
// cases: the distance between the essential graphs, that is up to what data can
// tell, falls, and is 0 at 50,000 but for one pair in three seeds.
func TestStructureIsRecovered(t *testing.T) {
	t.Parallel()
	sizes := []int{500, 5000, 50000}
	for _, c := range []standard{asia, sprinkler, cancer} {
		for _, score := range []bayes.Score{bayes.BIC, bayes.BDeu} {
			t.Run(fmt.Sprint(c.name, score), func(t *testing.T) {
				t.Parallel()
				truth := c.network(t)
				shd := make([]int, len(sizes))
				kl := make([]float64, len(sizes))
				for seed := range uint64(3) {
					for i, size := range sizes {
						n := learn(t, sample(truth, size, seed), bayes.Options{Score: score, Seed: seed})
						shd[i] += distance(essential(truth), essential(n))
						kl[i] += divergence(t, truth, n, 2000) / 3
					}
				}
				t.Logf("cases %v: sum of distances of three seeds %v, divergence %.5f", sizes, shd, kl)
				if shd[2] > 1 || shd[2] > shd[1] || shd[1] > shd[0] || math.Abs(kl[2]) > 0.01 || kl[2] > kl[0] {
					t.Errorf("distances %v, divergences %.5f", shd, kl)
				}
			})
		}
	}
}

// TestMissingStatesAreBorne conceals a fifth of all states. What is lost is
// data: at 20,000 cases the structure is nearly as good as with all of them, four
// pairs in three seeds at most.
func TestMissingStatesAreBorne(t *testing.T) {
	t.Parallel()
	for _, s := range []standard{asia, sprinkler, cancer} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			truth := s.network(t)
			for _, cases := range []int{5000, 20000} {
				var full, partly int
				var kl float64
				for seed := range uint64(3) {
					d := sample(truth, cases, seed)
					full += distance(essential(truth), essential(learn(t, d, bayes.Options{Seed: seed})))
					conceal(d, 0.2, seed)
					n := learn(t, d, bayes.Options{Seed: seed})
					partly += distance(essential(truth), essential(n))
					kl += divergence(t, truth, n, 2000) / 3
				}
				t.Logf("%d cases: sum of distances of three seeds %d with all states, %d with four of five, divergence %.5f", cases, full, partly, kl)
				if cases == 20000 && (partly > full+4 || kl > 0.01) {
					t.Errorf("distance %d, with all states %d; divergence %.5f", partly, full, kl)
				}
			}
		})
	}
}

// TestParametersAreRecovered also holds expectation-maximisation against
// leaving out what is missing where that misleads: x is missing more often when
// y says so.
func TestParametersAreRecovered(t *testing.T) {
	t.Parallel()
	truth := asia.network(t)
	var parents [][]int
	for i := range truth.Variables() {
		parents = append(parents, truth.Family(i).Parents)
	}
	d := sample(truth, 20000, 5)
	n, err := bayes.Fit(d, parents, bayes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if kl := divergence(t, truth, n, 5000); kl > 0.002 || kl < -0.002 {
		t.Errorf("divergence %.5f", kl)
	}

	bronc, dysp := truth.Index("bronc"), truth.Index("dysp")
	var seen, all float64
	for i, row := range d.Rows {
		if row[dysp] == 1 && i%4 != 0 { // missing at random: given dysp, which is seen
			row[bronc] = bayes.Missing
		} else if all++; row[bronc] == 0 {
			seen++
		}
	}
	if n, err = bayes.Fit(d, parents, bayes.Options{}); err != nil {
		t.Fatal(err)
	}
	p, err := n.Posterior(bronc, n.Unobserved())
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(p[0]-0.45) > 0.015 || math.Abs(seen/all-0.45) < 0.1 {
		t.Errorf("P(bronchitis) is 0.45, by expectation-maximisation %.4f, of the cases that have it %.4f", p[0], seen/all)
	}
}

// TestTiersAreKept gives the search data whose arcs lead against the tiers.
func TestTiersAreKept(t *testing.T) {
	t.Parallel()
	d := sample(asia.network(t), 2000, 8)
	for i := range d.Variables {
		d.Variables[i].Tier = bayes.Tier(2 - i*3/len(d.Variables))
	}
	n := learn(t, d, bayes.Options{MaxParents: 2})
	arcs := 0
	for i, v := range n.Variables() {
		f := n.Family(i)
		arcs += len(f.Parents)
		if len(f.Parents) > 2 {
			t.Errorf("%s has %d parents", v.Name, len(f.Parents))
		}
		for _, p := range f.Parents {
			if d.Variables[p].Tier > v.Tier {
				t.Errorf("%s → %s leads from %v to %v", d.Variables[p].Name, v.Name, d.Variables[p].Tier, v.Tier)
			}
		}
	}
	if arcs == 0 {
		t.Error("nothing was found")
	}
}

func TestLearningIsDeterministic(t *testing.T) {
	t.Parallel()
	d := sample(asia.network(t), 1000, 4)
	conceal(d, 0.1, 4)
	a, b := learn(t, d, bayes.Options{Seed: 7}), learn(t, d, bayes.Options{Seed: 7})
	for i := range a.Variables() {
		if x, y := a.Family(i), b.Family(i); !slices.Equal(x.Parents, y.Parents) || !slices.Equal(x.Table, y.Table) {
			t.Fatalf("%s: %+v, then %+v", a.Variables()[i].Name, x, y)
		}
	}
}

// TestFixedStatesGiveDirection has somebody set x half of the time. By
// observation alone x → y and y → x score the same; the direction that holds
// when x is set does better.
func TestFixedStatesGiveDirection(t *testing.T) {
	t.Parallel()
	for _, causes := range []bool{true, false} {
		d := &bayes.Data{Variables: []bayes.Variable{{Name: "x", States: yesNo}, {Name: "y", States: yesNo}}}
		s := standard{text: "x yes,no\ny yes,no x", tables: [][]float64{{0.5, 0.5}, {0.9, 0.1, 0.1, 0.9}}}
		random := sample(s.network(t), 1000, 6)
		for i, row := range random.Rows {
			fixed := uint64(0)
			if !causes { // y is the cause: x follows unless it is set
				row[0], row[1] = row[1], row[0]
			}
			if i%2 == 0 {
				fixed = 1
				if row[0] = uint8(i / 2 % 2); causes {
					row[1] = row[0]
					if i%20 == 0 {
						row[1] = 1 - row[0]
					}
				}
			}
			d.Rows, d.Fixed = append(d.Rows, row), append(d.Fixed, fixed)
		}
		n := learn(t, d, bayes.Options{})
		if got := len(n.Family(1).Parents) == 1; got != causes {
			t.Errorf("x causes y is %t, learnt %v and %v", causes, n.Family(0), n.Family(1))
		}
	}
}

// TestUnfitDataIsRefused has an error name what does not fit.
func TestUnfitDataIsRefused(t *testing.T) {
	t.Parallel()
	v := []bayes.Variable{{Name: "x", States: yesNo}}
	for name, d := range map[string]*bayes.Data{
		"no rows":         {Variables: v},
		"no variables":    {Rows: []bayes.Row{{}}},
		"unknown state":   {Variables: v, Rows: []bayes.Row{{2}}},
		"short row":       {Variables: v, Rows: []bayes.Row{{}}},
		"weights":         {Variables: v, Rows: []bayes.Row{{0}}, Weights: []float64{1, 2}},
		"negative weight": {Variables: v, Rows: []bayes.Row{{0}}, Weights: []float64{-1}},
		"twice":           {Variables: []bayes.Variable{v[0], v[0]}, Rows: []bayes.Row{{0, 0}}},
	} {
		if _, err := bayes.Learn(d, bayes.Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
