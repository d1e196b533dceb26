package penumbra

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"time"
)

// ProposalKind is a way to resolve a drift.
type ProposalKind string

// The kinds of proposal.
const (
	Revert        ProposalKind = "revert"         // bring the resource back to the code
	Adopt         ProposalKind = "adopt"          // write the actual value into the code
	IgnoreRule    ProposalKind = "ignore-rule"    // a rule on Penumbra's side
	IgnoreChanges ProposalKind = "ignore-changes" // lifecycle.ignore_changes in the code
	Custom        ProposalKind = "custom"         // a value that a person chose
	Restore       ProposalKind = "restore"        // the way back from a run
)

// PlanAction is what a plan does to one resource.
type PlanAction string

// The actions of a plan.
const (
	NoChange PlanAction = "no-op"
	Create   PlanAction = "create"
	Update   PlanAction = "update"
	Replace  PlanAction = "replace"
	Destroy  PlanAction = "delete"
	Read     PlanAction = "read"
)

// Disrupts reports whether the action takes away what is there now.
func (a PlanAction) Disrupts() bool { return a == Replace || a == Destroy }

// PlannedChange is what a plan does to one resource.
type PlannedChange struct {
	Resource Address      `json:"resource"`
	Type     string       `json:"type"`
	Action   PlanAction   `json:"action"`
	Changes  []PathChange `json:"changes,omitempty"`
	// ReplacePaths are the settings that force a replacement.
	ReplacePaths []string `json:"replace_paths,omitempty"`
}

// PathChange is what a plan does to one setting; sensitive values are secrets.
type PathChange struct {
	Path   string `json:"path"`
	Before Value  `json:"before"`
	After  Value  `json:"after"`
	// Unknown marks an After that is known only after the apply.
	Unknown bool `json:"unknown,omitempty"`
}

// Plan is a saved plan of the technology: what an approval binds to.
type Plan struct {
	// Hash is the SHA-256 of the saved plan file, in hexadecimal.
	Hash string `json:"hash"`
	// Evidence is a digest of what the plan would do and of the values it
	// starts from. If planning again gives another one, the world has moved.
	Evidence string `json:"evidence"`
	// File is where the plan is saved, relative to the plan folder of the data
	// directory.
	File string `json:"file"`
	// Stack and Targets are what was planned. PatchHash is the digest of the
	// patch that was planned with, "" for the code as it is.
	Stack     string          `json:"stack"`
	Targets   []Address       `json:"targets"`
	PatchHash string          `json:"patch_hash,omitempty"`
	Changes   []PlannedChange `json:"changes"` // the disruptive ones first
	Created   time.Time       `json:"created"`
	// Text is the plan as the technology prints it, redacted.
	Text string `json:"text,omitempty"`
}

// IsEmpty reports whether the plan changes nothing.
func (p *Plan) IsEmpty() bool {
	return !slices.ContainsFunc(p.Changes, func(c PlannedChange) bool { return c.Action != NoChange && c.Action != Read })
}

// Disrupts returns the resources that the plan destroys or replaces.
func (p *Plan) Disrupts() []Address {
	var out []Address
	for _, c := range p.Changes {
		if c.Action.Disrupts() {
			out = append(out, c.Resource)
		}
	}
	return out
}

// FilePatch is a change to one file of the code.
type FilePatch struct {
	Path string `json:"path"` // relative to the stack's folder
	// Base is the SHA-256 of the file that the patch was made for: it is
	// refused on any other.
	Base   string `json:"base"`
	Before string `json:"before"`
	After  string `json:"after"`
	Diff   string `json:"diff"` // unified
}

// Patch is a change to the code of a stack.
type Patch struct {
	Stack string      `json:"stack"`
	Files []FilePatch `json:"files"`
	// Note says what a reader of the diff would not see by itself: that a
	// setting no longer follows a variable, or what else follows it.
	Note string `json:"note,omitempty"`
}

// Digest returns the SHA-256, in hexadecimal, of the files that the patch is
// for and of what it makes of them: what a plan made with it is tied to.
func (p *Patch) Digest() string {
	h := sha256.New()
	writePatch(h, p)
	return hex.EncodeToString(h.Sum(nil))
}

func writePatch(h hash.Hash, p *Patch) {
	if p == nil {
		writeInt(h, -1)
		return
	}
	writeText(h, p.Stack)
	writeInt(h, int64(len(p.Files)))
	for _, f := range p.Files {
		writeText(h, f.Path, f.Base, f.After)
	}
}

// Reverse returns the patch that takes p back. Its diffs are empty: whoever
// shows it makes them.
func (p *Patch) Reverse() Patch {
	out := Patch{Stack: p.Stack}
	for _, f := range p.Files {
		base := sha256.Sum256([]byte(f.After))
		out.Files = append(out.Files, FilePatch{Path: f.Path, Base: hex.EncodeToString(base[:]), Before: f.After, After: f.Before})
	}
	return out
}

// Diff returns the unified diffs of all files.
func (p *Patch) Diff() string {
	var out string
	for _, f := range p.Files {
		out += f.Diff
	}
	return out
}

// Scores rank a proposal; each is between 0 and 1.
type Scores struct {
	Likelihood float64 `json:"likelihood"` // of resolving the drift for good; more is better
	Risk       float64 `json:"risk"`       // of disruption; less is better
	Complexity float64 `json:"complexity"` // less is better
}

// ProposalStatus is where a proposal is in its life.
type ProposalStatus string

