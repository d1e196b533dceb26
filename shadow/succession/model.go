package succession

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Options are the choices of a model.
type Options struct {
	// Known visits the settings that a resource has and their present values; it
	// is called from Learn, before the change is made. [shadow.Pooled.Known] is
	// one. Without it nothing is learnt but counts.
	Known func(address penumbra.Address, visit func(path, class string, value penumbra.Value))
}

// Model knows which settings of a resource change next. It is for one goroutine
// at a time.
type Model struct {
	options Options
	state
	commit  commit
	current question // that the changes being told answer
	answer  question // that Next was asked
}

// state is all that a checkpoint holds.
type state struct {
	resources map[penumbra.Address]*memory
	families  map[uint32]*memory // by the digest of shadow.Family
	folders   map[uint32]*memory
	index     map[classKey]*class
	classes   []*class // by number
	paths     map[string]*tally
	names     map[string]*tally
	weights   choice
}

// commit is what one commit or one read has brought so far. Nothing of it is
// counted before it is over: its changes are not each other's precursors.
type commit struct {
	at     int64
	source string
	open   bool // the current question is
	moves  []move
	asked  []asked
	// weights are what they will be when it is over, if something was learnt.
	weights choice
	learnt  bool
}

// move is a change to be counted.
type move struct {
	resource penumbra.Address
	class    uint32
	from, to uint32 // digests
}

// asked is a candidate of a question to be counted.
type asked struct {
	class, value uint32
	changed      bool
}

var _ shadow.Successor = (*Model)(nil)

// New returns a model that has seen nothing.
func New(o Options) *Model { return &Model{options: o, state: newState()} }

func newState() state {
	return state{
		resources: map[penumbra.Address]*memory{}, families: map[uint32]*memory{}, folders: map[uint32]*memory{},
		index: map[classKey]*class{}, paths: map[string]*tally{}, names: map[string]*tally{}, weights: newChoice(),
	}
}

// Learn takes a change in. Changes that one observation brings are told one
// after the other, and so are the observations of one commit or read, which
// have their time and source in common.
func (m *Model) Learn(c *shadow.Change) {
	at := c.By.Time.Unix()
	if at != m.commit.at || c.By.Source != m.commit.source {
		m.settle()
		m.commit.at, m.commit.source = at, c.By.Source
	}
	if !m.commit.open || m.current.resource != c.Resource {
		m.close()
		m.open(c, at)
	}
	k := m.class(c.Type, c.Class)
	m.current.hit(k.number)
	m.commit.moves = append(m.commit.moves, move{c.Resource, k.number, digest(c.From), digest(c.To)})
}

// End forgets a resource. What is known of its type and its family stays.
func (m *Model) End(address penumbra.Address) {
	m.settle()
	delete(m.resources, address)
}

// Next returns masked paths with the probability that the next change of the
// resource is theirs, the likeliest first, at most n. Of a commit that the last
// change told belongs to nothing is known yet, if it is of the same second. If
// several settings change at once each is one of so many.
func (m *Model) Next(r *penumbra.Resource, at time.Time, n int) []shadow.Ranked {
	if at.Unix() > m.commit.at {
		m.settle()
	}
	q := &m.answer
	m.begin(q, r.Address, at.Unix())
	settings := r.Actual
	if len(settings) == 0 {
		settings = r.Template
	}
	fresh := map[string]*class{}
	for _, s := range settings {
		q.add(m.look(r.Type, shadow.Mask(s.Path), fresh), s.Value)
	}
	m.prepare(q)
	m.weights.score(q)
	out := make([]shadow.Ranked, len(q.candidates))
	for i := range q.candidates {
		out[i] = shadow.Ranked{Class: q.candidates[i].class.key.Path, Probability: q.candidates[i].p}
	}
	slices.SortFunc(out, func(a, b shadow.Ranked) int {
		return cmp.Or(cmp.Compare(b.Probability, a.Probability), strings.Compare(a.Class, b.Class))
	})
	return out[:min(max(0, n), len(out))]
}

