package bayes

import (
	"cmp"
	"math"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Bounds of what is kept of a type.
const (
	maxPaths      = 256 // settings looked at
	maxDictionary = 512 // values of one setting; one with more is no variable
	maxMetrics    = 32
	firstCases    = 64      // before a network is learnt
	networkPaths  = 40      // settings that become variables
	networkLevels = 12      // metrics that do
	caseLife      = 90 * 24 // hours in which a case loses half of its weight
)

// kind is what is kept of the resources of one type.
type kind struct {
	Paths   []string
	Known   [][]storedValue // values of each path, a case refers to them by position
	Metrics []string
	// The latest cases in which settings count for their own causes, and the
	// latest others: those come every hour and would soon drive these out.
	Counted, Others ring
	Fresh           int // cases since the network was learnt
	Learned         *learned

	paths map[string]int           // rebuilt
	ids   []map[penumbra.Value]int // rebuilt
}

// ring holds the latest cases, oldest first from Next on once it is full.
type ring struct {
	Cases []instance
	Next  int
}

func (r *ring) add(x instance, most int) {
	if len(r.Cases) < most {
		r.Cases = append(r.Cases, x)
		return
	}
	r.Cases[r.Next] = x
	r.Next = (r.Next + 1) % len(r.Cases)
}

// cases returns all that are kept.
func (k *kind) cases() []instance { return slices.Concat(k.Counted.Cases, k.Others.Cases) }

// instance is one case as it was seen, before it is made discrete, so that it
// can be made anew.
type instance struct {
	Hour     int64
	Patterns [patterns]uint8
	Values   []int // positions in Known plus 1 by path; 0: not seen
	Away     bool  // a setting is away from what is expected
	All      bool  // every setting counts for its own causes
	Moved    []int // else the paths that do
	Metrics  []level64
}

type level64 struct {
	Metric int
	Value  float64
}

// learned is a type's network and what its variables stand for: the patterns
// first, then the settings, then the metrics.
type learned struct {
	Network  *Network
	Settings []settingVariable
	Metrics  []metricVariable
	Day      int64 // to which the counts have been decayed
}

type settingVariable struct {
	Path  int
	Scale storedScale
}

type metricVariable struct {
	Metric int
	Levels Levels
}

// index rebuilds what is not stored.
func (k *kind) index() {
	k.paths = map[string]int{}
	k.ids = nil
	for i, p := range k.Paths {
		k.paths[p] = i
		ids := map[penumbra.Value]int{}
		for id, v := range k.Known[i] {
			ids[v.Value] = id
		}
		k.ids = append(k.ids, ids)
	}
}

func (m *Model) kindOf(name string) *kind {
	k := m.Kinds[name]
	if k == nil {
		k = &kind{}
		k.index()
		m.Kinds[name] = k
	}
	return k
}

// value returns the position of a path's value plus 1, and the path's; 0 if
// there is no room for one of them.
func (k *kind) value(path string, v penumbra.Value) (p, id int) {
	p, ok := k.paths[path]
	if !ok {
		if len(k.Paths) == maxPaths {
			return 0, 0
		}
		p = len(k.Paths)
		k.Paths, k.Known = append(k.Paths, path), append(k.Known, nil)
		k.paths[path] = p
		k.ids = append(k.ids, map[penumbra.Value]int{})
	}
	id, ok = k.ids[p][v]
	if !ok {
		if len(k.Known[p]) == maxDictionary {
			return p, 0
		}
		id = len(k.Known[p])
		k.Known[p] = append(k.Known[p], storedValue{v})
		k.ids[p][v] = id
	}
	return p, id + 1
}

// closeCase records the hour that is over, as it ended.
func (m *Model) closeCase(address penumbra.Address, r *resource) {
	end := r.Hour*3600 + 3599
	if !r.Looked {
		return
	}
	away := m.away(address, r, end)
	all := !away && (r.Counted == 0 || end-r.Counted >= recount)
	if len(r.Metrics) == 0 && !all && (away || len(r.Moved) == 0) {
		return
	}
	k := m.kindOf(r.Type)
	x := instance{Hour: r.Hour, Patterns: r.patternsAt(end), Away: away, All: all}
	for _, s := range r.Actual {
		if s.Sensitive || s.Value.Kind() == penumbra.SecretKind {
			continue // a secret is no cause that anybody should read
		}
		p, id := k.value(s.Path, s.Value)
		if id == 0 {
			continue
		}
		for len(x.Values) <= p {
			x.Values = append(x.Values, 0)
		}
		x.Values[p] = id
	}
	if r.Full {
		k.absent(&x, r.Actual)
	}
	for _, s := range r.Metrics {
		i := slices.Index(k.Metrics, s.Name)
		if i < 0 {
			if len(k.Metrics) == maxMetrics {
				continue
			}
			i = len(k.Metrics)
			k.Metrics = append(k.Metrics, s.Name)
		}
		x.Metrics = append(x.Metrics, level64{i, s.Sum / s.Count})
	}
	for _, path := range r.Moved {
		if p, ok := k.paths[path]; ok && !away {
			x.Moved = append(x.Moved, p)
		}
	}
	if r.Moved = r.Moved[:0]; all {
		r.Counted = end
	}
	m.take(k, x)
}

// recount is after how many seconds the settings that did not change count again
// for their own causes.
const recount = 30 * 86400

// counts reports whether the setting at the path counts for its own causes.
func (x *instance) counts(p int) bool {
	return x.All || slices.Contains(x.Moved, p)
}

// absent gives the settings that the resource surely does not have the value
// null.
func (k *kind) absent(x *instance, actual stored) {
	for p, path := range k.Paths {
		if _, there := penumbra.Settings(actual).Find(path); there {
			continue
		}
		for len(x.Values) <= p {
			x.Values = append(x.Values, 0)
		}
		_, x.Values[p] = k.value(path, penumbra.Null())
	}
}

// away reports whether a setting's value is outside what the pooled model holds
// to be expected. None of the resource's settings then counts for its own
// causes: a value that is away would else be learnt as what goes with the others.
func (m *Model) away(address penumbra.Address, r *resource, at int64) bool {
	return slices.ContainsFunc(m.pooled.Expect(r.shown(address), unix(at), reference), func(e penumbra.Expectation) bool {
		x, ok := penumbra.Settings(r.Actual).Find(e.Path)
		return ok && !e.Contains(x.Value)
	})
}

// reference is the confidence of the sets that tell what is away.
const reference = 0.95

func (r *resource) shown(address penumbra.Address) *penumbra.Resource {
	return &penumbra.Resource{Address: address, Type: r.Type, Template: penumbra.Settings(r.Template), Actual: penumbra.Settings(r.Actual)}
}

// take keeps a case in the place of the oldest, and learns from it.
func (m *Model) take(k *kind, x instance) {
	if x.All || len(x.Moved) > 0 {
		k.Counted.add(x, m.opts.Cases/2)
	} else {
		k.Others.add(x, m.opts.Cases/2)
	}
	k.Fresh++
	n := len(k.Counted.Cases) + len(k.Others.Cases)
	if n >= firstCases && k.Fresh >= max(firstCases, n/4) {
		k.Fresh = 0
		if l := k.learn(m.opts.Learning, x.Hour); l != nil {
			k.Learned = l
		}
		return
	}
	if l := k.Learned; l != nil {
		if day := x.Hour / 24; day > l.Day {
			l.Network.Decay(math.Exp2(-float64(24*(day-l.Day)) / caseLife))
			l.Day = day
		}
		row, fixed := l.row(k, &x)
		// The row was made for this network, and no evidence is impossible under
		// a Dirichlet prior; a network too dense to ask does not learn.
		_ = l.Network.Update(row, fixed, 1)
	}
}

// learn makes the type's variables and their network from the cases as of the
// hour; nil if there is nothing to learn.
func (k *kind) learn(opts Options, hour int64) *learned {
	cases := k.cases()
	weights := make([]float64, len(cases))
	for i := range cases {
		weights[i] = math.Exp2(-float64(max(0, hour-cases[i].Hour)) / caseLife)
	}
	l := &learned{Settings: k.settingVariables(cases, weights), Metrics: k.metricVariables(cases), Day: hour / 24}
	if len(l.Settings) == 0 {
		return nil
	}
	d := &Data{Variables: l.variables(k), Weights: weights}
	for i := range cases {
		row, fixed := l.row(k, &cases[i])
		d.Rows, d.Fixed = append(d.Rows, row), append(d.Fixed, fixed)
	}
	n, err := Learn(d, opts)
	if err != nil {
		return nil // too dense for exact inference: the pooled model alone
	}
	l.Network = n
	return l
}

// settingVariables chooses the settings that vary in a way that can be learnt:
// seen in a fifth of the cases, half of them or more in states of their own,
// those with the largest entropy first.
func (k *kind) settingVariables(cases []instance, weights []float64) []settingVariable {
	type candidate struct {
		settingVariable
		entropy float64
	}
	var found []candidate
	var all float64
	for _, w := range weights {
		all += w
	}
	for p, tallies := range k.tallies(cases, weights) {
		var seen float64
		for _, t := range tallies {
			seen += t.Weight
		}
		if len(tallies) < 2 || len(k.Known[p]) == maxDictionary || seen < all/5 {
			continue
		}
		s := NewScale(tallies)
		shares := make([]float64, len(s.States()))
		for _, t := range tallies {
			if state := s.State(t.Value); state != Missing {
				shares[state] += t.Weight / seen
			}
		}
		if s.Kind == 0 && shares[s.other()] > 0.5 {
			continue // names, addresses: nearly each case has its own
		}
		var entropy float64
		for _, x := range shares {
			if x > 0 {
				entropy -= x * math.Log(x)
			}
		}
		if entropy > 0 {
			found = append(found, candidate{settingVariable{p, storedScale(s)}, entropy})
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.entropy, a.entropy), cmp.Compare(k.Paths[a.Path], k.Paths[b.Path]))
	})
	var out []settingVariable
	for _, c := range found[:min(len(found), networkPaths)] {
		out = append(out, c.settingVariable)
	}
	slices.SortFunc(out, func(a, b settingVariable) int { return cmp.Compare(k.Paths[a.Path], k.Paths[b.Path]) })
	return out
}

