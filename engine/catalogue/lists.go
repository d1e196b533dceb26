package catalogue

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// resourceKey is the place of a line in any of the orders: what a page ends with.
type resourceKey struct {
	Verdict  penumbra.Verdict `json:"v,omitempty"`
	Type     string           `json:"t,omitempty"`
	Settings int              `json:"n,omitempty"`
	Seen     time.Time        `json:"s,omitzero"`
	Address  penumbra.Address `json:"a"`
}

func (l *entry) key() resourceKey {
	return resourceKey{l.Verdict, l.Type, l.Settings, l.Snapshot, l.Address}
}

// entry returns a line that stands where the key's stood.
func (k resourceKey) entry() *entry {
	return &entry{Line: Line{ResourceStatus: penumbra.ResourceStatus{Verdict: k.Verdict, Type: k.Type, Settings: k.Settings, Snapshot: k.Seen, Address: k.Address}}}
}

// orders are those that lists can be asked for in.
var orders = map[penumbra.ResourceOrder]func(a, b *entry) int{
	penumbra.GravestResources: func(a, b *entry) int {
		if a.Verdict != b.Verdict {
			return cmp.Compare(b.Verdict, a.Verdict)
		}
		return cmp.Compare(a.Address, b.Address)
	},
	penumbra.ByAddress: func(a, b *entry) int { return cmp.Compare(a.Address, b.Address) },
	penumbra.ByType: func(a, b *entry) int {
		if a.Type != b.Type {
			return cmp.Compare(a.Type, b.Type)
		}
		return cmp.Compare(a.Address, b.Address)
	},
	penumbra.BySettings: func(a, b *entry) int {
		if a.Settings != b.Settings {
			return cmp.Compare(b.Settings, a.Settings)
		}
		return cmp.Compare(a.Address, b.Address)
	},
	penumbra.LongestUnseen: func(a, b *entry) int {
		if c := a.Snapshot.Compare(b.Snapshot); c != 0 {
			return c
		}
		return cmp.Compare(a.Address, b.Address)
	},
}

var byGravity = orders[penumbra.GravestResources]

func isGraver(a, b *entry) bool { return byGravity(a, b) < 0 }

// Resources returns a page of the resources that a query selects, without when each
// is read next, how many there are on all pages and the cursor of the next one. It
// returns an error of kind Invalid if the query's order or cursor is none.
func (c *Catalogue) Resources(q penumbra.ResourceQuery) (page []Line, selected int, next string, err error) {
	order, ok := orders[q.Order]
	if !ok {
		return nil, 0, "", &penumbra.Error{Kind: penumbra.Invalid, What: "order " + string(q.Order) + " is none of resources", Remedy: "use address, type, settings or seen, or none for the gravest first"}
	}
	var from *entry
	if q.After != "" {
		var key resourceKey
		if err := penumbra.ReadCursor(q.After, &key); err != nil {
			return nil, 0, "", err
		}
		from = key.entry()
	}
	var lines []*entry
	var more bool
	if q.Order == penumbra.GravestResources {
		lines, selected, more = c.walk(&q, from)
	} else {
		lines = c.selected(&q)
		selected = len(lines)
		if from != nil {
			lines = slices.DeleteFunc(lines, func(l *entry) bool { return order(l, from) <= 0 })
		}
		lines, more = cut(lines, q.Page, order)
	}
	page = make([]Line, len(lines))
	for i, l := range lines {
		page[i] = l.Line
	}
	if more {
		next = penumbra.WriteCursor(lines[len(lines)-1].key())
	}
	return page, selected, next, nil
}

// walk returns a page in the order that is kept, from a line on, nil for the first.
// It goes no further than it must.
func (c *Catalogue) walk(q *penumbra.ResourceQuery, from *entry) (page []*entry, selected int, more bool) {
	selects := selector(q)
	c.mu.Lock()
	tree := c.gravest.Copy() // shares its nodes until one of the two changes
	counted := q.Type == "" && q.Sees == nil && strings.TrimSpace(q.Text) == ""
	if counted {
		selected = c.tallied(q)
	}
	c.mu.Unlock()
	skip := q.Offset
	visit := func(l *entry) bool {
		if !selects(l) {
			return true
		}
		if !counted {
			selected++
			if from != nil && byGravity(l, from) <= 0 {
				return true
			}
		}
		switch {
		case skip > 0:
			skip--
		case q.Limit > 0 && len(page) == q.Limit:
			more = true
			return !counted
		default:
			page = append(page, l)
		}
		return true
	}
	if from == nil || !counted {
		tree.Scan(visit)
	} else {
		tree.Ascend(from, func(l *entry) bool { return byGravity(l, from) <= 0 || visit(l) })
	}
	return page, selected, more
}

