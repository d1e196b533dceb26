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

func (l *Line) key() resourceKey {
	return resourceKey{l.Verdict, l.Type, l.Settings, l.Snapshot, l.Address}
}

// line returns one that stands where the key's stood.
func (k resourceKey) line() *Line {
	return &Line{ResourceStatus: penumbra.ResourceStatus{Verdict: k.Verdict, Type: k.Type, Settings: k.Settings, Snapshot: k.Seen, Address: k.Address}}
}

// orders are those that lists can be asked for in.
var orders = map[penumbra.ResourceOrder]func(a, b *Line) int{
	penumbra.GravestResources: func(a, b *Line) int {
		return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), cmp.Compare(a.Address, b.Address))
	},
	penumbra.ByAddress: func(a, b *Line) int { return cmp.Compare(a.Address, b.Address) },
	penumbra.ByType: func(a, b *Line) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Address, b.Address))
	},
	penumbra.BySettings: func(a, b *Line) int {
		return cmp.Or(cmp.Compare(b.Settings, a.Settings), cmp.Compare(a.Address, b.Address))
	},
	penumbra.LongestUnseen: func(a, b *Line) int {
		return cmp.Or(a.Snapshot.Compare(b.Snapshot), cmp.Compare(a.Address, b.Address))
	},
}

// byGravity is the first of the orders, of places.
func byGravity(a, b *entry) int {
	if a.verdict != b.verdict {
		return cmp.Compare(b.verdict, a.verdict)
	}
	return cmp.Compare(a.address, b.address)
}

func isGraver(a, b *entry) bool { return byGravity(a, b) < 0 }

// Resources returns a page of the resources that a query selects, without when each
// is read next, how many there are on all pages and the cursor of the next one. It
// returns an error of kind Invalid if the query's order or cursor is none.
func (c *Catalogue) Resources(q penumbra.ResourceQuery) (page []Line, selected int, next string, err error) {
	order, ok := orders[q.Order]
	if !ok {
		return nil, 0, "", &penumbra.Error{Kind: penumbra.Invalid, What: "order " + string(q.Order) + " is none of resources", Remedy: "use address, type, settings or seen, or none for the gravest first"}
	}
	var from *Line
	if q.After != "" {
		var key resourceKey
		if err := penumbra.ReadCursor(q.After, &key); err != nil {
			return nil, 0, "", err
		}
		from = key.line()
	}
	var lines []*Line
	var more bool
	if q.Order == penumbra.GravestResources {
		lines, selected, more = c.walk(&q, from)
	} else {
		lines = c.selected(&q)
		selected = len(lines)
		if from != nil {
			lines = slices.DeleteFunc(lines, func(l *Line) bool { return order(l, from) <= 0 })
		}
		lines, more = cut(lines, q.Page, order)
	}
	page = make([]Line, len(lines))
	for i, l := range lines {
		page[i] = *l
	}
	if more {
		next = penumbra.WriteCursor(lines[len(lines)-1].key())
	}
	return page, selected, next, nil
}

// walk returns a page in the order that is kept, from a line on, nil for the first.
// It goes no further than it must.
func (c *Catalogue) walk(q *penumbra.ResourceQuery, behind *Line) (page []*Line, selected int, more bool) {
	var from *entry
	if behind != nil {
		from = &entry{verdict: behind.Verdict, address: behind.Address}
	}
	c.mu.Lock()
	walked := c.gravest
	if of := c.stacks[q.Stack]; of != nil {
		walked = of.gravest
	}
	walked = walked.Copy() // shares its nodes until one of the two changes
	selects, n := c.selector(q)
	c.mu.Unlock()
	if n == 0 {
		return nil, 0, false
	}
	counted := strings.TrimSpace(q.Text) == ""
	if counted {
		selected = n
	}
	skip, met := q.Offset, 0
	visit := func(l *entry) bool {
		if !selects(l) {
			return true
		}
		met++
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
			page = append(page, l.line.Load())
		}
		return !counted || met < n
	}
	if from == nil || !counted {
		walked.Scan(visit)
	} else {
		walked.Ascend(from, func(l *entry) bool { return byGravity(l, from) <= 0 || visit(l) })
	}
	return page, selected, more
}