// tallies counts the values of each path.
func (k *kind) tallies(cases []instance, weights []float64) [][]Tally {
	counts := make([][]Tally, len(k.Paths))
	for p := range counts {
		counts[p] = make([]Tally, len(k.Known[p]))
		for id, v := range k.Known[p] {
			counts[p][id].Value = v.Value
		}
	}
	for i := range cases {
		for p, id := range cases[i].Values {
			if id == 0 {
				continue
			}
			counts[p][id-1].Weight += weights[i]
		}
	}
	for p := range counts {
		counts[p] = slices.DeleteFunc(counts[p], func(t Tally) bool { return t.Weight == 0 })
	}
	return counts
}

// metricVariables makes the levels of the metrics that most cases have, of what
// is usual: cases with a setting away are left out.
func (k *kind) metricVariables(cases []instance) []metricVariable {
	values := make([][]float64, len(k.Metrics))
	for i := range cases {
		if cases[i].Away {
			continue
		}
		for _, x := range cases[i].Metrics {
			values[x.Metric] = append(values[x.Metric], x.Value)
		}
	}
	var out []metricVariable
	for i, xs := range values {
		if len(xs) >= firstCases/2 {
			out = append(out, metricVariable{i, NewLevels(xs)})
		}
	}
	slices.SortStableFunc(out, func(a, b metricVariable) int {
		return cmp.Compare(len(values[b.Metric]), len(values[a.Metric]))
	})
	return out[:min(len(out), networkLevels)]
}

