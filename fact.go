package penumbra

import (
	"slices"
	"time"
)

// ChangeEffect is what a change of a setting does to what runs.
type ChangeEffect string

// The effects, the gravest last. NoEffect is said of a change that what runs
// takes over by itself; "" says that nothing is known.
const (
	NoEffect      ChangeEffect = "none"
	ReloadEffect  ChangeEffect = "reload"  // it reads its configuration again and goes on
	RestartEffect ChangeEffect = "restart" // it is not there for a while
	ReplaceEffect ChangeEffect = "replace" // it is destroyed and created anew
	DestroyEffect ChangeEffect = "destroy" // it is gone
)

// ChangeEffects are all effects, the gravest last.
var ChangeEffects = [...]ChangeEffect{NoEffect, ReloadEffect, RestartEffect, ReplaceEffect, DestroyEffect}

// Graver reports whether e takes more away than other does.
func (e ChangeEffect) Graver(other ChangeEffect) bool {
	return slices.Index(ChangeEffects[:], e) > slices.Index(ChangeEffects[:], other)
}

// FactQuery asks what is known of one setting of a resource at a value.
type FactQuery struct {
	Address Address
	Type    string
	Path    string
	// Value is what is asked about: what the setting is, or is to become.
	Value Value
	// Template is what the code declares for it, Actual what it is now.
	Template, Actual Value
	// Declared and Settings are the resource's template and actual settings.
	Declared, Settings Settings
	Time               time.Time
}

// AskFacts returns the query for a value of a setting of r.
func AskFacts(r *Resource, path string, value Value, at time.Time) FactQuery {
	return FactQuery{
		Address: r.Address, Type: r.Type, Path: path, Value: value, Template: r.Template.Get(path), Actual: r.Actual.Get(path),
		Declared: r.Template, Settings: r.Actual, Time: at,
	}
}

// Fact is what an entry of the knowledge base says of one setting at the value
// asked about. What an entry does not say is empty.
type Fact struct {
	Entry string `json:"entry"` // its identifier
	Title string `json:"title"`
	Path  string `json:"path"`
	// Effect is what a change does, Until what it waits for before it does.
	Effect ChangeEffect `json:"effect,omitempty"`
	Until  string       `json:"until,omitempty"`
	// OneWay is what cannot be undone once the setting was changed to the value.
	OneWay string `json:"one_way,omitempty"`
	// Owner is the automation that usually has the setting in hand.
	Owner string `json:"owner,omitempty"`
	Best  *Best  `json:"best,omitempty"`
	// Risk is the chance that a change disrupts; Likelihood, by kind of proposal,
	// that one resolves a drift of the setting for good.
	Risk       *Beta                 `json:"risk,omitempty"`
	Likelihood map[ProposalKind]Beta `json:"likelihood,omitempty"`
	// Hazard is what the value endangers, in one sentence.
	Hazard string `json:"hazard,omitempty"`
	// Dependants are what else feels a change.
	Dependants []string `json:"dependants,omitempty"`
	Sources    []Source `json:"sources"`
	Checked    string   `json:"checked"` // the day that the sources were last read, as 2006-01-02
}

// Best is what is held to be good practice for a setting: a value, or a range.
type Best struct {
	Value Value  `json:"value,omitzero"`
	Min   Value  `json:"min,omitzero"`
	Max   Value  `json:"max,omitzero"`
	Why   string `json:"why"`
	// Met reports whether the value asked about is so, Target is the nearest that is.
	Met    bool  `json:"met"`
	Target Value `json:"target"`
}

// String returns what is recommended in words.
func (b *Best) String() string {
	switch {
	case b.Min.IsNull() && b.Max.IsNull():
		return b.Value.String()
	case b.Max.IsNull():
		return "at least " + b.Min.Text()
	case b.Min.IsNull():
		return "at most " + b.Max.Text()
	default:
		return b.Min.Text() + " to " + b.Max.Text()
	}
}

// Beta is what is held of a chance before it was seen to come true or not: as
// if it had so many times each.
type Beta struct {
	A   float64 `json:"a"` // times that it did
	B   float64 `json:"b"` // times that it did not
	Why string  `json:"why"`
}

// Mean is the chance itself, in (0, 1).
func (b Beta) Mean() float64 { return b.A / (b.A + b.B) }

// Source is where a fact stands.
type Source struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// KnowledgeEntry is one piece of the knowledge base, as it is shown.
type KnowledgeEntry struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	Types []string `json:"types"` // of resources, as patterns
	Paths []string `json:"paths"` // of settings, as patterns
	// When is the condition and Expr what computes the recommended value, as they are
	// written; "" for none.
	When string `json:"when,omitempty"`
	Expr string `json:"expr,omitempty"`
	// Fact is what the entry says, without a path.
	Fact Fact `json:"fact"`
	// File and Line are where it stands; Own is set for an entry of the user's.
	File string `json:"file"`
	Line int    `json:"line"`
	Own  bool   `json:"own"`
}

// KnowledgeQuery selects entries of the knowledge base; all if it is empty.
type KnowledgeQuery struct {
	ID   string
	Type string // of a resource, or without a path a pattern such as "aws_*"
	Path string // of a setting of the type, whatever the conditions
}
