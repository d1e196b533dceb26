// Package proposal answers: how could this drift be resolved, and which way is
// best? It is called with a drift and what is known of it, has each way planned
// by the technology, scores and ranks them, and says in words what would happen
// and how it is undone. It decides nothing and changes nothing.
//
// It guarantees that a proposal's hash names exactly what was planned, that no
// proposal ranks above one that is better in likelihood, risk and complexity at
// once, and that a way that destroys something never ranks first while there is
// one that does not.
package proposal

import (
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Workspace is what proposals need of a technology, for one stack. None of
// its methods changes the code or the world.
type Workspace interface {
	Planner
	Patcher
}

// A Planner says what would happen.
type Planner interface {
	// Plan plans the targets, all if there are none, with the code as it is, or in
	// a copy of the code with the patch applied, and saves the plan. Errors keep
	// their kind: Unavailable and Locked are worth another try, any other is told
	// to a person.
	Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error)
}

// A Patcher changes the text of code.
type Patcher interface {
	// PatchValues returns the patch after which the code declares the settings of
	// the resource; null removes one. Of several resources it is where they share
	// the value that it is changed, and whoever else shares it takes it too. A
	// patch without files says that the code declares them already; one with files
	// never holds a secret. It returns an error of kind Refused, with a remedy, if
	// the code cannot be edited so.
	PatchValues(ctx context.Context, addresses []penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error)
	// PatchInstance is PatchValues for a copy of the code that is planned and
	// thrown away: it may also single out one of several instances that share
	// their code.
	PatchInstance(ctx context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error)
	// PatchIgnore returns the patch after which the technology itself ignores
	// changes at the paths; why, if not "", becomes a comment. Errors are those of
	// PatchValues.
	PatchIgnore(ctx context.Context, address penumbra.Address, paths []string, why string) (penumbra.Patch, error)
	// PatchImport returns the patch after which the code takes the object of that
	// identity for the resource. Errors are those of PatchValues.
	PatchImport(ctx context.Context, address penumbra.Address, id string) (penumbra.Patch, error)
}

// A Setter is a workspace that can also set what its code leaves open.
type Setter interface {
	// PlanSettings plans, beside the code, that the settings have these values;
	// null takes one back to its default. It returns an error of kind Refused if
	// that cannot be done.
	PlanSettings(ctx context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Plan, error)
}

// A Keeper is a workspace that prepares the way back with each plan.
type Keeper interface {
	// PlanBack plans what was prepared with the plan, with a patch of the code if
	// it is not nil. It returns an error of kind Missing if it is no longer kept,
	// and Refused if there is none.
	PlanBack(ctx context.Context, plan penumbra.Plan, patch *penumbra.Patch) (penumbra.Plan, error)
}

// Evidence is what a proposal rests on.
type Evidence struct {
	Drift    penumbra.Drift
	Resource penumbra.Resource
	// Alike are the open drifts of the stack's other resources of the type whose
	// settings left for the same values.
	Alike []penumbra.Drift
	// Was is what the resource was last seen as, of one that is gone.
	Was penumbra.Settings
	// Outcomes are those of past runs, of any kind and type.
	Outcomes []Outcome
	// Dependants are the resources that refer to the drifted one.
	Dependants []penumbra.Address
	// Effects returns what the setting's having the value does to each metric of
	// the resource; nil, or nothing, where that is not known.
	Effects func(path string, v penumbra.Value) []penumbra.Effect
	// Load is how busy the resource is by the hour, nil if that is not known.
	Load *penumbra.Load
	// Criticality is how much depends on the resource, and CriticalBy who says so.
	Criticality Criticality
	CriticalBy  string
	// Weights are those of the ranking, the defaults if zero.
	Weights Weights
	// Knowledge tells what the manuals say of settings; nil knows nothing.
	Knowledge Knowledge
	// Doers are those who have changed the drift's settings before, who did most
	// first.
	Doers []penumbra.Doer
	// Every is how often the resource is read, Gap how often at most; 0 where it is
	// not read by itself. Attention is why it is read more often already, Told when
	// its owner was talked to within the last week.
	Every, Gap time.Duration
	Attention  *penumbra.Attention
	Told       time.Time
	// Returns is how many earlier drifts of the same settings there were of late.
	Returns int
	// Policies are those by which people decide; nil if nobody asks them.
	Policies Policies
	// Now is when the proposals are made.
	Now time.Time
	// Dir is the stack's folder and Engine the command ("tofu", "terraform"),
	// both as a person would type them: scripts are written with them.
	Dir    string
	Engine string
	// Way is how patches get into the code of the stack.
	Way penumbra.CodeWay
}

// Outcome is how a past run of a proposal ended.
type Outcome struct {
	Kind penumbra.ProposalKind
	Type string // of the resource
	// ActorKind is of whom the drift was put down to: what a person did by hand
	// stays reverted more often than what an automation does again.
	ActorKind penumbra.ActorKind
	Succeeded bool // verified, not taken back, and no such drift within a week
}
