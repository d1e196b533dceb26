// Package catalogue answers one question: what is there, in lists and in numbers? It
// keeps a line of each resource, and the drifts and anomalies that go on, with a lock
// of its own that is held for moments only. So a list of 100,000 resources never waits
// for a batch of observations that is being folded, and counts are kept rather than
// counted.
//
// Whoever folds, judges and stores tells it; what it holds is what they told last.
package catalogue

import (
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/btree"

	"github.com/penumbra-iac/penumbra"
)

// Catalogue is what lists and counts are answered from. The zero value is not usable.
type Catalogue struct {
	mu        sync.RWMutex
	lines     map[penumbra.Address]*entry
	gravest   *tree // all lines
	stacks    map[string]*stackTally
	drifts    map[string]*found
	anomalies map[string]penumbra.Address // what goes on, by identifier: the resource
	closer    []penumbra.Attention        // what is read more often for a time, by resource
	family    string                      // of the model that serves
	version   int
}

// Line is one resource as lists show it, with what is needed to say more of it.
type Line struct {
	penumbra.ResourceStatus
	Claims []string  // the sources that read it; not to be changed
	Last   time.Time // of its newest observation
	Gone   bool
}

// entry is the place of a line in the order that most lists want. Another verdict is
// another place, and another entry; anything else that becomes of the line, as most
// snapshots have it, moves nothing.
type entry struct {
	verdict penumbra.Verdict
	address penumbra.Address
	of      *tally // that counts it
	text    string // address and type in lower case, for searching
	line    atomic.Pointer[Line]
}

// tree is lines in the order that most lists want.
type tree = btree.BTreeG[*entry]

func newTree() *tree { return btree.NewBTreeGOptions(isGraver, btree.Options{NoLocks: true}) }

// found is a drift that goes on. It is replaced, never changed.
type found struct {
	penumbra.Drift
	text  string // what a search looks through, in lower case
	stack string
	key   driftKey // its place in the list
}

// stackTally counts the resources of a stack, by their type: who may see some of them
// may so by nothing finer.
type stackTally struct {
	types   map[string]*tally
	last    *time.Time // of the newest observation of any
	gravest *tree      // its lines
}

// tally counts resources.
type tally struct {
	resources, settings int
	verdicts            map[penumbra.Verdict]int
}

// New returns an empty catalogue.
func New() *Catalogue {
	return &Catalogue{
		lines: map[penumbra.Address]*entry{}, gravest: newTree(), stacks: map[string]*stackTally{},
		drifts: map[string]*found{}, anomalies: map[string]penumbra.Address{},
	}
}

// Note takes down what a resource has become.
func (c *Catalogue) Note(l Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.lines[l.Address]
	if before != nil && before.verdict == l.Verdict && before.line.Load().Type == l.Type && !l.Gone {
		was := before.line.Swap(&l)
		before.of.settings += settings(&l) - settings(was)
		c.stacks[l.Address.Stack()].newer(l.Last)
		return
	}
	if before != nil {
		c.remove(before)
	}
	if !l.Gone {
		c.add(&l)
	}
}

func settings(l *Line) int { return max(l.Settings, l.Declared) }

func (t *stackTally) newer(last time.Time) {
	if last.After(*t.last) {
		*t.last = last
	}
}

// add puts a line into its place. c.mu is held.
func (c *Catalogue) add(l *Line) {
	name := l.Address.Stack()
	stack, known := c.stacks[name]
	if !known {
		stack = &stackTally{map[string]*tally{}, new(time.Time), newTree()}
		c.stacks[name] = stack
	}
	t := stack.types[l.Type]
	if t == nil {
		t = &tally{verdicts: map[penumbra.Verdict]int{}}
		stack.types[l.Type] = t
	}
	t.resources++
	t.settings += settings(l)
	t.verdicts[l.Verdict]++
	stack.newer(l.Last)
	x := &entry{verdict: l.Verdict, address: l.Address, of: t, text: strings.ToLower(string(l.Address) + "\n" + l.Type)}
	x.line.Store(l)
	c.lines[l.Address] = x
	c.gravest.Set(x)
	stack.gravest.Set(x)
}

// remove takes a line out of its place. c.mu is held.
func (c *Catalogue) remove(x *entry) {
	name, l := x.address.Stack(), x.line.Load()
	stack := c.stacks[name]
	x.of.resources--
	x.of.settings -= settings(l)
	if x.of.verdicts[x.verdict]--; x.of.verdicts[x.verdict] == 0 {
		delete(x.of.verdicts, x.verdict)
	}
	if x.of.resources == 0 {
		delete(stack.types, l.Type)
	}
	if len(stack.types) == 0 {
		delete(c.stacks, name)
	}
	delete(c.lines, x.address)
	c.gravest.Delete(x)
	stack.gravest.Delete(x)
}

