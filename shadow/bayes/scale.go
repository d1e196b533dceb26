package bayes

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Tally is how often a value was seen.
type Tally struct {
	Value  penumbra.Value
	Weight float64
}

// Scale makes states of a setting's values. Numbers, and texts with a unit, get
// ranges between edges; other values a state each if they are frequent, else
// the last state, "other". A value never seen has a state too.
type Scale struct {
	// Edges are ascending, in base units; a state holds what is at least its
	// lower edge and less than its upper. Empty for categories.
	Edges []float64
	// Kind tells apart amounts that do not compare, as shadow.Quantity has it.
	Kind byte
	// Categories are the values with a state of their own, the most frequent
	// first.
	Categories []penumbra.Value
}

// Bounds of a scale.
const (
	MaxCategories = 8 // states of their own
	MaxBins       = 5 // ranges of a number
	minDistinct   = 6 // fewer numbers than that are categories
)

// NewScale makes the scale that fits the values seen. At least nine tenths of
// their weight have to be amounts of one kind, of at least six sizes, for
// ranges. Values are ordered by weight, then by text, so that the order in which
// they come does not matter.
func NewScale(seen []Tally) Scale {
	values := slices.Clone(seen)
	slices.SortFunc(values, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Value.Kind(), b.Value.Kind()), cmp.Compare(a.Value.Text(), b.Value.Text()))
	})
	if kind, amounts := mostlyAmounts(values); kind != 0 {
		return Scale{Kind: kind, Edges: equalFrequency(amounts, MaxBins)}
	}
	var s Scale
	for _, v := range values[:min(len(values), MaxCategories)] {
		s.Categories = append(s.Categories, v.Value)
	}
	return s
}

// weighted is a number and how often it was seen.
type weighted struct{ x, weight float64 }

// mostlyAmounts returns the amounts if they are nearly all there is, by size.
func mostlyAmounts(values []Tally) (kind byte, amounts []weighted) {
	byKind := map[byte][]weighted{}
	var all float64
	for _, v := range values {
		all += v.Weight
		if x, k, ok := shadow.Quantity(v.Value); ok {
			byKind[k] = append(byKind[k], weighted{x, v.Weight})
		}
	}
	for k, xs := range byKind {
		var sum float64
		for _, x := range xs {
			sum += x.weight
		}
		slices.SortFunc(xs, func(a, b weighted) int { return cmp.Compare(a.x, b.x) })
		xs = merge(xs)
		if sum >= 0.9*all && len(xs) >= minDistinct {
			return k, xs
		}
	}
	return 0, nil
}

// merge joins equal numbers, which are sorted.
func merge(xs []weighted) []weighted {
	out := xs[:0]
	for _, x := range xs {
		if n := len(out); n > 0 && out[n-1].x == x.x {
			out[n-1].weight += x.weight
			continue
		}
		out = append(out, x)
	}
	return out
}

// equalFrequency returns the edges of up to so many ranges of about the same
// weight. Equal numbers are never parted. An edge is half-way between its
// neighbours: of positive ones on the logarithmic scale, because amounts differ
// by factors.
func equalFrequency(sorted []weighted, bins int) []float64 {
	var all float64
	for _, x := range sorted {
		all += x.weight
	}
	var edges []float64
	var below float64
	for i := range sorted[:len(sorted)-1] {
		below += sorted[i].weight
		// The next edge is due when the weight since the last is that of one
		// of the ranges still to be made.
		if below < all/float64(bins-len(edges)) && i+1 < len(sorted)-1 || len(edges) == bins-1 {
			continue
		}
		a, b := sorted[i].x, sorted[i+1].x
		edge := a + (b-a)/2
		if a > 0 {
			edge = math.Sqrt(a) * math.Sqrt(b)
		}
		if !(a < edge && edge <= b) { // rounding
			edge = b
		}
		edges = append(edges, edge)
		all -= below
		below = 0
	}
	return edges
}

// States returns the states' names. A secret's names only that it is one.
func (s *Scale) States() []string {
	if s.Kind != 0 {
		return ranges(s.Edges)
	}
	var out []string
	for i, v := range s.Categories {
		name := v.String()
		if v.Kind() == penumbra.SecretKind {
			name += " " + strconv.Itoa(i+1)
		}
		out = append(out, name)
	}
	return append(out, "other")
}

// ranges names the states between edges, with so many digits that the edges
// differ.
func ranges(edges []float64) []string {
	if len(edges) == 0 {
		return []string{"any"}
	}
	texts := make([]string, len(edges))
	for _, digits := range []int{6, -1} {
		for i, x := range edges {
			texts[i] = strconv.FormatFloat(x, 'g', digits, 64)
		}
		if len(slices.Compact(slices.Clone(texts))) == len(texts) {
			break
		}
	}
	out := []string{"below " + texts[0]}
	for i := range texts[1:] {
		out = append(out, texts[i]+" to "+texts[i+1])
	}
	return append(out, texts[len(texts)-1]+" or more")
}

// State returns the value's state. What no amount is has none on a scale of
// amounts: [Missing].
func (s *Scale) State(v penumbra.Value) uint8 {
	if s.Kind != 0 {
		x, kind, ok := shadow.Quantity(v)
		if !ok || kind != s.Kind {
			return Missing
		}
		return level(s.Edges, x)
	}
	if i := slices.Index(s.Categories, v); i >= 0 {
		return uint8(i)
	}
	return s.other()
}

// other returns the state of what is no category.
func (s *Scale) other() uint8 { return uint8(len(s.Categories)) }

// level returns how many of the edges are at or below x.
func level(edges []float64, x float64) uint8 {
	i, _ := slices.BinarySearchFunc(edges, x, func(e, x float64) int {
		if e <= x {
			return -1
		}
		return 1
	})
	return uint8(i)
}

// The states of a metric: where it lies among what is usual for its type. A
// tenth of the cases without an excursion is a drop, a tenth is high.
const (
	Drop uint8 = iota
	Lower
	Upper
	High
)

var levelNames = []string{"drop", "lower", "upper", "high"}

// Levels makes states of a metric's values.
type Levels [3]float64

// NewLevels returns the levels at the quantiles 0.1, 0.5 and 0.9 of the values,
// of which there has to be one at least. Where many values are equal, edges
// coincide and a state between them is empty.
func NewLevels(values []float64) Levels {
	sorted := slices.Sorted(slices.Values(values))
	var l Levels
	for i, q := range []float64{0.1, 0.5, 0.9} {
		l[i] = quantile(sorted, q)
	}
	// What lies at the uppermost edge is usual still: only more is high.
	l[2] = math.Nextafter(l[2], math.Inf(1))
	return l
}

// State returns the value's level, [Missing] if it is not a number.
func (l *Levels) State(x float64) uint8 {
	if math.IsNaN(x) {
		return Missing
	}
	return level(l[:], x)
}