// tallied counts what a query for stacks and verdicts selects. c.mu is held.
func (c *Catalogue) tallied(q *penumbra.ResourceQuery) (n int) {
	for stack, t := range c.stacks {
		switch {
		case q.Stack != "" && stack != q.Stack:
		case len(q.Verdicts) == 0:
			n += t.resources
		default:
			for v, of := range t.verdicts {
				if slices.Contains(q.Verdicts, v) {
					n += of
				}
			}
		}
	}
	return n
}

// selector returns what tells whether a query selects a line.
func selector(q *penumbra.ResourceQuery) func(*entry) bool {
	text := strings.ToLower(strings.TrimSpace(q.Text))
	return func(l *entry) bool {
		return (q.Stack == "" || l.stack == q.Stack) && (q.Type == "" || l.Type == q.Type) &&
			(len(q.Verdicts) == 0 || slices.Contains(q.Verdicts, l.Verdict)) && (text == "" || strings.Contains(l.text, text)) &&
			(q.Sees == nil || q.Sees(l.Address, l.Type))
	}
}

// selected returns what a query selects, on all pages.
func (c *Catalogue) selected(q *penumbra.ResourceQuery) []*entry {
	selects := selector(q)
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*entry
	for _, l := range c.lines {
		if selects(l) {
			out = append(out, l)
		}
	}
	return out
}

// driftKey is the place of a drift in the order of those that go on.
type driftKey struct {
	Pressing int              `json:"p,omitempty"`
	Verdict  penumbra.Verdict `json:"v,omitempty"`
	Changed  time.Time        `json:"c"`
	ID       string           `json:"i"`
}

func keyOf(d *penumbra.Drift) driftKey {
	return driftKey{d.Pressing(), d.Verdict, d.Changed, d.ID}
}

func (k driftKey) compare(x driftKey) int {
	return cmp.Or(cmp.Compare(x.Pressing, k.Pressing), cmp.Compare(x.Verdict, k.Verdict), x.Changed.Compare(k.Changed), cmp.Compare(k.ID, x.ID))
}

// Drifts returns a page of the drifts that go on and that a query selects: by what
// presses, then by verdict, then the last changed. now is when a snooze holds or does
// not. It returns an error of kind Invalid if the query's cursor is none.
func (c *Catalogue) Drifts(q penumbra.DriftQuery, now time.Time) (penumbra.DriftPage, error) {
	var from driftKey
	if err := penumbra.ReadCursor(q.After, &from); err != nil {
		return penumbra.DriftPage{}, err
	}
	text := strings.ToLower(strings.TrimSpace(q.Text))
	var drifts []*found
	c.mu.RLock()
	for _, d := range c.drifts {
		if q.Selects(&d.Drift, now) && (text == "" || strings.Contains(d.text, text)) {
			drifts = append(drifts, d)
		}
	}
	c.mu.RUnlock()
	page := penumbra.DriftPage{Found: len(drifts), Drifts: []penumbra.Drift{}}
	if q.After != "" {
		drifts = slices.DeleteFunc(drifts, func(d *found) bool { return keyOf(&d.Drift).compare(from) <= 0 })
	}
	drifts, more := cut(drifts, penumbra.Page{Limit: q.Limit, Offset: q.Offset}, func(a, b *found) int { return keyOf(&a.Drift).compare(keyOf(&b.Drift)) })
	for _, d := range drifts {
		page.Drifts = append(page.Drifts, d.Drift)
	}
	if more {
		page.Next = penumbra.WriteCursor(keyOf(&drifts[len(drifts)-1].Drift))
	}
	return page, nil
}

// DriftText reports whether a text occurs in what a search for drifts looks through:
// the address, the type, who or what it is put down to, the paths of its findings.
func DriftText(d *penumbra.Drift, text string) bool {
	text = strings.ToLower(strings.TrimSpace(text))
	return text == "" || strings.Contains(driftText(d), text)
}

// cut returns a page of a list in an order, and whether there is more behind it.
func cut[T any](list []T, page penumbra.Page, order func(a, b T) int) (_ []T, more bool) {
	if page.Limit <= 0 {
		slices.SortFunc(list, order)
		return list[min(page.Offset, len(list)):], false
	}
	n := page.Offset + page.Limit
	more = len(list) > n
	list = smallest(list, n, order)
	return list[min(page.Offset, len(list)):], more
}

// smallest returns the first n of a list in an order, sorted. It sorts no more of a
// long list than it must.
func smallest[T any](list []T, n int, order func(a, b T) int) []T {
	if len(list) <= 4*n {
		slices.SortFunc(list, order)
		return list[:min(n, len(list))]
	}
	best := slices.Clone(list[:n])
	slices.SortFunc(best, order)
	var pending []T
	settle := func() {
		best = append(best, pending...)
		slices.SortFunc(best, order)
		best, pending = best[:n], pending[:0]
	}
	for _, x := range list[n:] {
		if order(x, best[n-1]) >= 0 {
			continue
		}
		if pending = append(pending, x); len(pending) == n {
			settle()
		}
	}
	settle()
	return best
}
