package knowledge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Base holds entries, compiled. It does not change, so that any number of
// goroutines may ask it.
type Base struct {
	entries []*Entry            // by identifier
	byType  map[string][]*Entry // of the entries that name a type in full
	globs   []*Entry            // of the others
}

func newBase(entries []*Entry) *Base {
	slices.SortFunc(entries, byID)
	b := &Base{entries: entries, byType: map[string][]*Entry{}}
	for _, e := range entries {
		if slices.ContainsFunc(e.types, func(g glob) bool { return !g.literal }) {
			b.globs = append(b.globs, e)
			continue
		}
		for _, g := range e.types {
			if list := b.byType[g.text]; !slices.Contains(list, e) {
				b.byType[g.text] = append(list, e)
			}
		}
	}
	return b
}

func byID(a, b *Entry) int { return cmp.Compare(a.ID, b.ID) }

// Facts returns what the entries say to a query, by their identifiers.
func (b *Base) Facts(q penumbra.FactQuery) []penumbra.Fact {
	var out []penumbra.Fact
	inSteps := steps.Replace(q.Path)
	for _, list := range [...][]*Entry{b.byType[q.Type], b.globs} {
		for _, e := range list {
			if f, ok := e.fact(&q, inSteps); ok {
				out = append(out, f)
			}
		}
	}
	slices.SortFunc(out, func(x, y penumbra.Fact) int { return cmp.Compare(x.Entry, y.Entry) })
	return out
}

// Hazard returns what a value endangers, in one sentence, "" if nothing is
// known against it.
func (b *Base) Hazard(q penumbra.FactQuery) string {
	for _, f := range b.Facts(q) {
		if f.Hazard != "" {
			return f.Hazard
		}
	}
	return ""
}

// Entries returns all entries, by their identifiers.
func (b *Base) Entries() []*Entry { return b.entries }

// Entry returns the entry of an identifier.
func (b *Base) Entry(id string) (*Entry, bool) {
	i, ok := slices.BinarySearchFunc(b.entries, id, func(e *Entry, id string) int { return cmp.Compare(e.ID, id) })
	if !ok {
		return nil, false
	}
	return b.entries[i], true
}

// About returns the entries on a setting of a type, whatever their conditions.
func (b *Base) About(kind, path string) []*Entry {
	var out []*Entry
	for _, e := range b.entries {
		if e.on(kind) && e.at(path, steps.Replace(path)) {
			out = append(out, e)
		}
	}
	return out
}

// On reports whether the entry is about a type of resource.
func (e *Entry) On(kind string) bool { return e.on(kind) }

func (e *Entry) on(kind string) bool {
	return slices.ContainsFunc(e.types, func(g glob) bool { return g.match(kind, steps.Replace(kind)) })
}

func (e *Entry) at(path, inSteps string) bool {
	for i := range e.paths {
		if e.paths[i].match(path, inSteps) {
			return true
		}
	}
	return false
}

// fact returns what the entry says to a query; ok is false if it says nothing.
func (e *Entry) fact(q *penumbra.FactQuery, inSteps string) (f penumbra.Fact, ok bool) {
	if !e.at(q.Path, inSteps) || !e.on(q.Type) {
		return f, false
	}
	s := scope{query: q}
	if e.when != nil && !holds(e.when, &s) {
		return f, false
	}
	f = e.Fact
	f.Path = q.Path
	if f.Best != nil {
		f.Best = nil // of a value that cannot be seen nothing is good or bad
		if kind := q.Value.Kind(); kind != penumbra.UnknownKind && kind != penumbra.SecretKind {
			f.Best = e.recommend(q, &s)
		}
		if f.Best == nil && !e.saysMore() {
			return f, false
		}
	}
	return f, true
}

// saysMore reports whether the entry says something beside a recommendation.
func (e *Entry) saysMore() bool {
	f := &e.Fact
	return f.Effect != "" || f.OneWay != "" || f.Owner != "" || f.Risk != nil || f.Likelihood != nil || f.Hazard != "" || len(f.Dependants) > 0
}

// recommend holds the value asked about against the recommendation; nil if its
// expression has no value here.
func (e *Entry) recommend(q *penumbra.FactQuery, s *scope) *penumbra.Best {
	b := *e.Fact.Best
	if e.expr != nil {
		if b.Value = evaluate(e.expr, s); b.Value.IsNull() {
			return nil
		}
	}
	if !b.Value.IsNull() {
		b.Met, b.Target = same(b.Value, q.Value), b.Value
		return &b
	}
	b.Met, b.Target = true, q.Value
	for _, bound := range [...]struct {
		at   penumbra.Value
		past int
	}{{b.Min, -1}, {b.Max, 1}} {
		if bound.at.IsNull() {
			continue
		}
		if order, ok := compare(q.Value, bound.at); !ok || order == bound.past {
			b.Met, b.Target = false, bound.at
			break
		}
	}
	return &b
}

// Select returns the entries that are about a type of resource, or about one that
// a pattern of types is of; all for "".
func (b *Base) Select(kind string) ([]*Entry, error) {
	if kind == "" {
		return b.entries, nil
	}
	g, err := newGlob(kind)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: err.Error(), Remedy: `name a type of resource such as aws_db_instance, or a pattern such as "aws_*"`}
	}
	var out []*Entry
	for _, e := range b.entries {
		named := slices.ContainsFunc(e.Types, func(t string) bool { return g.match(t, steps.Replace(t)) })
		if named || e.On(kind) {
			out = append(out, e)
		}
	}
	return out, nil
}

// Find returns the entries that a query selects, by their identifiers. It returns an
// error of kind NotFound if one is named that is not there, and of kind Invalid if the
// query makes no sense.
func (b *Base) Find(q penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error) {
	var list []*Entry
	var err error
	switch {
	case q.ID != "":
		e, ok := b.Entry(q.ID)
		if !ok {
			return nil, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no entry %q", q.ID), Remedy: "see `penumbra knowledge list`; for a setting name a type and a path"}
		}
		list = []*Entry{e}
	case q.Path != "" && q.Type == "":
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "a setting of no type", Remedy: "name the type of resource that has it, such as aws_db_instance"}
	case q.Path != "":
		list = b.About(q.Type, q.Path)
	default:
		list, err = b.Select(q.Type)
	}
	out := make([]penumbra.KnowledgeEntry, len(list))
	for i, e := range list {
		out[i] = e.KnowledgeEntry
	}
	return out, err
}
