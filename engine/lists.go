package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/catalogue"
)

// line returns what the catalogue holds of a resource. e.mu is held.
func (r *tracked) line() catalogue.Line {
	return catalogue.Line{
		ResourceStatus: penumbra.ResourceStatus{
			Address: r.Address, Type: r.Type, Verdict: r.verdict, NotChecked: r.NotChecked,
			Settings: len(r.Actual), Declared: len(r.Template), Snapshot: r.SnapshotTime,
		},
		Claims: slices.Clone(r.claims), Last: r.last, Gone: r.Deleted,
	}
}

// Resources returns the resources of a stack, of all for "", the gravest
// verdict first, then by address.
func (e *Engine) Resources(ctx context.Context, stack string) ([]penumbra.ResourceStatus, error) {
	page, err := e.FindResources(ctx, penumbra.ResourceQuery{Stack: stack})
	return page.Resources, err
}

// FindResources returns a page of the resources that a query selects. It returns an
// error of kind NotFound if the stack is none, and of kind Invalid if the order or
// the cursor is none.
func (e *Engine) FindResources(_ context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error) {
	lines, found, next, err := e.catalogue.Resources(q)
	if err != nil {
		return penumbra.ResourcePage{}, err
	}
	if found == 0 && q.Stack != "" && !e.isKnown(q.Stack) {
		return penumbra.ResourcePage{}, noStack(q.Stack)
	}
	page := penumbra.ResourcePage{Resources: make([]penumbra.ResourceStatus, len(lines)), Found: found, Next: next}
	for i, l := range lines {
		page.Resources[i] = l.ResourceStatus
		page.Resources[i].NextRead = e.nextRead(&tracked{Resource: penumbra.Resource{Address: l.Address}, claims: l.Claims})
	}
	return page, nil
}

// Drifts returns the selected drifts: those that go on by what presses, then the
// resolved ones.
func (e *Engine) Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	page, err := e.FindDrifts(ctx, q)
	return page.Drifts, err
}

// FindDrifts returns a page of the drifts that a query selects: those that go on, by
// what presses, then by verdict, then the last changed; then the resolved ones, the
// last changed first. It returns an error of kind NotFound if a drift or a stack is
// named that is none, and of kind Invalid if the cursor is none.
func (e *Engine) FindDrifts(ctx context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error) {
	var from resolvedKey
	behind := q.After != "" && penumbra.ReadCursor(q.After, &from) == nil
	page := penumbra.DriftPage{Drifts: []penumbra.Drift{}}
	if !behind && !q.Resolved && !q.Accepted {
		var err error
		if page, err = e.catalogue.Drifts(q, e.cfg.Now()); err != nil {
			return page, err
		}
	}
	full := page.Next != "" || q.Limit > 0 && len(page.Drifts) == q.Limit && q.Active
	if q.ID != "" && len(page.Drifts) > 0 {
		return page, nil // there is one of a name
	}
	if !q.Active && !full {
		if err := e.addResolved(ctx, q, from, &page); err != nil {
			return page, err
		}
	}
	if len(page.Drifts) > 0 || q.After != "" || q.Offset > 0 {
		return page, nil
	}
	switch {
	case q.ID != "" && q.Resource == "" && q.Stack == "":
		return page, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no drift %q", q.ID), Remedy: "see `penumbra drift list`"}
	case q.Stack != "" && !e.isKnown(q.Stack):
		return page, noStack(q.Stack) // "no drift" would hide a misspelt name
	}
	return page, nil
}

// resolvedKey is where a page of resolved drifts ended.
type resolvedKey struct {
	Changed time.Time `json:"resolved"`
	ID      string    `json:"id"`
}

// resolvedAtOnce is how many resolved drifts are read from the store at a time.
const resolvedAtOnce = 200

// addResolved fills a page with resolved drifts behind one.
func (e *Engine) addResolved(ctx context.Context, q penumbra.DriftQuery, from resolvedKey, page *penumbra.DriftPage) error {
	stored := penumbra.DriftQuery{
		ID: q.ID, Resource: q.Resource, Stack: q.Stack, Resolved: true, Accepted: q.Accepted, Since: q.Since,
		Limit: resolvedAtOnce, Before: from.Changed, BeforeID: from.ID,
	}
	skip := max(0, q.Offset-max(page.Found, 0))
	page.Found = -1
	for now := e.cfg.Now(); ; {
		drifts, err := e.cfg.Store.Drifts(ctx, stored)
		if err != nil {
			return err
		}
		for i := range drifts {
			d := &drifts[i]
			stored.Before, stored.BeforeID = d.Changed, d.ID
			if !q.Selects(d, now) || !catalogue.DriftText(d, q.Text) {
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			if q.Limit > 0 && len(page.Drifts) == q.Limit {
				page.Next = penumbra.WriteCursor(from)
				return nil
			}
			page.Drifts = append(page.Drifts, *d)
			from = resolvedKey{d.Changed, d.ID}
		}
		if len(drifts) < resolvedAtOnce {
			return nil
		}
	}
}

// isKnown reports whether a stack is configured or has a resource.
func (e *Engine) isKnown(name string) bool { return e.stacks[name] != nil || e.catalogue.Has(name) }