func (l *learned) variables(k *kind) []Variable {
	out := slices.Clone(patternVariables[:])
	for _, s := range l.Settings {
		scale := Scale(s.Scale)
		out = append(out, Variable{"setting " + k.Paths[s.Path], Setting, scale.States()})
	}
	for _, x := range l.Metrics {
		out = append(out, Variable{"metric " + k.Metrics[x.Metric], Metric, slices.Clone(levelNames)})
	}
	return out
}

// row makes a case discrete. Settings that do not count are as if set from
// outside.
func (l *learned) row(k *kind, x *instance) (row Row, fixed uint64) {
	row = append(row, x.Patterns[:]...)
	for i, s := range l.Settings {
		state := uint8(Missing)
		if s.Path < len(x.Values) && x.Values[s.Path] != 0 {
			state = (*Scale)(&s.Scale).State(k.Known[s.Path][x.Values[s.Path]-1].Value)
		}
		row = append(row, state)
		if !x.counts(s.Path) {
			fixed |= bit(patterns + i)
		}
	}
	for _, v := range l.Metrics {
		state := uint8(Missing)
		for _, y := range x.Metrics {
			if y.Metric == v.Metric {
				state = v.Levels.State(y.Value)
			}
		}
		row = append(row, state)
	}
	return row, fixed
}
