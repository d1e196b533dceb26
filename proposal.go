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
	BestPractice  ProposalKind = "best-practice"  // a value that the knowledge base recommends
	Import        ProposalKind = "import"         // take what is there into the state again
	Restore       ProposalKind = "restore"        // the way back from a run

	// Of impending drift: nothing has changed yet.
	WatchCloser ProposalKind = "watch-closer" // read the resource more often for a time
	Guard       ProposalKind = "guard"        // have the code refuse what is foreseen
	TellOwner   ProposalKind = "tell-owner"   // talk to who does it, with the evidence

	// Of impending drift, and of what keeps coming back.
	GuardPolicy ProposalKind = "guard-policy" // have two people decide on it
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
	Execute  PlanAction = "execute" // a command runs, and no plan foresees what it does
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
	// Import is the identity under which it is taken into the state, From the
	// address that it has in the state until now.
	Import string  `json:"import,omitempty"`
	From   Address `json:"from,omitempty"`
}

// DisruptiveFirst puts what takes something away before the rest, each in its order.
func DisruptiveFirst(changes []PlannedChange) {
	slices.SortStableFunc(changes, func(a, b PlannedChange) int {
		switch {
		case a.Action.Disrupts() == b.Action.Disrupts():
			return 0
		case a.Action.Disrupts():
			return -1
		}
		return 1
	})
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
	// Command is what a person would run in the stack's folder to carry the plan
	// out, in a POSIX shell, and Check what shows it without changing anything;
	// "" for a technology whose saved plan is a file that its own command takes.
	Command string `json:"command,omitempty"`
	Check   string `json:"check,omitempty"`
	// Notes say what the changes do not: what else may happen, and what has to be
	// done by hand.
	Notes []string `json:"notes,omitempty"`
	// Back is the way back that was prepared with the plan, nil if it is planned
	// when it is asked for.
	Back *WayBack `json:"back,omitempty"`
}

// WayBack is how a plan is undone. It is saved with the plan, so that its hash
// covers it.
type WayBack struct {
	// Command is what a person would run, as [Plan.Command]; "" if there is none.
	Command string `json:"command,omitempty"`
	// Checked says how it was tried before anything was applied.
	Checked string `json:"checked,omitempty"`
	// Lost is what cannot be undone, each with the reason.
	Lost []string `json:"lost,omitempty"`
}

// IsEmpty reports whether the plan changes nothing, the state's own list of what
// there is included.
func (p *Plan) IsEmpty() bool {
	return !slices.ContainsFunc(p.Changes, func(c PlannedChange) bool {
		return c.Action != NoChange && c.Action != Read || c.Import != "" || c.From != ""
	})
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
	Scheduled  ProposalStatus = "scheduled" // approved, and waiting for a maintenance window
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
	// Otherwise is what happens if nothing is done.
	Otherwise string `json:"otherwise,omitempty"`
	// Predictions are what it is expected to do to the resource's metrics.
	Predictions []Prediction `json:"predictions,omitempty"`
	Scores      Scores       `json:"scores"`
	// ScoreReasons say where each score comes from, RankReason how the rank follows
	// from them.
	ScoreReasons []string `json:"score_reasons,omitempty"`
	RankReason   string   `json:"rank_reason,omitempty"`
	Plan         *Plan    `json:"plan,omitempty"`
	Patch        *Patch   `json:"patch,omitempty"`
	// Facts are what the knowledge base says of what would change, or of what
	// stays as it is.
	Facts []Fact `json:"facts,omitempty"`
	// Scratch is a patch that the plan was made with in a copy of the code and
	// that is never written: a way back sets values that the code is not to have.
	Scratch *Patch `json:"scratch,omitempty"`
	// Way is how Patch gets into the code.
	Way CodeWay `json:"way,omitempty"`
	// Withdraws is the change under review that a way back takes away.
	Withdraws *CodeChange `json:"withdraws,omitempty"`
	// Rule is what an ignore rule saves, and what the way back from one deletes.
	Rule *Rule `json:"rule,omitempty"`
	// Bounds are what a guard in Patch holds settings to.
	Bounds []Bound `json:"bounds,omitempty"`
	// Attention is what watching closer saves, and what the way back ends.
	Attention *Attention `json:"attention,omitempty"`
	// Message is what is told to whoever is about to change something.
	Message *Message `json:"message,omitempty"`
	// Policy is the file of policies that a guard adds, and that the way back takes
	// away.
	Policy *PolicyFile `json:"policy,omitempty"`
	// Values are what a custom or restoring proposal sets.
	Values Settings `json:"values,omitempty"`
	// Also are the other drifts that it resolves: those of resources that left
	// alike.
	Also []string `json:"also,omitempty"`
	// Undoes is the run that a restoring proposal takes back.
	Undoes string `json:"undoes,omitempty"`
	// Customizes is the proposal that a custom one was made from, Author who made
	// it, and Difference a unified diff of what the two would do.
	Customizes string    `json:"customizes,omitempty"`
	Author     string    `json:"author,omitempty"`
	Difference string    `json:"difference,omitempty"`
	Created    time.Time `json:"created"`

	// ApprovedBy are those who approved exactly this, Needs how many have to,
	// 0 while nobody has. What counts are the decisions recorded.
	ApprovedBy []string `json:"approved_by,omitempty"`
	Needs      int      `json:"needs,omitempty"`
	// Due is when the run of a scheduled proposal starts.
	Due time.Time `json:"due,omitzero"`
}

