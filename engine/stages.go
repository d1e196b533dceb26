package engine

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// A Source reads what the code of one stack declares and what is really there.
type Source interface {
	// Read returns a template and a snapshot of every resource of the stack;
	// a resource that could not be read comes as a snapshot with NotChecked
	// set. An error of kind Unavailable or Locked is retried with back-off; any
	// other stops the source until the next trigger. It never writes.
	Read(ctx context.Context) ([]penumbra.Observation, error)
}

// A Distant source may be read by another machine.
type Distant interface {
	Source
	// ReadHere is [Source.Read] by this process, for whoever plans or applies here.
	ReadHere(ctx context.Context) ([]penumbra.Observation, error)
}

// A Shadow is the model of what is expected. It is called by one goroutine at
// a time.
type Shadow interface {
	// Observe folds an observation in. It costs O(1) for each setting in it.
	Observe(o *penumbra.Observation)
	// Expect returns what the shadow holds, at the confidence, of each setting
	// that the resource's template or actual configuration has, sorted by path.
	Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation
	// Forecast returns, for the same settings in the same order, the
	// probability of leaving.
	Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast
}

// A Checkpointer is a shadow whose state can be saved and read back.
type Checkpointer interface {
	// WriteTo writes the whole state in the model's own versioned format.
	io.WriterTo
	// ReadFrom replaces the state. It returns an error of kind Damaged, and
	// leaves the state as it was, if the data is not a checkpoint of this model.
	io.ReaderFrom
}

// An Explain says in words why a setting is forecast to leave, and why f, nil if
// it is in sync, is the verdict on it; d is the drift that it belongs to, nil if
// there is none. With the path "" it explains a verdict on the whole resource.
type Explain func(s Shadow, r *penumbra.Resource, path string, at time.Time, f *penumbra.Finding, d *penumbra.Drift) penumbra.Explanation

// A Learner is a shadow that tries new versions of a part of itself while it
// serves.
type Learner interface {
	// Learn does a little of the work that observations have put off, and reports
	// whether there is more. It takes a few milliseconds at most.
	Learn() (more bool)
	// Learnt returns, oldest first, the versions that were tried last, by the
	// time at which that was decided.
	Learnt() []penumbra.ModelVersion
	// TakeBack makes sure that the version adopted at the time does not serve,
	// also if it has yet to come to that time, and reports whether another serves
	// now.
	TakeBack(adopted time.Time) bool
}

// A Pool is a shadow of several experts.
type Pool interface {
	Pool() penumbra.ModelPool
}

// A Mapper says whose event a log record is, and whose a metric's values are. It
// is called by several goroutines.
type Mapper interface {
	inputs.Mapper
	// Know takes in a resource as it is now, Forget drops one.
	Know(r *penumbra.Resource)
	Forget(a penumbra.Address)
}

// A Monitor watches metrics for anomalies. It is called by several goroutines.
type Monitor interface {
	Checkpointer
	inputs.Monitor
	// Attend tells that something happened to a resource which may move its metrics:
	// for a few values from that time on, less is enough for an anomaly.
	Attend(resource penumbra.Address, at time.Time)
	Series() int
}

// Change is something that happened to a resource and may have moved a metric: a
// setting that took another value, or an event.
type Change struct {
	Resource penumbra.Address
	Type     string
	Path     string // "" of an event that names no setting
	Before   penumbra.Value
	After    penumbra.Value
	// Time is when it happened, if an event tells, otherwise when it was seen;
	// Since is then the look before, by which it had not. Of what a run applied, told
	// by nobody but Penumbra, Time is when it was over and Since when it began.
	Time, Since time.Time
	Actor       string
	ActorKind   penumbra.ActorKind
	Action      string
	Source      string
	Declared    bool
	Unexpected  bool    // outside the prediction set
	Surprise    float64 // -log of the value's probability before it was seen, 0 if unknown
}

// A Diagnosis says what belongs together.
type Diagnosis interface {
	Checkpointer
	// Happened, Began and Watched tell it of each change, of each new anomaly with
	// its suspects, and of each metric now and then while it is watched: how often
	// they come is what it learns.
	Happened(c *Change)
	Began(a *penumbra.Anomaly)
	Watched(resource penumbra.Address, metric string, interval time.Duration, now time.Time)
	// Outcome tells it what became of a suspect: whether it was the cause.
	Outcome(a *penumbra.Anomaly, s *penumbra.Suspect, wasCause bool)
	// Rank returns what may have caused an anomaly, the likeliest first.
	Rank(a *penumbra.Anomaly, changes []Change) []penumbra.Suspect
	// Join returns what of the anomalies a drift of r is likely to have done.
	Join(d *penumbra.Drift, r *penumbra.Resource, anomalies []penumbra.Anomaly) []penumbra.Impact
	// Critical reports whether they are a drop in performance that is no chance.
	Critical(impacts []penumbra.Impact) bool
	// Related returns how near two resources are, from 1 for the same one to 0 for
	// two of which no change of one can move a metric of the other.
	Related(a, b penumbra.Address) float64
}

// A Network learns, beside the shadow, what settings do to metrics.
type Network interface {
	Observe(o *penumbra.Observation)
	// Effects returns what the setting's having the value does to the metrics of
	// resources of the type, nothing where that is not known.
	Effects(kind, path string, v penumbra.Value) []penumbra.Effect
}