// Reset takes down all resources anew.
func (c *Catalogue) Reset(lines iter.Seq[Line]) {
	fresh := New()
	for l := range lines {
		fresh.Note(l)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines, c.gravest, c.stacks = fresh.lines, fresh.gravest, fresh.stacks
}

// Found takes down drifts as they were stored.
func (c *Catalogue) Found(drifts []penumbra.Drift) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range drifts {
		if d.Active() {
			c.drifts[d.ID] = &found{Drift: d, text: driftText(&d), stack: d.Resource.Stack(), key: keyOf(&d)}
		} else {
			delete(c.drifts, d.ID)
		}
	}
}

// driftText is what a search for drifts looks through.
func driftText(d *penumbra.Drift) string {
	var b strings.Builder
	for _, s := range []string{d.ID, string(d.Resource), d.Type, d.Cause.Actor, d.Cause.Action} {
		b.WriteString(s)
		b.WriteByte('\n')
	}
	for i := range d.Findings {
		b.WriteString(d.Findings[i].Path)
		b.WriteByte('\n')
	}
	return strings.ToLower(b.String())
}

// Noticed takes down anomalies as they were stored.
func (c *Catalogue) Noticed(anomalies []penumbra.Anomaly) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range anomalies {
		if a.Active() {
			c.anomalies[a.ID] = a.Resource
		} else {
			delete(c.anomalies, a.ID)
		}
	}
}

// Serves takes down which model keeps the shadow.
func (c *Catalogue) Serves(family string, version int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.family, c.version = family, version
}

// Closer takes down what is read more often for a time, by resource. The list is the
// catalogue's from then on.
func (c *Catalogue) Closer(list []penumbra.Attention) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closer = list
}

// Has reports whether a stack has resources.
func (c *Catalogue) Has(stack string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.stacks[stack] != nil
}

// Count returns how many resources the stacks have of the types.
func (c *Catalogue) Count(stacks, types map[string]bool) (n int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for stack := range stacks {
		of := c.stacks[stack]
		if of == nil {
			continue
		}
		for kind := range types {
			if t := of.types[kind]; t != nil {
				n += t.resources
			}
		}
	}
	return n
}

// Of returns the resources that a stack has of the types, of all types if there are none
// given: what it takes follows the stack, not all that is known.
func (c *Catalogue) Of(stack string, types map[string]bool) (out []penumbra.Address) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	of := c.stacks[stack]
	if of == nil {
		return nil
	}
	of.gravest.Scan(func(x *entry) bool {
		if len(types) == 0 || types[x.line.Load().Type] {
			out = append(out, x.address)
		}
		return true
	})
	return out
}

// TypeOf returns a resource's type, "" if there is no such resource.
func (c *Catalogue) TypeOf(a penumbra.Address) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.typeOf(a)
}

// typeOf is TypeOf while c.mu is held.
func (c *Catalogue) typeOf(a penumbra.Address) string {
	if x := c.lines[a]; x != nil {
		return x.line.Load().Type
	}
	return ""
}

// Sum fills in the counts of a status, and those of its stacks, which it adds where
// they are not there. A stack is added whether something of it counts or not.
func (c *Catalogue) Sum(q penumbra.StatusQuery, st *penumbra.Status, stacks map[string]*penumbra.StackStatus) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	st.Model, st.ModelVersion, st.Closer = c.family, c.version, slices.Clone(c.closer)
	for name, of := range c.stacks {
		s := stacks[name]
		if s == nil {
			s = &penumbra.StackStatus{Name: name, Source: "timeline"}
			stacks[name] = s
		}
		if s.Source == "timeline" && of.last.After(s.LastRead) {
			s.LastRead = *of.last
		}
		for kind, t := range of.types {
			if !q.Resources.Includes(name, kind) {
				continue
			}
			s.Resources += t.resources
			st.Resources += t.resources
			st.Settings += t.settings
			for v, n := range t.verdicts {
				s.Worst = max(s.Worst, v)
				st.Verdicts[v] += n
			}
		}
	}
	for _, d := range c.drifts {
		if q.Drifts.Includes(d.stack, d.Type) {
			st.Drifts[d.Verdict]++
		}
	}
	for _, resource := range c.anomalies {
		if q.Anomalies == nil || q.Anomalies(resource.Stack(), c.typeOf(resource)) {
			st.Anomalies++
		}
	}
}
