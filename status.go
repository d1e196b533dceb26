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
	// Inputs are those of logs and metrics, Anomalies the metrics that are out of
	// their band now.
	Inputs    []InputStatus `json:"inputs,omitempty"`
	Anomalies int           `json:"anomalies,omitempty"`
	// Files are those that people write and that are read again when they change:
	// policies and knowledge.
	Files []FilesStatus `json:"files,omitempty"`
	// Closer are the resources that are read more often for a time.
	Closer []Attention `json:"closer,omitempty"`
}

// FilesStatus is the state of files that are read again when they change.
type FilesStatus struct {
	Name  string    `json:"name"`            // "policies", "knowledge"
	Read  time.Time `json:"read"`            // when the version in use was read
	Error string    `json:"error,omitempty"` // why a newer one is not in use
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
	// Sources lists them one by one where a stack has several, or its resources
	// have periods of their own; the fields above are then those of the one that is
	// worst off.
	Sources []SourceStatus `json:"sources,omitempty"`
}

// SourceStatus is the state of one of a stack's sources.
type SourceStatus struct {
	Name     string        `json:"name"` // the technology: "ansible", "postgres"
	Every    time.Duration `json:"every_ns"`
	LastRead time.Time     `json:"last_read,omitzero"` // of a read that succeeded
	NextRead time.Time     `json:"next_read,omitzero"`
	Reading  bool          `json:"reading,omitempty"`
	Error    string        `json:"error,omitempty"`
	Failures int           `json:"failures,omitempty"` // in a row
	Took     time.Duration `json:"took_ns,omitempty"`
	// Targeted is set if it can read single resources.
	Targeted bool `json:"targeted,omitempty"`
	// Cadence lists the rules that give its resources another period, and last
	// those that none matches; empty if there is no rule.
	Cadence []CadenceStatus `json:"cadence,omitempty"`
}

// CadenceStatus says how often some of a source's resources are read.
type CadenceStatus struct {
	Match     string        `json:"match,omitempty"` // the rule's pattern, "" for what no rule matches
	Every     time.Duration `json:"every_ns"`
	Resources int           `json:"resources"`
	NextRead  time.Time     `json:"next_read,omitzero"` // of the first of them
}

// InputStatus is the state of one input of logs or metrics.
type InputStatus struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // its format: "postgresql", "cloudtrail", "prometheus"
	// Last is when something came last, Lag how long after it happened.
	Last time.Time     `json:"last,omitzero"`
	Lag  time.Duration `json:"lag_ns,omitempty"`

	Records  int64 `json:"records,omitempty"`  // log records read
	Mapped   int64 `json:"mapped,omitempty"`   // of them those that became events of a resource
	Skipped  int64 `json:"skipped,omitempty"`  // understood, and nothing to keep: reads, what a rule ignores
	Denied   int64 `json:"denied,omitempty"`   // attempts that had no effect
	Unmapped int64 `json:"unmapped,omitempty"` // kept aside: nobody knows whose they are
	Dropped  int64 `json:"dropped,omitempty"`  // of those kept aside: the oldest, above the input's bound
	Bad      int64 `json:"bad,omitempty"`      // lines that could not be read, kept aside

	Points  int64 `json:"points,omitempty"`  // values of metrics taken
	Series  int   `json:"series,omitempty"`  // that are watched
	Unnamed int64 `json:"unnamed,omitempty"` // values of series that no rule names or maps to a resource

	// Error is why it does not run now, "" if it does; Failures counts them in a row.
	Error    string `json:"error,omitempty"`
	Failures int    `json:"failures,omitempty"`
	// Note is what it last had to tell beside its records: a history that was
	// rewritten.
	Note string `json:"note,omitempty"`
}

// UnmappedKind sums up log records that nobody knows the resource of.
type UnmappedKind struct {
	Input  string    `json:"input"`
	Format string    `json:"format"`
	Action string    `json:"action"`
	Target string    `json:"target,omitempty"` // the first that was named
	Reason string    `json:"reason"`
	Count  int64     `json:"count"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	// Example is one of the messages, redacted.
	Example string `json:"example,omitempty"`
}

// Unmapped is what is kept aside of log records.
type Unmapped struct {
	Records int64          `json:"records"`
	Kinds   []UnmappedKind `json:"kinds"` // the most frequent first
	// Dropped are those that had to go for newer ones, by input.
	Dropped []UnmappedDropped `json:"dropped,omitempty"`
}

// UnmappedDropped is how many of an input's records were kept aside and are kept
// no more: there were too many, or they were too old.
type UnmappedDropped struct {
	Input string    `json:"input"`
	Count int64     `json:"count"`
	Last  time.Time `json:"last"` // when one was dropped last
}

// RemapReport says what became of records that were kept aside.
type RemapReport struct {
	Tried  int64 `json:"tried"`
	Mapped int64 `json:"mapped"` // events of a resource now
}

// ShadowView is one resource with its shadow, as it is shown to a person.
type ShadowView struct {
	Resource Resource  `json:"resource"`
	Time     time.Time `json:"time"`
	Verdict  Verdict   `json:"verdict"`
	NextRead time.Time `json:"next_read,omitzero"`
	// Closer is set while the resource is read more often than usual.
	Closer   *Attention    `json:"closer,omitempty"`
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
	// Moved is the commit that the code of a pending setting was moved by, nil if
	// none is known.
	Moved *Touch `json:"moved,omitempty"`
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

// ExpectedPoint is what the shadow held of a setting from a time on, until the next
// point: at its confidence the value is within Interval or one of Values.
type ExpectedPoint struct {
	Time time.Time `json:"time"`
	// Interval is nil and Values are empty where nothing was known.
	Interval *Interval   `json:"interval,omitempty"`
	Values   []Candidate `json:"values,omitempty"`
	// Ahead marks a time that has not come: what is held of it now.
	Ahead bool `json:"ahead,omitempty"`
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
	NextRead   time.Time `json:"next_read,omitzero"`
}

// IngestReport says what became of a timeline that was taken in.
type IngestReport struct {
	Lines    int `json:"lines"`    // read, blank ones not counted
	Added    int `json:"added"`    // new observations
	Repeated int `json:"repeated"` // observations that were there already
	Bad      int `json:"bad"`      // lines kept aside
	// Values are those of metrics that were watched and are not kept one by one.
	Values int `json:"values,omitempty"`
	// BadLines holds the first of them, at most 20.
	BadLines []BadLine `json:"bad_lines,omitempty"`
}

// Omitted is a way to resolve a drift that is not proposed, and why.
type Omitted struct {
	Kind   ProposalKind `json:"kind"`
	Reason string       `json:"reason"`
}
