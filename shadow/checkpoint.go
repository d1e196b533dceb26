package shadow

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	checkpointMagic   = "penumbra pooled\n"
	checkpointVersion = 3
)

// WriteTo writes the whole state, see format.md. The same state gives the same
// bytes.
func (p *Pooled) WriteTo(w io.Writer) (int64, error) {
	c := &codec{ids: map[string]uint64{}}
	c.state(&p.state, p.prior.TokenFactors)
	if c.err != nil {
		return 0, fmt.Errorf("write checkpoint: %w", c.err)
	}
	size, err := w.Write(envelope.Seal(checkpointMagic, checkpointVersion, c.data))
	n := int64(size)
	if err != nil {
		return n, fmt.Errorf("write checkpoint: %w", err)
	}
	return n, nil
}

// ReadFrom replaces the state by one that WriteTo wrote. The hyper-parameters
// stay those of the options. It returns an error of kind Damaged, and leaves
// the state as it was, if the data is not a whole checkpoint of this model and
// of a version that it knows.
func (p *Pooled) ReadFrom(r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	n := int64(len(data))
	if err != nil {
		return n, fmt.Errorf("read checkpoint: %w", err)
	}
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, data)
	if err != nil {
		return n, damaged(err)
	}
	fresh := newState()
	c := &codec{reading: true, data: payload}
	c.state(&fresh, p.prior.TokenFactors)
	if c.err == nil && len(c.data) > 0 {
		c.fail("%d bytes are left over", len(c.data))
	}
	if c.err != nil {
		return n, damaged(c.err)
	}
	p.state = fresh
	return n, nil
}

func damaged(err error) error {
	return &penumbra.Error{
		Kind:   penumbra.Damaged,
		What:   "read the shadow's checkpoint",
		Remedy: "remove it: the model is built again from the timeline",
		Err:    err,
	}
}

// state describes everything, in an order that depends on nothing but the
// content.
func (c *codec) state(s *state, shipped map[string]float64) {
	c.uint(&s.late)
	c.uint(&s.version)
	c.number(&s.serial)
	c.pool(&s.all.pool)
	c.arrival(&s.arrival)
	c.groups(s.types)
	c.groups(s.tokens)
	c.groups(s.folders)
	c.siblings(s)
	c.actors(s)
	classes := c.classes(s, shipped)
	c.resources(s, classes)
}

func (c *codec) pool(p *pool) {
	c.int(&p.at)
	c.int(&p.swept)
	for _, x := range [...]*float64{&p.members, &p.exposure, &p.changes, &p.sweeps, &p.leaves, &p.surge, &p.flight, &p.month, &p.day} {
		c.float(x)
	}
}

func (c *codec) arrival(a *arrival) {
	for i := range a {
		c.float(&a[i])
	}
}

func (c *codec) groups(groups map[string]*group) {
	names := slices.Sorted(maps.Keys(groups))
	slice(c, &names, func(name *string) {
		c.text(name)
		g := groups[*name]
		if c.reading {
			g = &group{}
			groups[*name] = g
		}
		c.pool(&g.pool)
	})
}

// classes returns them in the order in which settings refer to them.
func (c *codec) classes(s *state, shipped map[string]float64) []*class {
	all := slices.SortedFunc(maps.Values(s.classes), func(a, b *class) int {
		return cmp.Or(cmp.Compare(a.key.kind, b.key.kind), cmp.Compare(a.key.path, b.key.path))
	})
	slice(c, &all, func(x **class) {
		if c.reading {
			*x = &class{}
		}
		k := *x
		c.text(&k.key.kind)
		c.text(&k.key.path)
		c.pool(&k.pool)
		c.float(&k.away)
		c.arrival(&k.arrival)
		c.number(&k.turns)
		for _, a := range [...]*arrived{&k.latest, &k.before, &k.gone} {
			c.value(&a.value)
			c.int(&a.time)
		}
		slice(c, &k.values, func(v *tally) {
			c.value(&v.value)
			c.float(&v.holders)
			c.float(&v.arrivals)
			c.float(&v.flights)
			c.float(&v.escapes)
			c.float(&v.left)
			c.float(&v.lost)
			c.int(&v.at)
			c.int(&v.since)
			c.float(&v.births)
			c.int(&v.born)
		})
		slice(c, &k.recent, c.moving)
		optional(c, &k.steps, func(s *steps) {
			c.int(&s.at)
			c.float32s(s.up[:])
			c.float32s(s.down[:])
		})
		if !c.reading {
			return
		}
		s.classes[k.key] = k
		k.hash = hashText(k.key.kind, k.key.path)
		token := lastToken(k.key.path)
		k.kind, k.token, k.shipped = s.types[k.key.kind], s.tokens[token], shipped[token]
		if k.kind == nil || k.token == nil {
			c.fail("class %s of %s belongs to no group", k.key.path, k.key.kind)
		}
		s.paths[k.key.path] = k.key.path
		s.paths[k.key.kind] = k.key.kind
	})
	return all
}

