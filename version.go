package penumbra

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// VersionState says what a version of the model is good for.
type VersionState uint8

// The states of a version. One at most is active.
const (
	CandidateVersion VersionState = iota // trained, and not yet chosen
	ActiveVersion                        // keeps the shadow
	AdoptedVersion                       // learnt while serving, and serves within the active one
	RetiredVersion                       // was active or adopted
	RefusedVersion                       // did not beat the one that it was held against
	TakenBackVersion                     // was active until a person went back
)

var versionStateNames = [...]string{"candidate", "active", "adopted", "retired", "refused", "taken back"}

func (s VersionState) String() string {
	if int(s) < len(versionStateNames) {
		return versionStateNames[s]
	}
	return "VersionState(" + strconv.Itoa(int(s)) + ")"
}

// MarshalText writes the state's name.
func (s VersionState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state's name.
func (s *VersionState) UnmarshalText(text []byte) error {
	i := slices.Index(versionStateNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("state %q is none of %q", text, versionStateNames)
	}
	*s = VersionState(i)
	return nil
}

// VersionOrigin says how a version came about.
type VersionOrigin string

// The origins of a version.
const (
	TrainedVersion VersionOrigin = "trained" // by `penumbra train`
	LearntVersion  VersionOrigin = "learnt"  // by a model while it served
)

// KeptVersions is how many of the newest versions a store keeps the bodies of,
// besides those of the active one and of the one before it.
const KeptVersions = 5

// ModelVersion is one version of the model that keeps the shadow. Its body is
// what the model starts from before it observes the timeline; of a version that
// was learnt while serving there is none, since it follows from the timeline.
type ModelVersion struct {
	Number  int           `json:"number"` // from 1
	Created time.Time     `json:"created"`
	Family  string        `json:"family"`
	Origin  VersionOrigin `json:"origin"`
	State   VersionState  `json:"state"`
	// Sources are what it was trained from: names of files, the store, a
	// repository.
	Sources      []string `json:"sources,omitempty"`
	Observations int      `json:"observations,omitempty"` // that it was trained from
	Seed         uint64   `json:"seed,omitempty"`
	// Score is nil if there was nothing to score it on.
	Score *VersionScore `json:"score,omitempty"`
	// Why says in a sentence why it was chosen or was not.
	Why string `json:"why,omitempty"`
	// Before is the version that was active when this one became it, 0 if none
	// was: where `penumbra model rollback` goes back to.
	Before   int       `json:"before,omitempty"`
	Promoted time.Time `json:"promoted,omitzero"`
	By       string    `json:"by,omitempty"` // who promoted it, or took it back
	// Forced is the reason that a person gave for promoting it although it had
	// not been shown to be better.
	Forced string `json:"forced,omitempty"`
	// Kept reports that the body is there, and Size is its bytes.
	Kept bool  `json:"kept"`
	Size int64 `json:"size"`
}

// VersionScore is how good a version was on the latest window, and the one that
// was active then, on the same questions.
type VersionScore struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Horizon   string    `json:"horizon"`
	Questions int       `json:"questions"`
	Left      int       `json:"left"` // settings that left
	LogLoss   float64   `json:"log_loss"`
	PR        float64   `json:"pr_auc,omitempty"`
	// Over is the version that it was held against, 0 for what the
	// configuration gives; OverFamily is that one's family.
	Over        int     `json:"over"`
	OverFamily  string  `json:"over_family"`
	OverLogLoss float64 `json:"over_log_loss"`
	OverPR      float64 `json:"over_pr_auc,omitempty"`
	// Better reports that it beat the other.
	Better bool `json:"better"`

	// Lift is how many times as often the likeliest hundredth of the questions came
	// true as all did, 0 if that was not measured.
	Lift float64 `json:"lift,omitempty"`
	// Reliability holds what the version said against what happened, from unlikely
	// to likely; Coverage how often its prediction sets held the value; Baselines
	// how good rules are that know no more than counts. Empty if not measured.
	Reliability []ReliabilityBin `json:"reliability,omitempty"`
	Coverage    []SetCoverage    `json:"coverage,omitempty"`
	Baselines   []BaselineScore  `json:"baselines,omitempty"`
}

// ReliabilityBin compares the probabilities that a version said within a range
// with how often that came true.
type ReliabilityBin struct {
	Said      float64 `json:"said"`     // mean
	Happened  float64 `json:"happened"` // share
	Questions int     `json:"questions"`
}

