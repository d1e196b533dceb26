package penumbra

import (
	"slices"
	"strings"
)

// OffTemplate reports whether a value of the finding's setting would be another than
// the template of now has, or beyond its limit. What cannot be held against a limit
// counts as beyond it.
func (f *Finding) OffTemplate(v Value) bool {
	l := f.Expectation.Limit
	switch {
	case l == nil || f.Declared:
		return !f.Template.Agrees(v)
	case v == f.Actual:
		return l.Passed || l.Unread
	case v == l.Min || v == l.Max:
		return v.IsNull()
	}
	x, ok := v.Float()
	low, hasLow := l.Min.Float()
	high, hasHigh := l.Max.Float()
	within := ok && (l.Min.IsNull() || hasLow && x >= low) && (l.Max.IsNull() || hasHigh && x <= high)
	return !within
}

// OffTemplate returns the settings of the drift whose actual value is off the
// template, each as an ignore rule names it: "shop/type.name.path".
func (d *Drift) OffTemplate() []string {
	var out []string
	for i := range d.Findings {
		if f := &d.Findings[i]; f.Path != "" && f.OffTemplate(f.Actual) {
			out = append(out, JoinPath(string(d.Resource), f.Path))
		}
	}
	return out
}

// OffTemplate returns the settings that carrying the proposal out would take off the
// template of now, or have left off it: what it writes into the code that is there
// already, what it sets otherwise, and what it has ignored. Each is named as in
// [Drift.OffTemplate]. d is the drift that the proposal is for.
func (p *Proposal) OffTemplate(d *Drift) []string {
	var out []string
	add := func(resource Address, path string) {
		if name := JoinPath(string(resource), path); path != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	switch p.Kind {
	case Adopt, Custom, BestPractice, Restore:
	case IgnoreRule, IgnoreChanges:
		for _, f := range d.Findings {
			if p.ignores(JoinPath(string(d.Resource), f.Path), d.Resource) {
				add(d.Resource, f.Path)
			}
		}
		return out
	default: // it follows the code, or has no part in which value there is
		return nil
	}
	resources := []Address{d.Resource}
	if len(p.Also) > 0 && p.Plan != nil {
		resources = append(resources, p.Plan.Targets...) // they left alike
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		if v, decided := p.leads(d.Resource, f); decided && f.OffTemplate(v) {
			for _, resource := range resources {
				add(resource, f.Path)
			}
		}
	}
	// What is not of the drift is where the template has it. The plan of an adoption is
	// not applied.
	if p.Plan == nil || p.Kind == Adopt {
		return out
	}
	for _, c := range p.Plan.Changes {
		for _, x := range c.Changes {
			_, found := d.Finding(x.Path)
			if (c.Resource != d.Resource || !found) && (x.Unknown || x.After != x.Before) {
				add(c.Resource, x.Path)
			}
		}
	}
	return out
}

// leads returns the value that a setting of the drift has once the proposal is
// carried out, false if it leaves that setting undecided.
func (p *Proposal) leads(resource Address, f *Finding) (Value, bool) {
	if x, ok := p.Values.Find(f.Path); ok {
		return x.Value, true
	}
	if p.Plan != nil {
		for _, c := range p.Plan.Changes {
			for _, x := range c.Changes {
				if c.Resource == resource && x.Path == f.Path {
					if x.Unknown {
						return Unknown(), true
					}
					return x.After, true
				}
			}
		}
	}
	// The code is made to follow what is there, as a whole or by a person's edit.
	return f.Actual, len(p.Values) == 0 && (p.Kind == Adopt || p.Kind == Custom)
}

// ignores reports whether the proposal has a setting ignored.
func (p *Proposal) ignores(setting string, resource Address) bool {
	if p.Rule == nil {
		return true
	}
	return p.Rule.Pattern == setting || p.Rule.Pattern == string(resource) || strings.HasPrefix(setting, p.Rule.Pattern+".")
}

// PolicyFile is a file of policies that Penumbra puts into a folder of the
// configuration's policies, and takes away again.
type PolicyFile struct {
	Folder string `json:"folder"` // as the configuration names it
	Name   string `json:"name"`   // of the file in there
	Text   string `json:"text"`   // in Cedar; it holds no value of a setting
	// Resource and Paths are the settings that it guards.
	Resource Address  `json:"resource"`
	Paths    []string `json:"paths"`
	By       string   `json:"by,omitempty"` // who approved it
}

// Path returns the file's name with its folder.
func (f *PolicyFile) Path() string { return strings.TrimSuffix(f.Folder, "/") + "/" + f.Name }
