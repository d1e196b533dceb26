package penumbra

import "time"

// Status is the state of a whole Penumbra: what it watches and what it found.
type Status struct {
	Version   string        `json:"version"`
	Time      time.Time     `json:"time"`
	Stacks    []StackStatus `json:"stacks"`
	Resources int           `json:"resources"`
	Settings  int           `json:"settings"`
	// Verdicts counts resources by their gravest verdict.
	Verdicts map[Verdict]int `json:"verdicts"`
	// Drifts counts active drifts by verdict.
	Drifts       map[Verdict]int `json:"drifts"`
	Observations int64           `json:"observations"`
	Quarantined  int64           `json:"quarantined"` // lines kept aside
	Model        string          `json:"model"`       // the family
	// ModelVersion is the active version, 0 if none is.
	ModelVersion int `json:"model_version,omitempty"`
}

// StackStatus is the state of one stack's source.
type StackStatus struct {
	Name      string    `json:"name"`
	Dir       string    `json:"dir,omitempty"`
	Source    string    `json:"source"` // the technology: "tofu", "timeline"
	Resources int       `json:"resources"`
	Worst     Verdict   `json:"worst"`
	LastRead  time.Time `json:"last_read,omitzero"` // of a read that succeeded
	NextRead  time.Time `json:"next_read,omitzero"`
	Reading   bool      `json:"reading,omitempty"`
	// Error is why the last read failed, "" if it did not.
	Error string `json:"error,omitempty"`
	// Took is how long the last read took.
	Took time.Duration `json:"took_ns,omitempty"`
}

// ShadowView is one resource with its shadow, as it is shown to a person.
type ShadowView struct {
	Resource Resource      `json:"resource"`
	Time     time.Time     `json:"time"`
	Verdict  Verdict       `json:"verdict"`
	Settings []SettingView `json:"settings"`
	Drifts   []Drift       `json:"drifts,omitempty"` // active ones
	// History holds the changes of each setting over time, oldest first.
	History []HistoryPoint `json:"history,omitempty"`
}

// SettingView is one setting with its shadow.
type SettingView struct {
	Path        string      `json:"path"`
	Verdict     Verdict     `json:"verdict"`
	Declared    bool        `json:"declared"`
	Sensitive   bool        `json:"sensitive,omitempty"`
	Template    Value       `json:"template"`
	Actual      Value       `json:"actual"`
	Expectation Expectation `json:"expectation"`
	Forecast    Forecast    `json:"forecast"`
}

// HistoryPoint is a value that a setting took at a time.
type HistoryPoint struct {
	Time      time.Time       `json:"time"`
	Kind      ObservationKind `json:"kind"`
	Path      string          `json:"path"`
	Value     Value           `json:"value"`
	Actor     string          `json:"actor,omitempty"`
	ActorKind ActorKind       `json:"actor_kind,omitempty"`
	Action    string          `json:"action,omitempty"`
}

// ResourceStatus is one line of a list of resources.
type ResourceStatus struct {
	Address    Address   `json:"address"`
	Type       string    `json:"type"`
	Verdict    Verdict   `json:"verdict"`
	NotChecked string    `json:"not_checked,omitempty"`
	Settings   int       `json:"settings"`
	Declared   int       `json:"declared"`
	Snapshot   time.Time `json:"snapshot,omitzero"`
}

// IngestReport says what became of a timeline that was taken in.
type IngestReport struct {
	Lines    int `json:"lines"`    // read, blank ones not counted
	Added    int `json:"added"`    // new observations
	Repeated int `json:"repeated"` // observations that were there already
	Bad      int `json:"bad"`      // lines kept aside
	// BadLines holds the first of them, at most 20.
	BadLines []BadLine `json:"bad_lines,omitempty"`
}

// Omitted is a way to resolve a drift that is not proposed, and why.
type Omitted struct {
	Kind   ProposalKind `json:"kind"`
	Reason string       `json:"reason"`
}