func (c *codec) resources(s *state, classes []*class) {
	numbers := make(map[*class]uint64, len(classes))
	for i, k := range classes {
		numbers[k] = uint64(i)
	}
	addresses := slices.Sorted(maps.Keys(s.resources))
	slice(c, &addresses, func(a *penumbra.Address) {
		name := string(*a)
		c.text(&name)
		*a = penumbra.Address(name)
		r := s.resources[*a]
		if c.reading {
			r = &resource{}
			s.resources[*a] = r
			if r.folder = s.folders[folder(*a)]; r.folder == nil {
				c.fail("resource %s belongs to no folder", *a)
				return
			}
			r.family, r.address = hashText(family(*a)), *a
		}
		c.resource(r)
		if c.reading {
			if r.number == 0 || r.number > s.serial {
				c.fail("resource %s has the number %d of %d", *a, r.number, s.serial)
				return
			}
			s.enrol(r)
		}
		slice(c, &r.settings, func(x *setting) {
			number := numbers[x.class]
			if c.uint(&number); number >= uint64(len(classes)) {
				c.fail("class %d is not there", number)
				return
			}
			x.class = classes[number]
			c.setting(x)
			if c.reading {
				s.paths[x.path] = x.path
			}
		})
	})
	if !c.reading || c.err != nil {
		return
	}
	if int(s.serial) > maxEnded+1024*len(s.resources) {
		c.fail("%d resources had numbers, of which %d are left", s.serial, len(s.resources))
		return
	}
	for len(s.numbered) < int(s.serial) {
		s.numbered = append(s.numbered, nil)
	}
}

// maxEnded keeps a damaged number from asking for all memory.
const maxEnded = 1 << 26

func (c *codec) resource(r *resource) {
	c.number(&r.number)
	c.text(&r.kind)
	for _, x := range [...]*int64{&r.last, &r.snapshot, &r.settled, &r.burstAt, &r.born} {
		c.int(x)
	}
	for _, x := range [...]*bool{&r.full, &r.code, &r.template, &r.settling} {
		c.bool(x)
	}
	c.float(&r.burst)
	c.activity(&r.own)
	slice(c, &r.touches, func(t *touch) {
		c.int(&t.time)
		actor := uint64(t.actor)
		c.uint(&actor)
		t.actor = penumbra.ActorKind(actor)
		c.number(&t.name)
		slice(c, &t.paths, c.text)
	})
}

func (c *codec) setting(s *setting) {
	c.text(&s.path)
	c.value(&s.template)
	c.value(&s.actual)
	c.second(&s.since)
	c.second(&s.seen)
	c.bool(&s.pending)
	c.number(&s.mark)
	optional(c, &s.history, c.history)
}

func (c *codec) history(h *history) {
	c.int(&h.at)
	c.int(&h.changed)
	for _, x := range [...]*float64{&h.changes, &h.leaves, &h.surge, &h.flight} {
		c.float(x)
	}
	c.activity(&h.recent)
	actor := uint64(h.actor)
	c.uint(&actor)
	h.actor = penumbra.ActorKind(actor)
	slice(c, &h.earlier, c.value)
	slice(c, &h.accepted, c.value)
	slice(c, &h.left, c.int)
	slice(c, &h.moves, c.moving)
	optional(c, &h.open, func(x *excursion) {
		c.value(&x.from)
		c.value(&x.value)
		c.int(&x.start)
		c.int(&x.after)
		c.int(&x.found)
		slice(c, &x.visits, func(v *visit) {
			c.value(&v.value)
			c.int(&v.start)
		})
	})
	optional(c, &h.habit, c.habit)
	optional(c, &h.clock, func(k *clock) {
		c.int(&k.day)
		c.float32s(k.at[:])
	})
}

func (c *codec) moving(m *moving) {
	c.int(&m.time)
	for _, x := range [...]*uint32{&m.resource, &m.path, &m.from, &m.to, &m.actor} {
		c.number(x)
	}
	by := uint64(m.by)
	c.uint(&by)
	m.by = penumbra.ActorKind(by)
	c.bool(&m.departure)
}

// actors are the names in the order of their numbers.
func (c *codec) actors(s *state) {
	slice(c, &s.actors, c.text)
	if !c.reading {
		return
	}
	for i, name := range s.actors {
		s.actorOf[name] = uint32(i + 1)
	}
}

func (c *codec) activity(a *activity) {
	c.int(&a.at)
	c.int(&a.first)
	sums := [...]float32{a.week, a.month, a.year, a.n}
	c.float32s(sums[:])
	a.week, a.month, a.year, a.n = sums[0], sums[1], sums[2], sums[3]
}

func (c *codec) siblings(s *state) {
	keys := slices.SortedFunc(maps.Keys(s.siblings), func(a, b siblingKey) int {
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.class, b.class))
	})
	slice(c, &keys, func(k *siblingKey) {
		c.number(&k.family)
		c.number(&k.class)
		b := s.siblings[*k]
		if c.reading {
			b = &sibling{}
			s.siblings[*k] = b
		}
		c.int(&b.last)
		c.number(&b.value)
		c.number(&b.before)
		sums := [...]float32{b.week, b.month, b.year}
		c.float32s(sums[:])
		b.week, b.month, b.year = sums[0], sums[1], sums[2]
	})
}

func (c *codec) habit(b *habit) {
	completed := uint64(b.completed)
	c.uint(&completed)
	b.completed = int(min(completed, 1<<31))
	c.int(&b.day)
	c.float32s(b.home[:])
	slice(c, &b.values, func(v *stay) {
		c.value(&v.value)
		visits := uint64(v.visits)
		c.uint(&visits)
		v.visits = int(min(visits, 1<<31))
		c.float32s(v.at[:])
	})
	slice(c, &b.numbers, c.float)
}
