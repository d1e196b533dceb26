package penumbra

import "time"

// Decision is a person's (or a policy's) word on a proposal, or on a drift.
type Decision struct {
	ID string `json:"id"`
	// Proposal is "" of a word on the drift alone.
	Proposal string `json:"proposal,omitempty"`
	Drift    string `json:"drift"`
	Verb     Verb   `json:"verb"`
	// Hash is the proposal's hash that was shown, "" without a proposal.
	Hash   string    `json:"hash,omitempty"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
	// Until ends what was decided on a drift; zero means that nothing does.
	Until time.Time `json:"until,omitzero"`
}

// Verb is what a decision does, and the act that a policy is asked about.
type Verb string

// The verbs. Carrying out and rolling back are asked of policies and recorded as
// runs; the others are recorded as decisions.
const (
	Approve   Verb = "approve"
	Reject    Verb = "reject"
	Customize Verb = "customize"
	Snooze    Verb = "snooze"
	Accept    Verb = "accept"
	CarryOut  Verb = "run"
	RollBack  Verb = "roll_back"

	// FreezeStack and Unfreeze are asked of policies about stacks, and recorded as
	// freezes.
	FreezeStack Verb = "freeze"
	Unfreeze    Verb = "unfreeze"
)

// Verbs are those on proposals and drifts, in the order in which they are shown.
var Verbs = []Verb{Approve, CarryOut, Reject, Customize, RollBack, Snooze, Accept}

// OnDrift reports whether the verb acts on a drift rather than on a proposal.
func (v Verb) OnDrift() bool { return v == Snooze || v == Accept }

// Approval is what became of somebody's approval.
type Approval struct {
	Decision Decision `json:"decision"`
	// By are those who approved this very plan, Needs how many have to.
	By    []string `json:"by"`
	Needs int      `json:"needs"`
	// Scheduled is when the run starts that waits for a maintenance window.
	Scheduled time.Time `json:"scheduled,omitzero"`
	// Run is the run that started; nil if it waits for others or for a window.
	Run *Run `json:"run,omitempty"`
}

// Edit is what a person would have instead of what a proposal does: values of
// settings, or files of the code as they are to be.
type Edit struct {
	Values []Setting  `json:"values,omitempty"`
	Files  []FileEdit `json:"files,omitempty"`
}

// FileEdit is a whole file of the code as a person wants it.
type FileEdit struct {
	Path    string `json:"path"` // relative to the stack's folder
	Content string `json:"content"`
}
