package duration

import (
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Options are the choices of a model. The zero value is a good one.
type Options struct {
	// Quantile is that of what such states last beyond which one is stuck, 0.9 if
	// 0.
	Quantile float64
	// Support is at how many different times such states must have gone back for
	// anything to be said, 8 if 0.
	Support int
	// Returns is the share of such states that must go back, 0.5 if 0: less, and
	// staying is as usual as going back.
	Returns float64
	// Capacity is how many states are followed at once, a million if 0. Those that
	// begin when there are as many are not.
	Capacity int
}

// Model knows how long temporary states last. It is for one goroutine at a time.
type Model struct {
	options Options
	state
	counted int64 // when the open states were counted, Unix seconds
}

// state is all that a checkpoint holds.
type state struct {
	resources map[penumbra.Address][]stay
	open      int
	classes   map[classKey]*class
	types     map[string]*table
	estate    table
	evidence  [len(strengths)]float64
}

type classKey struct {
	Type string `cbor:"1,keyasint"`
	Path string `cbor:"2,keyasint"`
}

// class is a type and a path with list indices masked, in all its values.
type class struct {
	table
	key    classKey
	kind   *table // of its type
	values []value
}

// value is one that settings of a class have taken.
type value struct {
	Digest uint32 `cbor:"1,keyasint"`
	Times  uint32 `cbor:"2,keyasint"` // it was taken
	Table  *table `cbor:"3,keyasint"`
	Before []home `cbor:"4,keyasint"`
}

// home is a value from which was come.
type home struct {
	Digest uint32 `cbor:"1,keyasint"`
	Times  uint32 `cbor:"2,keyasint"`
}

const (
	maxValues = 4
	maxBefore = 4
)

// stay is a state that is open.
type stay struct {
	class    *class
	path     string
	from, to penumbra.Value
	value    uint32 // digest of to
	since    int64  // Unix seconds
}

// strengths are how many states the wider table may be worth.
var strengths = [...]float64{0.5, 1, 2, 4, 8, 16}

// New returns a model that has seen nothing.
func New(o Options) *Model {
	if o.Quantile <= 0 || o.Quantile >= 1 {
		o.Quantile = 0.9
	}
	if o.Support <= 0 {
		o.Support = 8
	}
	if o.Returns <= 0 || o.Returns > 1 {
		o.Returns = 0.5
	}
	if o.Capacity <= 0 {
		o.Capacity = 1 << 20
	}
	return &Model{options: o, state: newState()}
}

func newState() state {
	return state{resources: map[penumbra.Address][]stay{}, classes: map[classKey]*class{}, types: map[string]*table{}}
}

// Learn takes a step of a value in.
func (m *Model) Learn(c *shadow.Change) {
	at := c.By.Time.Unix()
	stays := m.resources[c.Resource]
	i := slices.IndexFunc(stays, func(s stay) bool { return s.path == c.Path })
	back := false
	if i >= 0 {
		s := stays[i]
		if s.to == c.To {
			return // it is told again, by another name
		}
		if s.to == c.From {
			how := moved
			if back = s.from == c.To || s.class.comesFrom(s.to, c.To); back {
				how = returned
			}
			m.end(&s, how, at)
		}
		m.drop(c.Resource, i)
	}
	// Who is back is where it rests.
	if !back && !c.To.IsNull() && m.open < m.options.Capacity {
		k := m.class(c.Type, c.Class)
		k.take(c.To, c.From)
		m.resources[c.Resource] = append(m.resources[c.Resource], stay{k, c.Path, c.From, c.To, digest(c.To), at})
		m.open++
	}
}

// drop ends that a state is followed.
func (m *Model) drop(address penumbra.Address, i int) {
	m.open--
	if stays := slices.Delete(m.resources[address], i, i+1); len(stays) > 0 {
		m.resources[address] = stays
	} else {
		delete(m.resources, address)
	}
}

// End ends the states of a resource that is no more. What became of them nobody
// knows.
func (m *Model) End(address penumbra.Address, at time.Time) {
	stays := m.resources[address]
	for i := range stays {
		m.end(&stays[i], ended, at.Unix())
	}
	m.open -= len(stays)
	delete(m.resources, address)
}

// end counts a state that is over, in the tables of its value, its setting, its
// type and the estate.
func (m *Model) end(s *stay, how outcome, at int64) {
	b := binOf(at - s.since)
	levels, n := m.levels(s.class, s.value)
	if how != ended && n == len(levels) {
		for i, strength := range strengths {
			h := fleeting
			for _, t := range levels[:n] {
				h.update(t, strength, false)
			}
			m.evidence[i] += h.likelihood(b, how)
		}
	}
	for _, t := range levels[:n] {
		t.count(how, b, at)
	}
}

// levels returns the tables that hold states of the value, the widest first, and
// how many there are: all, or all but the value's own.
func (m *Model) levels(k *class, value uint32) (out [4]*table, n int) {
	out = [4]*table{&m.estate, k.kind, &k.table, nil}
	if x := k.value(value); x != nil {
		out[3] = x.Table
		return out, 4
	}
	return out, 3
}

// strength is the one under which what ended was likeliest.
func (m *Model) strength() float64 {
	best := 2
	for i, e := range m.evidence {
		if e > m.evidence[best] {
			best = i
		}
	}
	return strengths[best]
}

func (m *state) class(kind, path string) *class {
	key := classKey{kind, path}
	k := m.classes[key]
	if k == nil {
		t := m.types[kind]
		if t == nil {
			t = &table{}
			m.types[kind] = t
		}
		k = &class{key: key, kind: t}
		m.classes[key] = k
	}
	return k
}

func (k *class) value(digest uint32) *value {
	for i := range k.values {
		if k.values[i].Digest == digest {
			return &k.values[i]
		}
	}
	return nil
}

// take notes that a setting took a value, and from which. The value taken least
// often makes room.
func (k *class) take(to, from penumbra.Value) {
	d := digest(to)
	x := k.value(d)
	if x == nil {
		if len(k.values) < maxValues {
			k.values = append(k.values, value{})
			x = &k.values[len(k.values)-1]
		} else {
			x = &k.values[0]
			for i := range k.values {
				if k.values[i].Times <= x.Times {
					x = &k.values[i]
				}
			}
		}
		*x = value{Digest: d, Table: &table{}}
	}
	x.Times++
	if from.IsNull() {
		return
	}
	d = digest(from)
	for i := range x.Before {
		if x.Before[i].Digest == d {
			x.Before[i].Times++
			return
		}
	}
	if len(x.Before) < maxBefore {
		x.Before = append(x.Before, home{d, 1})
		return
	}
	least := 0
	for i := range x.Before {
		if x.Before[i].Times < x.Before[least].Times {
			least = i
		}
	}
	x.Before[least] = home{d, 1}
}

// comesFrom reports whether settings of the class come from one value before
// they take the other.
func (k *class) comesFrom(v, before penumbra.Value) bool {
	x := k.value(digest(v))
	if x == nil || before.IsNull() {
		return false
	}
	d := digest(before)
	return slices.ContainsFunc(x.Before, func(h home) bool { return h.Digest == d })
}

// digest tells values apart, "true" from true as well.
func digest(v penumbra.Value) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte{byte(v.Kind())})
	_, _ = h.Write([]byte(v.Text()))
	return h.Sum32()
}