// SetCoverage is how often prediction sets of one confidence held the value.
type SetCoverage struct {
	Confidence float64 `json:"confidence"`
	Sets       int     `json:"sets"`
	Covered    float64 `json:"covered"` // share
	// Changed and ChangedCovered are of the settings that changed meanwhile.
	Changed        int     `json:"changed,omitempty"`
	ChangedCovered float64 `json:"changed_covered,omitempty"`
}

// BaselineScore is how good a naive rule was on the questions of a
// [VersionScore]; LogLoss is 0 of a rule that only ranks.
type BaselineScore struct {
	Name    string  `json:"name"`
	LogLoss float64 `json:"log_loss,omitempty"`
	PR      float64 `json:"pr_auc"`
	Lift    float64 `json:"lift"`
}

// ModelStatus is the model that keeps the shadow.
type ModelStatus struct {
	// Configured is a family, or "auto": the active version decides.
	Configured string `json:"configured"`
	Family     string `json:"family"`
	// Version is the active one, 0 if none is: the family as it ships.
	Version int    `json:"version"`
	Why     string `json:"why,omitempty"`
	// Resources are those that are live. Bytes is the size of the model's last
	// checkpoint, and Saved when it was written.
	Resources int       `json:"resources"`
	Bytes     int64     `json:"bytes,omitempty"`
	Saved     time.Time `json:"saved,omitzero"`
	// Pool is nil if the model is of one piece.
	Pool *ModelPool `json:"pool,omitempty"`
}

// ModelPool is what the experts of a model weigh, over the estate and by type
// of resource. Weights are in the order of the experts and sum to 1.
type ModelPool struct {
	Experts    []string      `json:"experts"`
	Estate     []float64     `json:"estate"`
	Types      []TypeWeights `json:"types,omitempty"`
	Parameters int           `json:"parameters"` // of the network
	// Examples is how many questions were learnt from.
	Examples float64 `json:"examples"`
}

// TypeWeights is what the experts weigh for one type of resource.
type TypeWeights struct {
	Type    string    `json:"type"`
	Weights []float64 `json:"weights"`
}

// ModelTaskKind is what a task on the model does.
type ModelTaskKind string

// The kinds of task.
const (
	TrainTask  ModelTaskKind = "train"  // candidates are held against the model that serves, and the best is kept
	ReportTask ModelTaskKind = "report" // the model that serves is judged on the estate's own past
)

// ModelTaskState says how far a task has come.
type ModelTaskState string

// The states of a task.
const (
	TaskRunning ModelTaskState = "running"
	TaskDone    ModelTaskState = "done"
	TaskFailed  ModelTaskState = "failed"
)

// NewModelTask asks for a task on the timelines that the store holds.
type NewModelTask struct {
	Kind ModelTaskKind `json:"kind"`
	// Families are those to train; all, or the one that the configuration fixes,
	// without any.
	Families []string `json:"families,omitempty"`
	Seed     uint64   `json:"seed,omitempty"`   // of all that is drawn; 0 is the one that serves
	Window   float64  `json:"window,omitempty"` // share of the time span, the latest, to score on; 0 is 0.2
	Sample   uint32   `json:"sample,omitempty"` // ask about one resource in so many; 0 about each
	// Keep keeps the version that serves, also if the new one beats it.
	Keep bool `json:"keep,omitempty"`
}

// ModelTask is work on the model that goes on after it was asked for. Tasks are known
// as long as the daemon runs; what a training has made is a [ModelVersion] for good.
type ModelTask struct {
	ID    string         `json:"id"`
	Asked NewModelTask   `json:"asked"`
	By    string         `json:"by"`
	State ModelTaskState `json:"state"`
	Began time.Time      `json:"began"`
	Ended time.Time      `json:"ended,omitzero"`
	Error string         `json:"error,omitempty"` // of a failed one
	// Sentence says what came of it.
	Sentence string `json:"sentence,omitempty"`
	Version  int    `json:"version,omitempty"` // that a training has made, 0 for none
	Promoted bool   `json:"promoted,omitempty"`
	// Figures are those of `penumbra model report` or `penumbra train`, as these print
	// them as JSON.
	Figures json.RawMessage `json:"figures,omitempty"`
}
