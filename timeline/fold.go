package timeline

import (
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Fold carries a resource over one observation. Observations are given in the
// order of [Order]; a template or a snapshot that is older than the last one
// of its kind changes nothing. Slices of r and of o are shared and never
// written to: where something changes, r gets a new one, so that a copy of r
// stays as it was.
//
// Template: what the code declares now. Where it moved from the value that the
// resource has, that value is remembered in Applied: merged and not yet
// applied. An observation's own hint, Applied, is believed only where nothing
// is known that could contradict it: with the first template of a resource,
// and for a setting that changes before the resource was ever read. Otherwise
// a state file that was refreshed after a drift would turn the drift into
// pending code.
//
// Snapshot: what is really there; one that was not checked sets only the
// reason. Event: a hint. It is remembered for attribution and changes no
// setting; [penumbra.ActionDelete] marks the resource as deleted. An event
// that was mined from a repository (see [penumbra.Observation.IsCodeChange]) is
// a change of the template and nothing else; a commit that a live input tells of
// is remembered as who moved the code. Metric: nothing.
func Fold(r *penumbra.Resource, o *penumbra.Observation) {
	if r.Address == "" {
		r.Address = o.Resource
	}
	if o.Type != "" {
		r.Type = o.Type
	}
	switch o.Kind {
	case penumbra.TemplateKind:
		foldTemplate(r, o, present(o.Settings))
	case penumbra.SnapshotKind:
		foldSnapshot(r, o)
	case penumbra.EventKind:
		if o.IsCodeChange() {
			foldCodeChange(r, o)
			return
		}
		if o.IsCommit() {
			r.Commits = touched(r.Commits, o)
			return
		}
		r.Recent = touched(r.Recent, o)
		if o.Action == penumbra.ActionDelete {
			r.Deleted = true
		}
	}
}

func foldCodeChange(r *penumbra.Resource, o *penumbra.Observation) {
	if o.Time.Before(r.TemplateTime) {
		return
	}
	switch o.Action {
	case "create":
		foldTemplate(r, o, present(o.Settings))
	case "update":
		foldTemplate(r, o, r.Template.Merge(o.Settings))
	case penumbra.ActionDelete:
		foldTemplate(r, o, nil)
		r.Deleted = true
	}
}

func foldTemplate(r *penumbra.Resource, o *penumbra.Observation, declared penumbra.Settings) {
	if o.Time.Before(r.TemplateTime) {
		return
	}
	revive(r)
	before, first := r.Template, r.TemplateTime.IsZero()
	r.Template, r.TemplateTime = declared, o.Time
	r.Applied = applied(r, before, first, o.Applied)
	settle(r, o)
}

// applied returns the values last applied of the settings that the code has
// moved away from, after the template changed from before.
func applied(r *penumbra.Resource, before penumbra.Settings, first bool, hint penumbra.Settings) penumbra.Settings {
	var out penumbra.Settings
	read := !r.SnapshotTime.IsZero()
	for _, x := range r.Template {
		known, pending := r.Applied.Find(x.Path)
		was := before.Get(x.Path)
		moved := was != x.Value
		actual, _ := r.Actual.Find(x.Path)
		hinted, isHinted := hint.Find(x.Path)
		switch {
		case pending:
		case read && moved && !first && (was.IsNull() || was.Agrees(actual.Value)):
			// A setting that was not declared has no value that it should
			// have: whatever it has is what was last applied.
			known = penumbra.Setting{Path: x.Path, Value: actual.Value, Sensitive: actual.Sensitive}
		case isHinted && (first || moved && !read):
			known = hinted
		default:
			continue
		}
		if isPending(x, known, actual.Value, read) {
			out = append(out, known)
		}
	}
	return out
}

// isPending reports whether a setting still waits for its template to be
// applied: the template has not gone back to the value last applied, and the
// resource has not come to the template.
func isPending(template, applied penumbra.Setting, actual penumbra.Value, read bool) bool {
	return template.Value != applied.Value && !(read && template.Value.Agrees(actual))
}

func foldSnapshot(r *penumbra.Resource, o *penumbra.Observation) {
	if o.Time.Before(r.SnapshotTime) {
		return
	}
	if o.NotChecked != "" {
		r.NotChecked = o.NotChecked
		return
	}
	revive(r)
	if o.Full {
		r.Actual = present(o.Settings)
	} else {
		r.Actual = r.Actual.Merge(o.Settings)
	}
	if o.Time.After(r.SnapshotTime) {
		r.PriorSnapshot, r.SnapshotTime = r.SnapshotTime, o.Time
	}
	r.NotChecked = ""
	r.Applied = stillPending(r)
	settle(r, o)
}

// stillPending returns r.Applied without what has come to the template.
func stillPending(r *penumbra.Resource) penumbra.Settings {
	arrived := func(x penumbra.Setting) bool {
		return r.Template.Get(x.Path).Agrees(r.Actual.Get(x.Path))
	}
	if !slices.ContainsFunc(r.Applied, arrived) {
		return r.Applied
	}
	return slices.DeleteFunc(slices.Clone(r.Applied), arrived)
}

// settle notes when template and actual agree in full.
func settle(r *penumbra.Resource, o *penumbra.Observation) {
	if r.TemplateTime.IsZero() || r.SnapshotTime.IsZero() {
		return
	}
	for _, x := range r.Template {
		if !x.Value.Agrees(r.Actual.Get(x.Path)) {
			return
		}
	}
	r.Settled = o.Time
}

// revive starts a new life of a resource that was deleted and is seen again:
// what was there before has nothing to do with what is there now.
func revive(r *penumbra.Resource) {
	if r.Deleted {
		*r = penumbra.Resource{Address: r.Address, Type: r.Type, Template: r.Template, TemplateTime: r.TemplateTime, Recent: r.Recent, Commits: r.Commits}
	}
}

// touched returns the events remembered with one more, in the order of time.
func touched(recent []penumbra.Touch, o *penumbra.Observation) []penumbra.Touch {
	t := penumbra.Touch{
		Event: o.Identity(), Time: o.Time,
		Actor: o.Actor, ActorKind: o.ActorKind, Action: o.Action, Source: o.Source,
	}
	for _, x := range o.Settings {
		t.Paths = append(t.Paths, x.Path)
	}
	at := len(recent)
	for at > 0 && recent[at-1].Time.After(t.Time) {
		at--
	}
	first := max(0, len(recent)+1-penumbra.RecentEvents) // what goes for the new one
	if at < first {
		return recent
	}
	// A copy, for who has the resource as it was.
	out := make([]penumbra.Touch, 0, len(recent)+1-first)
	out = append(out, recent[first:at]...)
	out = append(out, t)
	return append(out, recent[at:]...)
}

// present returns the settings that are there: s itself if none is null.
func present(s penumbra.Settings) penumbra.Settings {
	absent := func(x penumbra.Setting) bool { return x.Value.IsNull() }
	if !slices.ContainsFunc(s, absent) {
		return s
	}
	return slices.DeleteFunc(slices.Clone(s), absent)
}