// count counts the open states by their age.
func (m *Model) count(at int64) {
	if m.counted == at {
		return
	}
	m.counted = at
	m.estate.open = [bins]float32{}
	for _, t := range m.types {
		t.open = [bins]float32{}
	}
	for _, k := range m.classes {
		k.open = [bins]float32{}
		for i := range k.values {
			k.values[i].Table.open = [bins]float32{}
		}
	}
	for _, stays := range m.resources {
		for i := range stays {
			s := &stays[i]
			b := binOf(at - s.since)
			levels, n := m.levels(s.class, s.value)
			for _, t := range levels[:n] {
				t.open[b]++
			}
		}
	}
}

// Typical is what is known of how long a value of a setting lasts.
type Typical struct {
	// Support is at how many times such states have gone back, of the value or, if
	// those are too few, of all values of the setting, which AnyValue says; Gone is
	// how many have.
	Support  int
	Gone     int
	AnyValue bool
	// Returns is the share that goes back in the end. Of those, half have gone
	// back by Median and the options' quantile by Limit.
	Returns       float64
	Median, Limit time.Duration

	back *incidence
}

// Typical returns what is known at a time of a value of a setting of a type,
// given as a path with list indices masked. It reports false where nothing is:
// too few have gone back, or most do not.
func (m *Model) Typical(kind, class string, v penumbra.Value, at time.Time) (Typical, bool) {
	k := m.classes[classKey{kind, class}]
	if k == nil {
		return Typical{}, false
	}
	return m.typical(k, v, at.Unix())
}

