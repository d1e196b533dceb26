package bayes

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Data are the cases to learn from.
type Data struct {
	Variables []Variable
	Rows      []Row
	// Fixed has, for each row, the set of variables (bit i for variable i)
	// that somebody set from outside: such a state says nothing of the
	// variable's own causes and everything of its effects (Cooper and Yoo
	// 1999). nil: none.
	Fixed []uint64
	// Weights of the rows, 1 each if nil.
	Weights []float64
}

// Score is a measure of how well a family fits.
type Score uint8

// The scores. Both are the same for networks that say the same of independence.
const (
	// BIC is the logarithm of the likelihood less log(n)/2 for each free
	// parameter (Schwarz 1978).
	BIC Score = iota
	// BDeu is the logarithm of the marginal likelihood under a uniform
	// Dirichlet prior (Heckerman, Geiger and Chickering 1995).
	BDeu
)

// Options are the choices of learning. The zero value is a good one.
type Options struct {
	Score      Score
	MaxParents int     // of a variable, 4 if 0
	Prior      float64 // equivalent sample size of the Dirichlet prior of each family, 1 if 0
	Restarts   int     // searches from a shaken structure after the first, 2 if 0, none if negative
	Patience   int     // moves without a gain before a search ends, 10 if 0
	Seed       uint64
	Rounds     int // of completing what is missing and searching again, 3 if 0
	Iterations int // of expectation-maximisation, 50 if 0
}

func (o Options) withDefaults() Options {
	or := func(x *int, standard int) {
		if *x == 0 {
			*x = standard
		}
	}
	or(&o.MaxParents, 4)
	or(&o.Restarts, 2)
	or(&o.Patience, 10)
	or(&o.Rounds, 3)
	or(&o.Iterations, 50)
	if o.Prior <= 0 {
		o.Prior = 1
	}
	return o
}

func (d *Data) check() error {
	if err := checkVariables(d.Variables); err != nil {
		return err
	}
	if len(d.Rows) == 0 {
		return invalid("there are no cases to learn from")
	}
	if d.Fixed != nil && len(d.Fixed) != len(d.Rows) || d.Weights != nil && len(d.Weights) != len(d.Rows) {
		return invalid("as many weights and fixed sets as rows are needed")
	}
	shape := Network{variables: d.Variables}
	for i, row := range d.Rows {
		if err := shape.checkRow(row); err != nil {
			return err
		}
		if d.Weights != nil && !(d.Weights[i] >= 0 && d.Weights[i] <= math.MaxFloat32) {
			return invalid("the weight of case %d is %g", i, d.Weights[i])
		}
	}
	return nil
}

// Learn finds the structure and the parameters. The structure is searched by
// greedy hill climbing over adding, deleting and reversing arcs, with a list of
// structures that are not visited again and restarts; arcs lead from a tier to
// itself or a later one. The same data and options give the same network.
//
// Where states are missing, the first structure is found on the cases that each
// family has (Balov 2013), and then, Rounds times, what is missing is drawn from
// the network of the round before and the search goes on from there: structural
// expectation-maximisation (Friedman 1997) with a draw in place of the
// expectation. Parameters are then those of [Fit]. Errors are those of Fit.
func Learn(d *Data, opts Options) (*Network, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	random := rand.New(rand.NewPCG(opts.Seed, 0x6e657477))
	t := tabulate(d)
	s := search{scorer: newScorer(t, opts), opts: opts, random: random}
	structure := s.climb(make([]uint64, len(d.Variables)))
	if !t.incomplete {
		return fit(t, structure, opts)
	}
	for range opts.Rounds {
		n, err := fit(t, structure, opts)
		if err != nil {
			return nil, err
		}
		full, err := t.complete(n, random)
		if err != nil {
			return nil, err
		}
		s.scorer = newScorer(full, opts)
		next := s.climb(structure)
		if slices.Equal(next, structure) {
			break
		}
		structure = next
	}
	return fit(t, structure, opts)
}

// table is data by columns, equal rows joined into one with their weight.
type table struct {
	variables  []Variable
	columns    [][]uint8
	fixed      []uint64
	weights    []float64
	incomplete bool
	known      map[rowKey]int
}

type rowKey struct {
	states string
	fixed  uint64
}

func newTable(variables []Variable) *table {
	return &table{variables: variables, columns: make([][]uint8, len(variables)), known: map[rowKey]int{}}
}

