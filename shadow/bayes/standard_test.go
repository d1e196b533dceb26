package bayes_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra/shadow/bayes"
)

var yesNo = []string{"yes", "no"}

// standard is a network of the literature: each line is a variable, its states
// and its parents; tables are in the order that bayes.Family wants.
type standard struct {
	name   string
	text   string
	tables [][]float64 // nil: drawn
}

func (s standard) network(t testing.TB) *bayes.Network {
	t.Helper()
	var variables []bayes.Variable
	var parents [][]string
	for line := range strings.Lines(s.text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		variables = append(variables, bayes.Variable{Name: fields[0], States: strings.Split(fields[1], ",")})
		parents = append(parents, fields[2:])
	}
	families := make([]bayes.Family, len(variables))
	for i := range families {
		for _, p := range parents[i] {
			k := slices.IndexFunc(variables, func(v bayes.Variable) bool { return v.Name == p })
			if k < 0 {
				t.Fatalf("%s: %s has no parent %s", s.name, variables[i].Name, p)
			}
			families[i].Parents = append(families[i].Parents, k)
		}
		if !slices.IsSorted(families[i].Parents) {
			t.Fatalf("%s: list the parents of %s in the order of the variables", s.name, variables[i].Name)
		}
		if s.tables != nil {
			families[i].Table = s.tables[i]
		}
	}
	if s.tables == nil {
		drawTables(variables, families, rand.New(rand.NewPCG(1989, 37)))
	}
	n, err := bayes.Define(variables, families)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// drawTables draws each distribution from a Dirichlet with all parameters 1/2,
// by squared normal variates.
func drawTables(variables []bayes.Variable, families []bayes.Family, random *rand.Rand) {
	for i := range families {
		r := len(variables[i].States)
		size := r
		for _, p := range families[i].Parents {
			size *= len(variables[p].States)
		}
		table := make([]float64, size)
		for k := 0; k < size; k += r {
			var sum float64
			for s := k; s < k+r; s++ {
				x := random.NormFloat64()
				table[s] = x*x + 1e-3
				sum += table[s]
			}
			for s := k; s < k+r; s++ {
				table[s] /= sum
			}
		}
		families[i].Table = table
	}
}

// asia is the chest clinic of Lauritzen and Spiegelhalter, Local computations
// with probabilities on graphical structures and their application to expert
// systems, J. R. Statist. Soc. B 50 (1988), section 2 and table 1.
var asia = standard{
	name: "ASIA",
	text: `
		asia   yes,no
		smoke  yes,no
		tub    yes,no asia
		lung   yes,no smoke
		bronc  yes,no smoke
		either yes,no tub lung
		xray   yes,no either
		dysp   yes,no bronc either`,
	tables: [][]float64{
		{0.01, 0.99},
		{0.5, 0.5},
		{0.05, 0.95, 0.01, 0.99},
		{0.1, 0.9, 0.01, 0.99},
		{0.6, 0.4, 0.3, 0.7},
		{1, 0, 1, 0, 1, 0, 0, 1},
		{0.98, 0.02, 0.05, 0.95},
		{0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.1, 0.9},
	},
}

// sprinkler is the wet grass network as in Russell and Norvig, Artificial
// Intelligence: A Modern Approach, 3rd edition 2010, figure 14.12(a).
var sprinkler = standard{
	name: "SPRINKLER",
	text: `
		cloudy    yes,no
		sprinkler yes,no cloudy
		rain      yes,no cloudy
		wet       yes,no sprinkler rain`,
	tables: [][]float64{
		{0.5, 0.5},
		{0.1, 0.9, 0.5, 0.5},
		{0.8, 0.2, 0.2, 0.8},
		{0.99, 0.01, 0.9, 0.1, 0.9, 0.1, 0, 1},
	},
}

// cancer is that of Korb and Nicholson, Bayesian Artificial Intelligence, 2nd
// edition 2010, section 2.2.
var cancer = standard{
	name: "CANCER",
	text: `
		pollution low,high
		smoker    yes,no
		cancer    yes,no pollution smoker
		xray      positive,negative cancer
		dyspnoea  yes,no cancer`,
	tables: [][]float64{
		{0.9, 0.1},
		{0.3, 0.7},
		{0.03, 0.97, 0.001, 0.999, 0.05, 0.95, 0.02, 0.98},
		{0.9, 0.1, 0.2, 0.8},
		{0.65, 0.35, 0.3, 0.7},
	},
}

// alarm has the structure and the states of Beinlich, Suermondt, Chavez and
// Cooper, The ALARM monitoring system, Proc. 2nd European Conf. on Artificial
// Intelligence in Medicine, 1989: 37 variables, 46 arcs. Its probabilities are
// not the published ones but drawn with a seed.
var alarm = standard{
	name: "ALARM",
	text: `
		MINVOLSET    l,n,h
		DISCONNECT   t,f
		VENTMACH     z,l,n,h MINVOLSET
		VENTTUBE     z,l,n,h DISCONNECT VENTMACH
		KINKEDTUBE   t,f
		INTUBATION   n,e,o
		PRESS        z,l,n,h VENTTUBE KINKEDTUBE INTUBATION
		VENTLUNG     z,l,n,h VENTTUBE KINKEDTUBE INTUBATION
		MINVOL       z,l,n,h INTUBATION VENTLUNG
		VENTALV      z,l,n,h INTUBATION VENTLUNG
		FIO2         l,n
		PVSAT        l,n,h VENTALV FIO2
		PULMEMBOLUS  t,f
		SHUNT        n,h INTUBATION PULMEMBOLUS
		PAP          l,n,h PULMEMBOLUS
		SAO2         l,n,h PVSAT SHUNT
		ARTCO2       l,n,h VENTALV
		EXPCO2       z,l,n,h VENTLUNG ARTCO2
		ANAPHYLAXIS  t,f
		TPR          l,n,h ANAPHYLAXIS
		INSUFFANESTH t,f
		CATECHOL     n,h SAO2 ARTCO2 TPR INSUFFANESTH
		HR           l,n,h CATECHOL
		ERRLOWOUTPUT t,f
		HRBP         l,n,h HR ERRLOWOUTPUT
		ERRCAUTER    t,f
		HREKG        l,n,h HR ERRCAUTER
		HRSAT        l,n,h HR ERRCAUTER
		HYPOVOLEMIA  t,f
		LVFAILURE    t,f
		HISTORY      t,f LVFAILURE
		LVEDVOLUME   l,n,h HYPOVOLEMIA LVFAILURE
		CVP          l,n,h LVEDVOLUME
		PCWP         l,n,h LVEDVOLUME
		STROKEVOLUME l,n,h HYPOVOLEMIA LVFAILURE
		CO           l,n,h HR STROKEVOLUME
		BP           l,n,h TPR CO`,
}

// TestAlarmIsEncodedInFull holds the encoding against the figures that are
// published of it: 37 variables, 46 arcs, 509 free parameters.
func TestAlarmIsEncodedInFull(t *testing.T) {
	t.Parallel()
	n := alarm.network(t)
	var arcs, free int
	for i, v := range n.Variables() {
		f := n.Family(i)
		arcs += len(f.Parents)
		free += len(f.Table) / len(v.States) * (len(v.States) - 1)
	}
	if len(n.Variables()) != 37 || arcs != 46 || free != 509 {
		t.Errorf("%d variables, %d arcs, %d free parameters", len(n.Variables()), arcs, free)
	}
}

func sample(n *bayes.Network, cases int, seed uint64) *bayes.Data {
	random := rand.New(rand.NewPCG(seed, 1))
	d := &bayes.Data{Variables: n.Variables()}
	for range cases {
		d.Rows = append(d.Rows, n.Sample(random))
	}
	return d
}

// conceal makes each state missing with the probability, completely at random.
func conceal(d *bayes.Data, share float64, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	for _, row := range d.Rows {
		for i := range row {
			if random.Float64() < share {
				row[i] = bayes.Missing
			}
		}
	}
}