// open begins the question that a resource's changes answer.
func (m *Model) open(c *shadow.Change, at int64) {
	q := &m.current
	m.begin(q, c.Resource, at)
	if m.options.Known != nil {
		m.options.Known(c.Resource, func(path, class string, v penumbra.Value) {
			if path == c.Path {
				v = c.From
			}
			if !v.IsNull() {
				q.add(m.class(c.Type, class), v)
			}
		})
	}
	m.prepare(q)
	m.commit.open = true
}

// close learns from the current question.
func (m *Model) close() {
	if !m.commit.open {
		return
	}
	m.commit.open = false
	if !m.commit.learnt {
		m.commit.weights, m.commit.learnt = m.weights, true
	}
	m.commit.weights.learn(&m.current)
	for i := range m.current.candidates {
		x := &m.current.candidates[i]
		m.commit.asked = append(m.commit.asked, asked{x.class.number, x.value, x.hit})
	}
}

// settle counts what the commit brought.
func (m *Model) settle() {
	m.close()
	b := &m.commit
	if b.learnt {
		m.weights, b.learnt = b.weights, false
	}
	for _, x := range b.asked {
		c := m.classes[x.class]
		c.count(b.at, x.changed)
		c.path.count(b.at, x.changed)
		c.name.count(b.at, x.changed)
		c.countValue(x.value, b.at, x.changed)
	}
	done := map[uint32]bool{}
	for i, x := range b.moves {
		if i == 0 || x.resource != b.moves[i-1].resource {
			clear(done)
		}
		if !done[x.class] { // the elements of a list count as one
			done[x.class] = true
			m.count(x, b.at)
		}
	}
	b.moves, b.asked = b.moves[:0], b.asked[:0]
}

func (m *Model) count(x move, at int64) {
	r := m.resources[x.resource]
	if r == nil {
		r = &memory{}
		m.resources[x.resource] = r
	}
	last := r.At
	if last == at {
		last = r.Before
	}
	for i := range r.Entries {
		if e := &r.Entries[i]; e.At == last && last < at {
			e.Then = x.class + 1
			m.classes[e.Class].after.note(x.class, x.to, at)
		}
	}
	r.note(x.class, x.to, at)
	remembered(m.families, shadow.Family(x.resource)).note(x.class, x.to, at)
	remembered(m.folders, folder(x.resource)).note(x.class, x.to, at)
	c := m.classes[x.class]
	c.from, c.to, c.moved = x.from, x.to, at
}

func remembered(all map[uint32]*memory, name string) *memory {
	key := text(name)
	x := all[key]
	if x == nil {
		x = &memory{}
		all[key] = x
	}
	return x
}

// class returns the class, made if there is none.
func (m *state) class(kind, path string) *class {
	key := classKey{kind, path}
	c := m.index[key]
	if c == nil {
		c = &class{number: uint32(len(m.classes)), key: key, path: tallied(m.paths, path), name: tallied(m.names, lastName(path))}
		m.index[key] = c
		m.classes = append(m.classes, c)
	}
	return c
}

// look returns the class; of one that nothing is known of yet one that is not
// kept, the same for the same path.
func (m *state) look(kind, path string, fresh map[string]*class) *class {
	if c := m.index[classKey{kind, path}]; c != nil {
		return c
	}
	c := fresh[path]
	if c == nil {
		c = &class{number: math.MaxUint32 - uint32(len(fresh)), key: classKey{kind, path}, path: m.paths[path], name: m.names[lastName(path)]}
		if c.path == nil {
			c.path = &tally{}
		}
		if c.name == nil {
			c.name = &tally{}
		}
		fresh[path] = c
	}
	return c
}

func tallied(all map[string]*tally, key string) *tally {
	t := all[key]
	if t == nil {
		t = &tally{}
		all[key] = t
	}
	return t
}

// digest is 0 of what is not there.
func digest(v penumbra.Value) uint32 {
	if v.IsNull() {
		return 0
	}
	return text(v.Text())
}

func text(s string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(s))
	return h.Sum32()
}

// folder returns what the resource shares with those declared beside it: the
// part before the last '|', else before the last slash.
func folder(a penumbra.Address) string {
	s := string(a)
	if i := strings.LastIndexByte(s, '|'); i >= 0 {
		return s[:i]
	}
	return s[:max(0, strings.LastIndexByte(s, '/'))]
}
