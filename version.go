package penumbra

import (
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
	RetiredVersion                       // was active, or was passed over
	RefusedVersion                       // did not beat the one that it was held against
	TakenBackVersion                     // was active until a person went back
)

var versionStateNames = [...]string{"candidate", "active", "retired", "refused", "taken back"}

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
}
