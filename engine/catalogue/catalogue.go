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
	"strings"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/penumbra-iac/penumbra"
)

// Catalogue is what lists and counts are answered from. The zero value is not usable.
type Catalogue struct {
	mu        sync.RWMutex
	lines     map[penumbra.Address]*entry
	gravest   *btree.BTreeG[*entry] // the lines in the order that most lists want
	stacks    map[string]*tally
	drifts    map[string]*found
	anomalies map[string]bool
	family    string // of the model that serves
	version   int
}

// Line is one resource as lists show it, with what is needed to say more of it.
type Line struct {
	penumbra.ResourceStatus
	Claims []string  // the sources that read it; not to be changed
	Last   time.Time // of its newest observation
	Gone   bool
}

// entry is a line as it is kept. It is replaced, never changed.
type entry struct {
	Line
	stack string
	text  string // address and type in lower case, for searching
}

// found is a drift that goes on. It is replaced, never changed.
type found struct {
	penumbra.Drift
	text string // what a search looks through, in lower case
}

// tally counts the resources of a stack.
type tally struct {
	resources, settings int
	verdicts            map[penumbra.Verdict]int
	last                time.Time
}

// New returns an empty catalogue.
func New() *Catalogue {
	return &Catalogue{
		lines: map[penumbra.Address]*entry{}, gravest: btree.NewBTreeGOptions(isGraver, btree.Options{NoLocks: true}), stacks: map[string]*tally{},
		drifts: map[string]*found{}, anomalies: map[string]bool{},
	}
}

// Note takes down what a resource has become.
func (c *Catalogue) Note(l Line) {
	now := &entry{Line: l, stack: l.Address.Stack()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.lines[l.Address]; before != nil {
		c.count(before, -1)
		now.text = before.text
		if before.Verdict != l.Verdict || l.Gone {
			c.gravest.Delete(before)
		}
	} else {
		now.text = strings.ToLower(string(l.Address) + "\n" + l.Type)
	}
	if l.Gone {
		delete(c.lines, l.Address)
		return
	}
	c.lines[l.Address] = now
	c.gravest.Set(now)
	c.count(now, 1)
}

// count adds a line to its stack's tally, or takes it away again. c.mu is held.
func (c *Catalogue) count(l *entry, by int) {
	t := c.stacks[l.stack]
	if t == nil {
		t = &tally{verdicts: map[penumbra.Verdict]int{}}
		c.stacks[l.stack] = t
	}
	t.resources += by
	t.settings += by * max(l.Settings, l.Declared)
	if t.verdicts[l.Verdict] += by; t.verdicts[l.Verdict] == 0 {
		delete(t.verdicts, l.Verdict)
	}
	if l.Last.After(t.last) {
		t.last = l.Last
	}
	if t.resources == 0 {
		delete(c.stacks, l.stack)
	}
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
			c.drifts[d.ID] = &found{Drift: d, text: driftText(&d)}
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
			c.anomalies[a.ID] = true
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

// Has reports whether a stack has resources.
func (c *Catalogue) Has(stack string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.stacks[stack] != nil
}

// Sum fills in the counts of a status, and those of its stacks, which it adds where
// they are not there.
func (c *Catalogue) Sum(st *penumbra.Status, stacks map[string]*penumbra.StackStatus) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	st.Anomalies, st.Model, st.ModelVersion = len(c.anomalies), c.family, c.version
	for name, t := range c.stacks {
		s := stacks[name]
		if s == nil {
			s = &penumbra.StackStatus{Name: name, Source: "timeline"}
			stacks[name] = s
		}
		if s.Source == "timeline" && t.last.After(s.LastRead) {
			s.LastRead = t.last
		}
		s.Resources += t.resources
		st.Resources += t.resources
		st.Settings += t.settings
		for v, n := range t.verdicts {
			s.Worst = max(s.Worst, v)
			st.Verdicts[v] += n
		}
	}
	for _, d := range c.drifts {
		st.Drifts[d.Verdict]++
	}
}
