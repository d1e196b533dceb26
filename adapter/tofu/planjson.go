package tofu

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/penumbra-iac/penumbra"
)

// ReadPlan reads the JSON of a plan that somebody else's runner made, as
// `show -json PLANFILE` prints it, normal or refresh-only. A normal plan gives
// a template and a snapshot of each resource instance in it. A refresh-only
// plan does not say what the code asks for now: its template is what was last
// applied of the settings that the code declares, so that code which was not
// applied yet does not show.
//
// A plan made with -refresh=false looks like one that found no drift: the
// format does not tell them apart. A plan that failed gives only snapshots that
// are not checked. Without a provider's schema the elements of a set count as a
// list's, and without the code a dynamic block counts as undeclared and
// ignore_changes is not seen.
//
// It returns an error of kind Invalid for another major version of the format
// and for text that is not a plan.
func ReadPlan(r io.Reader, stack string, key penumbra.Key, at time.Time) ([]penumbra.Observation, error) {
	if err := checkInput(stack, key); err != nil {
		return nil, err
	}
	p, err := decodePlan(r, "plan of "+stack, key, nil, false)
	if err != nil {
		return nil, err
	}
	if p.errored {
		for _, i := range p.order {
			i.notChecked = "the plan failed, and does not tell which resources it read before it did"
		}
	}
	return p.observations(reading{stack, at}), nil
}

// plan is what the JSON of a plan tells.
type plan struct {
	order    []*instance
	byName   map[string]*instance
	declared declarations
	errored  bool
	// refreshOnly is set if the plan lists no changes: it has drift at most.
	refreshOnly bool
}

// observations gives a template for what is in the code, and a snapshot for
// what is or was there. A resource that was never created has a template only.
func (p *plan) observations(from reading) []penumbra.Observation {
	out := make([]penumbra.Observation, 0, 2*len(p.order))
	for _, i := range p.order {
		if i.deposed {
			continue // what a replacement left behind, not the resource
		}
		if i.inCode {
			settings, applied := i.template(p.declared[ConfigAddress(i.address)])
			if i.notChecked == "" {
				out = append(out, from.template(i.address, i.typ, settings, applied))
			}
		}
		if i.drifted && i.notChecked == "" && len(i.before) > 0 {
			out = append(out, from.last(i.address, i.typ, i.before))
		}
		if i.exists || i.drifted || i.notChecked != "" {
			out = append(out, from.snapshot(i))
		}
	}
	return sortObservations(out)
}

// planReader decodes the JSON of a plan in one pass.
type planReader struct {
	stateReader
	plan
	config  tfjson.Config
	partial bool
}

// decodePlan reads the JSON of a plan in one pass. With partial it also takes
// in what is in the state and not in the plan's changes, as in one that failed.
func decodePlan(r io.Reader, what string, key penumbra.Key, known shapes, partial bool) (*plan, error) {
	d := &planReader{
		stateReader: *newStateReader(r, key, known),
		plan:        plan{byName: make(map[string]*instance), declared: make(declarations), refreshOnly: true},
		partial:     partial,
	}
	if err := d.fault(what, d.object(d.field)); err != nil {
		return nil, err
	}
	if d.format == "" {
		return nil, &penumbra.Error{
			Kind: penumbra.Invalid, What: "read " + what + ": it has no format_version, so it is not the JSON of a plan",
			Remedy: "give the output of `tofu show -json PLANFILE`",
		}
	}
	if err := checkFormat(what, "plan", d.format); err != nil {
		return nil, err
	}
	d.declared.addModule("", d.config.RootModule)
	d.fromPriorState()
	return &d.plan, nil
}

// checkFormat refuses a major version of a JSON format that may mean other
// things than the ones known.
func checkFormat(what, kind, format string) error {
	if major, _, _ := strings.Cut(format, "."); major == "1" || format == "0.1" || format == "0.2" {
		return nil
	}
	return &penumbra.Error{
		Kind:   penumbra.Invalid,
		What:   fmt.Sprintf("read %s: its %s format is version %q, and version 1 is understood", what, kind, penumbra.Redact(format)),
		Remedy: "update Penumbra, or write the JSON with a version of the tool from before that format",
	}
}

func (d *planReader) field(name string) error {
	switch name {
	case "format_version":
		return d.Decode(&d.format)
	case "resource_drift":
		return d.list(d.drift)
	case "resource_changes":
		d.refreshOnly = false
		return d.list(d.change)
	case "prior_state":
		if !d.refreshOnly && !d.partial {
			return d.skip()
		}
		d.keepLeaves = d.refreshOnly
		return d.object(func(name string) error {
			if name != "values" {
				return d.skip()
			}
			return d.values()
		})
	case "configuration":
		return d.Decode(&d.config)
	case "errored":
		return d.Decode(&d.errored)
	}
	return d.skip()
}

// resource decodes a change; nil if it is not of a managed resource.
func (d *planReader) resource() (*tfjson.ResourceChange, error) {
	var r tfjson.ResourceChange
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	if r.Mode != tfjson.ManagedResourceMode || r.Change == nil || r.Address == "" {
		return nil, nil
	}
	if r.DeposedKey != "" {
		r.Address += " (deposed object " + r.DeposedKey + ")"
	}
	return &r, nil
}

func (d *planReader) instance(r *tfjson.ResourceChange) *instance {
	i := d.byName[r.Address]
	if i == nil {
		i = &instance{address: r.Address, typ: r.Type, deposed: r.DeposedKey != ""}
		d.byName[r.Address] = i
		d.order = append(d.order, i)
	}
	return i
}

func (d *planReader) drift() error {
	r, err := d.resource()
	if r == nil || err != nil {
		return err
	}
	i := d.instance(r)
	i.drifted = true
	i.planned = slices.Clone(d.flat.leaves(r.Change.Before, nil, r.Change.BeforeSensitive, d.shapes[r.Type]))
	i.before = settingsOf(i.planned)
	return nil
}

func (d *planReader) change() error {
	r, err := d.resource()
	if r == nil || err != nil {
		return err
	}
	i, s := d.instance(r), d.shapes[r.Type]
	i.action, i.replacePaths = actionOf(r.Change.Actions), replacePaths(r.Change.ReplacePaths)
	i.from = r.PreviousAddress
	if r.Change.Importing != nil {
		i.importing = r.Change.Importing.ID
	}
	i.exists = r.Change.Before != nil
	i.actual = d.flat.settings(r.Change.Before, r.Change.BeforeSensitive, s)
	i.inCode = r.Change.After != nil
	i.planned = nil
	if i.inCode {
		i.planned = slices.Clone(d.flat.leaves(r.Change.After, r.Change.AfterUnknown, r.Change.AfterSensitive, s))
	}
	return nil
}

// fromPriorState takes in what only the prior state holds: all that is there,
// for a refresh-only plan, in which what was last applied also stands in for
// what the code asks for.
func (d *planReader) fromPriorState() {
	for _, s := range d.out.order {
		i := d.byName[s.address]
		if i == nil {
			i = &s.instance
			d.byName[s.address] = i
			d.order = append(d.order, i)
		}
		i.actual, i.exists = s.actual, true
	}
	if !d.refreshOnly {
		return
	}
	for _, i := range d.order {
		i.inCode = d.declared[ConfigAddress(i.address)] != nil
	}
}
