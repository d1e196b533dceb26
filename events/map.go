package events

import (
	"fmt"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Mapper turns records into events of resources.
type Mapper struct {
	rules *rules
	index *index
	kinds *Kinds
}

// New returns a mapper that knows no resource. It returns an error of kind Invalid
// that names the rule if one cannot be used.
func New(r Rules) (*Mapper, error) {
	compiled, err := compile(r)
	if err != nil {
		return nil, err
	}
	return &Mapper{rules: compiled, index: newIndex(), kinds: NewKinds()}, nil
}

// Know takes in a resource as it is now. It is cheap if neither its identifiers
// nor its paths have changed. A deleted resource is forgotten. r is not kept.
func (m *Mapper) Know(r *penumbra.Resource) { m.index.know(r) }

// Forget drops a resource; it does nothing if it is not known.
func (m *Mapper) Forget(a penumbra.Address) { m.index.forget(a) }

// Kinds returns the templates of free text, for a checkpoint.
func (m *Mapper) Kinds() *Kinds { return m.kinds }

// Mapping is what became of a record.
type Mapping struct {
	// Observations are events to append to the timeline.
	Observations []penumbra.Observation
	// Denied are attempts that had no effect, as events whose action begins with
	// [DeniedPrefix] and that list no setting. They are for showing and counting
	// and are kept off the timeline: package drift takes an event that lists no
	// setting for one that may have touched any, and would put a drift down to
	// somebody who was turned away.
	Denied []penumbra.Observation
	// Skipped is why nothing came of a record that was understood: "read only".
	Skipped string
	// Unmapped reports that it is not known whose it is, for the Reason.
	Unmapped bool
	Reason   string
	// Action is the record's, of free text the name of its template.
	Action string
}

// DeniedPrefix begins the action of an attempt that had no effect.
const DeniedPrefix = "denied "

// readOnly is the reason why an act that changes nothing is skipped.
const readOnly = "read only"

// Map returns what became of a record, see [Mapping]. The record is not kept and
// not changed. Seen is left for the caller to set.
func (m *Mapper) Map(rec *penumbra.Record) Mapping {
	if err := rec.Check(); err != nil {
		return Mapping{Skipped: "not usable: " + err.Error(), Action: rec.Action}
	}
	if rec.ReadOnly {
		return Mapping{Skipped: readOnly, Action: rec.Action}
	}
	rule := m.rules.resourceRule(rec)
	if rule != nil && rule.Ignore {
		return Mapping{Skipped: fmt.Sprintf("ignored by rule %d: %s", rule.number, rule.Reason), Action: rec.Action}
	}
	action := rec.Action
	if action == "" {
		action = m.kinds.Name(rec.Input, rec.Message)
	}
	m.index.mu.RLock()
	defer m.index.mu.RUnlock()
	found, reason := m.whose(rec, rule)
	if len(found) == 0 {
		return Mapping{Unmapped: true, Reason: reason, Action: action}
	}
	return m.observe(rec, found, action)
}

// resourceRule returns the first rule that matches, nil if none does.
func (r *rules) resourceRule(rec *penumbra.Record) *resourceRule {
	for i := range r.resources {
		if r.resources[i].matches(rec) {
			return &r.resources[i]
		}
	}
	return nil
}

// whose returns the resources that a record is about, or why none.
func (m *Mapper) whose(rec *penumbra.Record, rule *resourceRule) ([]*resource, string) {
	w := want{kind: m.index.names.of(m.rules.typeOf(rec))}
	input := m.rules.inputs[rec.Input]
	w.stack = input.Stack
	switch {
	case rule != nil && rule.Resource != "":
		id := rule.resource(rec)
		of, reason := m.index.resolve([]string{id}, want{})
		if len(of) == 0 {
			reason = fmt.Sprintf("rule %d names %q: %s", rule.number, id, reason)
		}
		return of, reason
	case rule != nil:
		w.must = m.index.names.of(rule.OfType)
		if rule.Stack != "" {
			w.stack = rule.Stack
		}
	case input.Resource != "":
		of := m.index.resources[penumbra.Address(input.Resource)]
		if of == nil {
			return nil, fmt.Sprintf("input %s is about %q, which is not known", rec.Input, input.Resource)
		}
		return []*resource{of}, ""
	}
	return m.index.resolve(rec.Targets, w)
}

// typeOf returns the type that a record names, after the user's rules.
func (r *rules) typeOf(rec *penumbra.Record) string {
	for i := range r.types {
		if x := &r.types[i]; x.matches(rec) {
			return expand(x.to, x.typ, rec.Type)
		}
	}
	return rec.Type
}

// observe makes an event of each resource that a record is about.
func (m *Mapper) observe(rec *penumbra.Record, found []*resource, action string) Mapping {
	actor, kind := m.rules.actor(rec)
	id := rec.Identity().String()
	out := Mapping{Action: action}
	for _, of := range found {
		o := penumbra.Observation{
			Kind: penumbra.EventKind, Time: rec.Time.UTC(), Resource: of.address, Type: of.kind.name,
			Source: source(rec), ID: id, Actor: actor, ActorKind: kind, Action: ownWords(rec.Format, action), Message: rec.Message,
		}
		if rec.Failed != "" {
			o.Action = DeniedPrefix + o.Action
			out.Denied = append(out.Denied, o)
			continue
		}
		o.Settings = m.settings(rec, of)
		out.Observations = append(out.Observations, o)
	}
	return out
}

// source returns the source of a record's events: the commit, or the input's name.
// One that begins as commits do would make them changes of the code.
func source(rec *penumbra.Record) string {
	if rec.Format == penumbra.CommitFormat {
		return penumbra.CommitSource + rec.Attributes["commit"]
	}
	if strings.HasPrefix(rec.Input, penumbra.CommitSource) {
		return "log:" + rec.Input
	}
	return rec.Input
}

// ownWords puts the format before an action that has a meaning of its own in a
// timeline: whoever can write to a log must not accept a drift by it, and a
// delete that a log tells of is a hint to look, not the end of a resource.
func ownWords(format, action string) string {
	if format == penumbra.CommitFormat {
		return penumbra.ActionCommit // whatever else would change the code
	}
	if action == penumbra.ActionDelete || strings.HasPrefix(action, "penumbra.") || strings.HasPrefix(action, DeniedPrefix) {
		if format == "" {
			format = "log"
		}
		return format + " " + action
	}
	return action
}

// settings returns what a record touched in the spelling of a resource. A value
// of a sensitive setting that is no secret yet is left out: it was touched.
func (m *Mapper) settings(rec *penumbra.Record, of *resource) penumbra.Settings {
	if len(rec.Settings) == 0 {
		return nil
	}
	list := slices.Clone(rec.Settings)
	for i := range list {
		x := &list[i]
		path := of.paths.translate(m.rules.path(rec, x.Path))
		renamed := path != x.Path
		x.Path = path
		x.Sensitive = x.Sensitive || of.paths.isSensitive(path) || renamed && penumbra.LooksSecret(path, x.Value)
		if k := x.Value.Kind(); x.Sensitive && k != penumbra.NullKind && k != penumbra.SecretKind {
			x.Value = penumbra.Unknown()
		}
	}
	return penumbra.NewSettings(list...)
}

// path returns a path after the user's rules.
func (r *rules) path(rec *penumbra.Record, path string) string {
	for i := range r.paths {
		x := &r.paths[i]
		if x.from.MatchString(path) && x.matches(rec) {
			return expand(x.to, x.from, path)
		}
	}
	return path
}