// selector returns what tells whether a query selects a line, and how many it selects
// but for its text. c.mu is held.
func (c *Catalogue) selector(q *penumbra.ResourceQuery) (selects func(*entry) bool, n int) {
	chosen, all := map[*tally]bool{}, true
	for stack, of := range c.stacks {
		for kind, t := range of.types {
			if q.Stack != "" && stack != q.Stack || q.Type != "" && kind != q.Type || !q.Sees.Includes(stack, kind) {
				all = false
				continue
			}
			chosen[t] = true
			if len(q.Verdicts) == 0 {
				n += t.resources
				continue
			}
			for v, x := range t.verdicts {
				if slices.Contains(q.Verdicts, v) {
					n += x
				}
			}
		}
	}
	text := strings.ToLower(strings.TrimSpace(q.Text))
	return func(l *entry) bool {
		return (all || chosen[l.of]) && (len(q.Verdicts) == 0 || slices.Contains(q.Verdicts, l.verdict)) && (text == "" || strings.Contains(l.text, text))
	}, n
}

// selected returns what a query selects, on all pages.
func (c *Catalogue) selected(q *penumbra.ResourceQuery) []*Line {
	c.mu.RLock()
	defer c.mu.RUnlock()
	selects, _ := c.selector(q)
	var out []*Line
	for _, x := range c.lines {
		if selects(x) {
			out = append(out, x.line.Load())
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
	drifts, facets := c.chosen(&q, now)
	page := penumbra.DriftPage{Found: len(drifts), Drifts: []penumbra.Drift{}, Facets: facets}
	if q.After != "" {
		drifts = slices.DeleteFunc(drifts, func(d *found) bool { return d.key.compare(from) <= 0 })
	}
	drifts, more := cut(drifts, penumbra.Page{Limit: q.Limit, Offset: q.Offset}, func(a, b *found) int { return a.key.compare(b.key) })
	for _, d := range drifts {
		page.Drifts = append(page.Drifts, d.Drift)
	}
	if more {
		page.Next = penumbra.WriteCursor(drifts[len(drifts)-1].key)
	}
	return page, nil
}

// chosen returns the drifts that a query selects, in no order, and its facets if it
// asks for them.
func (c *Catalogue) chosen(q *penumbra.DriftQuery, now time.Time) ([]*found, *penumbra.DriftFacets) {
	text := strings.ToLower(strings.TrimSpace(q.Text))
	var facets *penumbra.DriftFacets
	wide := *q // snoozed or not, of any verdict
	if q.Facets {
		facets = &penumbra.DriftFacets{Stacks: map[string]int{}, Verdicts: map[penumbra.Verdict]int{}}
		wide.Verdicts, wide.Snoozed = nil, nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if q.ID != "" && facets == nil {
		if d := c.drifts[q.ID]; d != nil && q.Selects(&d.Drift, now) && strings.Contains(d.text, text) {
			return []*found{d}, nil
		}
		return nil, nil
	}
	var drifts []*found
	for _, d := range c.drifts {
		if facets != nil && q.Sees.Includes(d.stack, d.Type) {
			facets.Stacks[d.stack]++
		}
		if !wide.Selects(&d.Drift, now) || !strings.Contains(d.text, text) {
			continue
		}
		if facets != nil {
			if d.Snoozed(now) {
				facets.Snoozed++
			} else {
				facets.Verdicts[d.Verdict]++
			}
			if !q.Selects(&d.Drift, now) {
				continue
			}
		}
		drifts = append(drifts, d)
	}
	return drifts, facets
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