func tabulate(d *Data) *table {
	t := newTable(d.Variables)
	for r, row := range d.Rows {
		var fixed uint64
		w := 1.0
		if d.Fixed != nil {
			fixed = d.Fixed[r]
		}
		if d.Weights != nil {
			w = d.Weights[r]
		}
		t.add(row, fixed, w)
	}
	return t
}

// add joins a row to an equal one that is there, or appends it.
func (t *table) add(row Row, fixed uint64, weight float64) {
	k := rowKey{string(row), fixed}
	if at, ok := t.known[k]; ok {
		t.weights[at] += weight
		return
	}
	t.known[k] = len(t.weights)
	for i, s := range row {
		t.columns[i] = append(t.columns[i], s)
		t.incomplete = t.incomplete || s == Missing
	}
	t.fixed = append(t.fixed, fixed)
	t.weights = append(t.weights, weight)
}

// row copies row r into out.
func (t *table) row(r int, out Row) {
	for i, c := range t.columns {
		out[i] = c[r]
	}
}

// maxTable bounds a family's table while searching.
const maxTable = 1 << 14

// count adds up the weights of the rows by the states of parents and child,
// into room if it is large enough. used is the weight of the rows that have
// all of them, total that of the rows in which the child was not set from
// outside. nil: the table would be too large.
func (t *table) count(child int, parents uint64, room []float64) (counts []float64, used, total float64) {
	size := len(t.variables[child].States)
	columns := make([][]uint8, 0, 8)
	cards := make([]int, 0, 8)
	for x := parents; x != 0; x &= x - 1 {
		p := bits.TrailingZeros64(x)
		columns = append(columns, t.columns[p])
		cards = append(cards, len(t.variables[p].States))
		if size *= cards[len(cards)-1]; size > maxTable {
			return nil, 0, 0
		}
	}
	columns = append(columns, t.columns[child])
	cards = append(cards, len(t.variables[child].States))
	counts = append(room[:0], make([]float64, size)...)
rows:
	for r, w := range t.weights {
		if t.fixed[r]&bit(child) != 0 {
			continue
		}
		total += w
		at := 0
		for k, c := range columns {
			s := c[r]
			if s == Missing {
				continue rows
			}
			at = at*cards[k] + int(s)
		}
		counts[at] += w
		used += w
	}
	return counts, used, total
}

// scorer scores families and remembers them.
type scorer struct {
	table *table
	opts  Options
	known []map[uint64]float64
	room  []float64
}

func newScorer(t *table, opts Options) *scorer {
	s := &scorer{table: t, opts: opts, known: make([]map[uint64]float64, len(t.variables))}
	for i := range s.known {
		s.known[i] = map[uint64]float64{}
	}
	return s
}

func (s *scorer) score(child int, parents uint64) float64 {
	if x, ok := s.known[child][parents]; ok {
		return x
	}
	x := s.compute(child, parents)
	s.known[child][parents] = x
	return x
}

// compute scores a family on the cases that have all of it, as if the others
// were like them.
func (s *scorer) compute(child int, parents uint64) float64 {
	counts, used, total := s.table.count(child, parents, s.room)
	if counts == nil || used == 0 && total > 0 {
		return math.Inf(-1)
	}
	s.room = counts
	r := len(s.table.variables[child].States)
	if total == 0 {
		return 0
	}
	if s.opts.Score == BDeu {
		return bdeu(counts, r, s.opts.Prior) * total / used
	}
	return likelihood(counts, r)*total/used - math.Log(max(used, 1))/2*float64(len(counts)/r*(r-1))
}

// likelihood returns the logarithm of the largest likelihood of a family with r
// states.
func likelihood(counts []float64, r int) float64 {
	var x float64
	for k := 0; k < len(counts); k += r {
		var sum float64
		for _, c := range counts[k : k+r] {
			if c > 0 {
				x += c * math.Log(c)
				sum += c
			}
		}
		if sum > 0 {
			x -= sum * math.Log(sum)
		}
	}
	return x
}

func bdeu(counts []float64, r int, prior float64) float64 {
	lgamma := func(x float64) float64 { y, _ := math.Lgamma(x); return y }
	cell := prior / float64(len(counts))
	group := cell * float64(r)
	cell0, group0 := lgamma(cell), lgamma(group)
	var x float64
	for k := 0; k < len(counts); k += r {
		var sum float64
		for _, c := range counts[k : k+r] {
			if c > 0 {
				x += lgamma(c+cell) - cell0
				sum += c
			}
		}
		x += group0 - lgamma(sum+group)
	}
	return x
}