func (m *Model) typical(k *class, v penumbra.Value, at int64) (Typical, bool) {
	levels, n := m.levels(k, digest(v))
	by := levels[n-1]
	if int(by.Times) < m.options.Support {
		by = &k.table
	}
	x := Typical{Support: int(by.Times), Gone: by.gone(), AnyValue: by == &k.table}
	if x.Support < m.options.Support {
		return x, false
	}
	m.count(at)
	h := fleeting
	for _, t := range levels[:n] {
		h.update(t, m.strength(), true)
	}
	x.back = h.incidence()
	x.Returns = x.back.all()
	x.Median, x.Limit = x.back.quantile(0.5), x.back.quantile(m.options.Quantile)
	return x, x.Returns >= m.options.Returns
}

// Stuck returns the open states that last longer than the options' quantile of
// such states that go back, those that should most surely have gone back first.
func (m *Model) Stuck(at time.Time) []State {
	type kindOf struct {
		class *class
		value uint32
	}
	known := map[kindOf]*Typical{}
	var out []State
	for address, stays := range m.resources {
		for i := range stays {
			s := &stays[i]
			key := kindOf{s.class, s.value}
			x, ok := known[key]
			if !ok {
				if t, ok := m.typical(s.class, s.to, at.Unix()); ok {
					x = &t
				}
				known[key] = x
			}
			if x == nil {
				continue
			}
			if state := s.state(address, x, at); state.Age > x.Limit {
				out = append(out, state)
			}
		}
	}
	slices.SortFunc(out, func(a, b State) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), cmp.Compare(b.Age, a.Age),
			cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Path, b.Path))
	})
	return out
}

// Of returns the state that a setting is in, stuck or not. It reports false if
// it is in none, or nothing is known of such.
func (m *Model) Of(address penumbra.Address, path string, at time.Time) (State, bool) {
	for i := range m.resources[address] {
		if s := &m.resources[address][i]; s.path == path {
			x, ok := m.typical(s.class, s.to, at.Unix())
			if !ok {
				return State{}, false
			}
			return s.state(address, &x, at), true
		}
	}
	return State{}, false
}

// StuckOf returns the states of one resource that are stuck, as Stuck does, in
// the order in which they began.
func (m *Model) StuckOf(address penumbra.Address, at time.Time) []State {
	var out []State
	for i := range m.resources[address] {
		s := &m.resources[address][i]
		if x, ok := m.typical(s.class, s.to, at.Unix()); ok {
			if state := s.state(address, &x, at); state.Stuck {
				out = append(out, state)
			}
		}
	}
	return out
}

func (s *stay) state(address penumbra.Address, x *Typical, at time.Time) State {
	age := at.Sub(time.Unix(s.since, 0))
	return State{
		Resource: address, Type: s.class.key.Type, Path: s.path, Value: s.to, Before: s.from,
		Since: time.Unix(s.since, 0).UTC(), Age: age, Typical: *x, Probability: x.back.by(age.Seconds()),
		Stuck: age > x.Limit,
	}
}