// The statuses of a proposal.
const (
	Proposed   ProposalStatus = "proposed"
	Approved   ProposalStatus = "approved"
	Rejected   ProposalStatus = "rejected"
	Superseded ProposalStatus = "superseded" // planned again, customised, or no longer needed
)

// Proposal is one way to resolve a drift. Which of Plan, Patch and Rule it has
// depends on its kind: a revert has a plan, an adoption a patch and a plan
// without changes, an ignore rule only a rule.
type Proposal struct {
	ID    string         `json:"id"`
	Drift string         `json:"drift"`
	Kind  ProposalKind   `json:"kind"`
	Title string         `json:"title"`
	State ProposalStatus `json:"status"`
	Rank  int            `json:"rank"` // 1 is best
	// Hash is what an approval names: a digest of plan, patch and rule.
	Hash string `json:"hash"`
	// Script is what would be run, as a person could run it by hand.
	Script      string `json:"script"`
	Explanation string `json:"explanation"`
	Impact      string `json:"impact"`   // what is destroyed or replaced comes first
	WayBack     string `json:"way_back"` // how it is undone, and what can't be
	Scores      Scores `json:"scores"`
	// ScoreReasons say where each score comes from.
	ScoreReasons []string `json:"score_reasons,omitempty"`
	Plan         *Plan    `json:"plan,omitempty"`
	Patch        *Patch   `json:"patch,omitempty"`
	// Scratch is a patch that the plan was made with in a copy of the code and
	// that is never written: a way back sets values that the code is not to have.
	Scratch *Patch `json:"scratch,omitempty"`
	// Rule is what an ignore rule saves, and what the way back from one deletes.
	Rule *Rule `json:"rule,omitempty"`
	// Values are what a custom or restoring proposal sets.
	Values Settings `json:"values,omitempty"`
	// Undoes is the run that a restoring proposal takes back.
	Undoes  string    `json:"undoes,omitempty"`
	Created time.Time `json:"created"`
}

// Digest returns what an approval binds to: the SHA-256, in hexadecimal, of the
// kind, the saved plan, the patches and the rule. Words and scores are not in
// it.
func (p *Proposal) Digest() string {
	h := sha256.New()
	writeText(h, string(p.Kind), p.Drift, p.Undoes)
	if p.Plan != nil {
		writeText(h, p.Plan.Stack, p.Plan.Hash, p.Plan.Evidence, p.Plan.File)
	}
	writePatch(h, p.Patch)
	writePatch(h, p.Scratch)
	if r := p.Rule; r != nil {
		writeText(h, r.ID, r.Pattern)
		writeInt(h, r.Expires.Unix())
		if r.Value != nil {
			writeSettings(h, Settings{{Value: *r.Value}})
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Decision is a person's (or a policy's) word on a proposal.
type Decision struct {
	ID       string    `json:"id"`
	Proposal string    `json:"proposal"`
	Drift    string    `json:"drift"`
	Verb     Verb      `json:"verb"`
	Hash     string    `json:"hash"` // the proposal's hash that was shown
	By       string    `json:"by"`
	Reason   string    `json:"reason,omitempty"`
	Time     time.Time `json:"time"`
}

// Verb is what a decision does.
type Verb string

// The verbs of a decision.
const (
	Approve   Verb = "approve"
	Reject    Verb = "reject"
	Customize Verb = "customize"
)

// RunState is where a run is. Every run ends in Done, RolledBack, Failed or
// Halted.
type RunState uint8

// The states of a run.
const (
	Planned    RunState = iota // recorded, nothing done yet
	Checking                   // holding the evidence against the world
	Applying                   // the technology is at work
	Verifying                  // reading the world again
	Done                       // verified
	RolledBack                 // taken back by a later run, which is verified
	Failed                     // refused before anything was changed
	Halted                     // something was or may have been changed, and a person must look
)

var runStateNames = [...]string{"planned", "checking", "applying", "verifying", "done", "rolled back", "failed", "halted"}

func (s RunState) String() string {
	if int(s) < len(runStateNames) {
		return runStateNames[s]
	}
	return "RunState(" + strconv.Itoa(int(s)) + ")"
}

// Ended reports whether the run will do nothing more.
func (s RunState) Ended() bool { return s >= Done }

// MarshalText writes the state's name.
func (s RunState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state's name.
func (s *RunState) UnmarshalText(text []byte) error {
	i := slices.Index(runStateNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("run state %q is none of %q", text, runStateNames)
	}
	*s = RunState(i)
	return nil
}

// Run is one execution of an approved proposal.
type Run struct {
	ID       string       `json:"id"`
	Proposal string       `json:"proposal"`
	Kind     ProposalKind `json:"kind"` // of the proposal
	Decision string       `json:"decision"`
	Drift    string       `json:"drift"`
	Stack    string       `json:"stack"`
	State    RunState     `json:"state"`
	Steps    []RunStep    `json:"steps"`
	// Before are the actual values of the drift's settings when the run
	// started: what a way back restores.
	Before  map[Address]Settings `json:"before,omitempty"`
	Started time.Time            `json:"started"`
	Ended   time.Time            `json:"ended,omitzero"`
	Outcome string               `json:"outcome,omitempty"` // in words
	// UndoneBy is the run that took this one back.
	UndoneBy string `json:"undone_by,omitempty"`
	Log      string `json:"log,omitempty"` // output of the tools, redacted
}

// RunStep records that a run reached a state.
type RunStep struct {
	State RunState  `json:"state"`
	Time  time.Time `json:"time"`
	Note  string    `json:"note,omitempty"`
}
