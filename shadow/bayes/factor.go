package bayes

import (
	"math"
	"slices"
)

// maxCells bounds a factor, so that a network too dense for exact inference is
// refused and takes no memory.
const maxCells = 1 << 22

// factor is a table over a few variables, the last of the scope running
// fastest. Its values are scaled so that the largest is 1 and exp(log) is what
// they are to be multiplied by: the guard of log-sum-exp, one maximum a table,
// without an exponential for each cell.
type factor struct {
	scope  []int
	card   []int
	values []float64
	log    float64
}

func (f *factor) set() uint64 { return setOf(f.scope) }

// rescale makes the largest value 1. All zeros stay and have the log -Inf.
func (f *factor) rescale() {
	top := slices.Max(f.values)
	if top == 0 {
		f.log = math.Inf(-1)
		return
	}
	if top == 1 {
		return
	}
	for i := range f.values {
		f.values[i] /= top
	}
	f.log += math.Log(top)
}

// familyFactor returns the variable's table with the row's evidence put in.
func (n *Network) familyFactor(child int, row Row) *factor {
	f := &n.families[child]
	out := &factor{}
	size, fixed := 1, 0
	var strides [MaxVariables]int // of the free variables in the table
	all := append(slices.Clone(f.parents), child)
	stride := len(f.table)
	for _, v := range all {
		stride /= n.states(v)
		if row[v] != Missing {
			fixed += int(row[v]) * stride
			continue
		}
		strides[len(out.scope)] = stride
		out.scope = append(out.scope, v)
		out.card = append(out.card, n.states(v))
		size *= n.states(v)
	}
	out.values = make([]float64, size)
	var digits [MaxVariables]int
	for i, at := 0, fixed; i < size; i++ {
		out.values[i] = f.table[at]
		for d := len(out.scope) - 1; d >= 0; d-- {
			digits[d]++
			at += strides[d]
			if digits[d] < out.card[d] {
				break
			}
			at -= strides[d] * out.card[d]
			digits[d] = 0
		}
	}
	out.rescale()
	return out
}

// product multiplies two factors; nil if the result would be too large.
func product(a, b *factor) *factor {
	out := &factor{scope: slices.Clone(a.scope), card: slices.Clone(a.card), log: a.log + b.log}
	size := len(a.values)
	for i, v := range b.scope {
		if !slices.Contains(a.scope, v) {
			out.scope = append(out.scope, v)
			out.card = append(out.card, b.card[i])
			if size *= b.card[i]; size > maxCells {
				return nil
			}
		}
	}
	inA, inB := stridesIn(out.scope, a), stridesIn(out.scope, b)
	out.values = make([]float64, size)
	var digits [MaxVariables]int
	for i, ia, ib := 0, 0, 0; i < size; i++ {
		out.values[i] = a.values[ia] * b.values[ib]
		for d := len(out.scope) - 1; d >= 0; d-- {
			digits[d]++
			ia += inA[d]
			ib += inB[d]
			if digits[d] < out.card[d] {
				break
			}
			ia -= inA[d] * out.card[d]
			ib -= inB[d] * out.card[d]
			digits[d] = 0
		}
	}
	return out
}

// stridesIn returns how far each variable of the scope moves within f, 0 for
// one that f does not have.
func stridesIn(scope []int, f *factor) (out [MaxVariables]int) {
	stride := 1
	for k := len(f.scope) - 1; k >= 0; k-- {
		out[slices.Index(scope, f.scope[k])] = stride
		stride *= f.card[k]
	}
	return out
}

// reduce takes variable v out of f: by sum, or by the largest value. For the
// latter the states that were largest come back, one for each value.
func (f *factor) reduce(v int, largest bool) (out *factor, states []uint8) {
	at := slices.Index(f.scope, v)
	inner := 1
	for _, c := range f.card[at+1:] {
		inner *= c
	}
	card := f.card[at]
	out = &factor{
		scope: slices.Delete(slices.Clone(f.scope), at, at+1),
		card:  slices.Delete(slices.Clone(f.card), at, at+1),
		log:   f.log, values: make([]float64, len(f.values)/card),
	}
	if largest {
		states = make([]uint8, len(out.values))
	}
	for i := range out.values {
		base := i/inner*inner*card + i%inner
		for s := range card {
			x := f.values[base+s*inner]
			switch {
			case !largest:
				out.values[i] += x
			case x > out.values[i]:
				out.values[i], states[i] = x, uint8(s)
			}
		}
	}
	out.rescale()
	return out, states
}

// at returns the position in f of the row's states; all of the scope have one.
func (f *factor) at(row Row) int {
	at := 0
	for i, v := range f.scope {
		at = at*f.card[i] + int(row[v])
	}
	return at
}

// decode puts the states that belong to a position in f into the row.
func (f *factor) decode(at int, row Row) {
	for d := len(f.scope) - 1; d >= 0; d-- {
		row[f.scope[d]] = uint8(at % f.card[d])
		at /= f.card[d]
	}
}