// Limits follow settings whose template is bounds instead of a value.
type Limits interface {
	// Observe takes an observation in, in the timeline's order.
	Observe(o *penumbra.Observation)
	// Apply puts the limits into what is expected of a resource as it is now, and
	// the forecasts of passing them in the place of the shadow's. It returns copies
	// where it changes something.
	Apply(r *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, at time.Time) ([]penumbra.Expectation, []penumbra.Forecast)
}

// noLimits is what an engine without limits has.
type noLimits struct{}

func (noLimits) Observe(*penumbra.Observation) {}

func (noLimits) Apply(_ *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, _ time.Time) ([]penumbra.Expectation, []penumbra.Forecast) {
	return expect, forecast
}

func (cfg *Config) newLimits() Limits {
	if cfg.NewLimits == nil {
		return noLimits{}
	}
	return cfg.NewLimits()
}

// A Judge holds what is expected against what is there.
type Judge interface {
	// SetRules replaces the ignore rules. It returns an error of kind Invalid
	// that names the rule if one cannot be read, and keeps the earlier ones.
	SetRules(rules []penumbra.Rule) error
	// Assess gives the verdict on each setting of r at a time, from what the
	// shadow expected before it saw the actual values.
	Assess(r *penumbra.Resource, expect []penumbra.Expectation, forecast []penumbra.Forecast, at time.Time) penumbra.Assessment
	// Live takes the resource's active drifts through an assessment and
	// returns those that are new or changed.
	Live(active []penumbra.Drift, r *penumbra.Resource, a penumbra.Assessment) []penumbra.Drift
}

// A Codec reads and writes the timeline format.
type Codec interface {
	// Decode yields the observations of a JSON Lines stream; a line that cannot
	// be read is yielded as a bad line instead. The error ends the stream.
	Decode(r io.Reader, source string) iter.Seq2[Line, error]
	// Encode writes one observation as a line.
	Encode(w io.Writer, o *penumbra.Observation) error
}

// Line is one line of a timeline: an observation, or why there is none.
type Line struct {
	Observation penumbra.Observation
	Bad         *penumbra.BadLine
}

// Observations keeps the timelines.
type Observations interface {
	// Append stores observations and returns those that were new, in the order
	// given; one that is stored already is left as it is. When it returns
	// without an error they survive a crash of the process and of the machine.
	// It returns an error of kind Full if the disk is, and then none of them is
	// stored.
	Append(ctx context.Context, observations []penumbra.Observation) (added []penumbra.Observation, err error)
	// Observations yields the selected ones ordered by time, then identity.
	Observations(ctx context.Context, q penumbra.ObservationQuery) iter.Seq2[penumbra.Observation, error]
	// Sequence returns the number of the observation taken in last, 0 if none.
	Sequence(ctx context.Context) (int64, error)
	// Quarantine keeps lines that could not be read.
	Quarantine(ctx context.Context, lines []penumbra.BadLine) error
}

// Drifts keeps findings.
type Drifts interface {
	SaveDrifts(ctx context.Context, drifts []penumbra.Drift) error
	// Drifts returns the selected ones, the last changed first.
	Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error)
}

// Rules keeps ignore rules.
type Rules interface {
	SaveRule(ctx context.Context, rule penumbra.Rule) error
	DeleteRule(ctx context.Context, id string) error // no error if there is none
	// Rules returns all rules in the order in which they were created.
	Rules(ctx context.Context) ([]penumbra.Rule, error)
}

// Checkpoints keeps the models' saved states.
type Checkpoints interface {
	SaveCheckpoint(ctx context.Context, c penumbra.Checkpoint) error
	// Checkpoint returns the last one of that name, an error of kind NotFound
	// if there is none and of kind Damaged if it does not match its checksum.
	Checkpoint(ctx context.Context, name string) (penumbra.Checkpoint, error)
}

// Versions keeps the versions of the model.
type Versions interface {
	// AddVersion stores a version under the next number, from 1, with what it
	// starts from, nil if there is none, and returns the number. Of earlier
	// versions the bodies of the newest [penumbra.KeptVersions] are kept, that of
	// the active one and that of the one before it; any other may be given up.
	AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (number int, err error)
	// SaveVersions stores new states of stored versions, all or none. It returns
	// an error of kind NotFound if one of them is not stored.
	SaveVersions(ctx context.Context, versions []penumbra.ModelVersion) error
	// Versions returns all of them, the newest first.
	Versions(ctx context.Context) ([]penumbra.ModelVersion, error)
	// VersionBody returns what a version starts from. It returns an error of kind
	// NotFound if it is not stored or not kept, and of kind Damaged if it does not
	// match its checksum.
	VersionBody(ctx context.Context, number int) ([]byte, error)
}

// Anomalies keeps findings on metrics.
type Anomalies interface {
	// SaveAnomalies stores new ones and new states of stored ones, all or none.
	SaveAnomalies(ctx context.Context, anomalies []penumbra.Anomaly) error
	// Anomalies returns the selected ones, the last noticed first.
	Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error)
}

// Store is all that a store keeps.
type Store interface {
	decisions.Store
	inputs.Store
	Observations
	Drifts
	Rules
	Checkpoints
	Versions
	Anomalies
	// Counts returns the numbers of observations and of quarantined lines.
	Counts(ctx context.Context) (observations, quarantined int64, err error)
	Close() error
}