// Applies reports whether carrying out the proposal applies its plan. The plan
// of a patch that only follows the world proves that nothing would change, and
// what is reviewed first is applied by whoever applies the merged code.
func (p *Proposal) Applies() bool {
	switch p.Kind {
	case Revert, Custom, BestPractice, Restore, Import:
		return p.Plan != nil && !p.Plan.IsEmpty() && !p.Publishes()
	default:
		return false
	}
}

// Publishes reports whether carrying out the proposal puts its patch up for
// review instead of writing it into the working tree.
func (p *Proposal) Publishes() bool { return p.Patch != nil && p.Way.IsReviewed() }

// Branch returns the name of the branch that its patch is put on for review. All
// proposals of one kind for one drift share it: a later one takes the place of an
// earlier one.
func (p *Proposal) Branch() string {
	return "penumbra/" + p.Drift + "-" + string(p.Kind)
}

// Touches reports whether carrying out the proposal changes the code, what is
// under review of it, or the world: an ignore rule changes none of them.
func (p *Proposal) Touches() bool {
	return p.Plan != nil || p.Patch != nil || p.Scratch != nil || p.Withdraws != nil
}

// Digest returns what an approval binds to: the SHA-256, in hexadecimal, of the
// kind, the saved plan, the patches and their way, the rule, the attention, the
// message, the policy, and what is withdrawn. Words and scores are not in it.
func (p *Proposal) Digest() string {
	h := sha256.New()
	writeText(h, string(p.Kind), p.Drift, p.Undoes)
	if len(p.Also) > 0 {
		writeText(h, p.Also...)
	}
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
	if p.Way.IsReviewed() {
		writeText(h, "way", string(p.Way))
	}
	if a := p.Attention; a != nil {
		writeText(h, "attention", a.ID, string(a.Resource))
		writeInt(h, int64(a.Every))
		writeInt(h, a.Until.Unix())
	}
	if m := p.Message; m != nil {
		writeText(h, "message", m.Subject, m.Text)
		writeText(h, m.To...)
	}
	if f := p.Policy; f != nil {
		writeText(h, "policy", f.Folder, f.Name, f.Text)
	}
	if c := p.Withdraws; c != nil {
		writeText(h, "withdraws", c.Branch, c.Commit, c.Remote, c.URL)
	}
	return hex.EncodeToString(h.Sum(nil))
}

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
	// Decision is the approval that started it; Approvals are all that it rests
	// on, by as many people as it Needs.
	Decision  string    `json:"decision"`
	Approvals []string  `json:"approvals,omitempty"`
	Needs     int       `json:"needs,omitempty"`
	Drift     string    `json:"drift"`
	Stack     string    `json:"stack"`
	State     RunState  `json:"state"`
	Steps     []RunStep `json:"steps"`
	// Before are the actual values of the drift's settings when the run
	// started: what a way back restores.
	Before  map[Address]Settings `json:"before,omitempty"`
	Started time.Time            `json:"started"`
	Ended   time.Time            `json:"ended,omitzero"`
	Outcome string               `json:"outcome,omitempty"` // in words
	// UndoneBy is the run that took this one back.
	UndoneBy string `json:"undone_by,omitempty"`
	// Told says how a message went out, "" if none did.
	Told string `json:"told,omitempty"`
	// Code is where the patch was put for review, nil if it was not.
	Code *CodeChange `json:"code,omitempty"`
	// Watch is how its metrics are watched once it is Done, nil if they are not.
	Watch *Watch `json:"watch,omitempty"`
	Log   string `json:"log,omitempty"` // output of the tools, redacted
}

// RunStep records that a run reached a state.
type RunStep struct {
	State RunState  `json:"state"`
	Time  time.Time `json:"time"`
	Note  string    `json:"note,omitempty"`
}
