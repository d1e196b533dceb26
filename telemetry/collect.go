package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penumbra-iac/penumbra"
)

// A World is what is measured at each scrape.
type World interface {
	Status(ctx context.Context) (penumbra.Status, error)
	Tally(ctx context.Context) (penumbra.Tally, error)
	DriftCounts() []penumbra.DriftCount
	ModelScores() []penumbra.ModelScore
}

// collectTimeout bounds what a scrape asks for.
const collectTimeout = 10 * time.Second

// Collect measures the world at each scrape.
func (t *Telemetry) Collect(w World, confidence float64, now func() time.Time) {
	t.registry.MustRegister(&collector{world: w, confidence: confidence, now: now})
}

type collector struct {
	world      World
	confidence float64
	now        func() time.Time
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

// What is told at each scrape.
var (
	upDesc        = desc("up", "Whether what is known could be asked for: 0 if the store or the loop did not answer.")
	resourcesDesc = desc("resources", "Resources by their gravest verdict.", "verdict")
	settingsDesc  = desc("settings", "Settings of all resources.")
	driftsDesc    = desc("drifts", "Active drifts.", "verdict", "severity")
	anomaliesDesc = desc("anomalies", "Metrics that are out of their band.")

	observationsDesc = desc("observations", "Observations stored.")
	quarantinedDesc  = desc("quarantined_lines", "Lines that could not be read, kept aside.")
	proposalsDesc    = desc("proposals", "Proposals stored, by status.", "status")
	decisionsDesc    = desc("decisions", "Decisions stored.")
	runsDesc         = desc("runs", "Runs stored, by state.", "state")
	noticesDesc      = desc("notices", "Notices stored, by channel and state.", "channel", "state")
	queueDesc        = desc("queue_depth", "What waits: notices to be sent, runs at work, proposals that are scheduled for a window.", "queue")
	bytesDesc        = desc("store_size_bytes", "Size of the store's files.")
	checkpointDesc   = desc("model_checkpoint_timestamp_seconds", "When the shadow was saved last.")

	sourceUpDesc    = desc("source_up", "1 if the last read of the source succeeded.", "stack", "source")
	sourceReadDesc  = desc("source_last_read_timestamp_seconds", "When the source was read successfully last; 0 if it never was.", "stack", "source")
	sourceAgeDesc   = desc("source_not_checked_seconds", "For how long the source was not read successfully, since the daemon's start if it never was.", "stack", "source")
	sourceFailsDesc = desc("source_failures", "Failed reads in a row.", "stack", "source")
	sourceTookDesc  = desc("source_read_duration_seconds", "How long the last read took, with what followed.", "stack", "source")

	inputUpDesc      = desc("input_up", "1 if the input works.", "input")
	inputLagDesc     = desc("input_lag_seconds", "How long after it happened the last of an input came.", "input")
	inputRecordsDesc = desc("input_records_total", "Log records read, by what became of them.", "input", "outcome")
	inputPointsDesc  = desc("input_points_total", "Values of metrics taken.", "input")
	inputSeriesDesc  = desc("input_series", "Series of metrics that are watched.", "input")

	versionDesc     = desc("model_version", "The active version of the model, 0 if none is, with the family that serves.", "family")
	confidenceDesc  = desc("model_confidence", "The confidence of prediction sets: the coverage that they should have.")
	predictionsDesc = desc("model_predictions_total", "Values of snapshots that a prediction was there for, by whether they had changed.", "changed")
	coveredDesc     = desc("model_predictions_covered_total", "Of the predictions those whose set had the value.", "changed")
	lossDesc        = desc("model_log_loss_nats_total", "Sum of -ln of the probability that the values had.", "changed")
)

var descs = []*prometheus.Desc{
	upDesc, resourcesDesc, settingsDesc, driftsDesc, anomaliesDesc, observationsDesc, quarantinedDesc, proposalsDesc, decisionsDesc, runsDesc, noticesDesc, queueDesc,
	bytesDesc, checkpointDesc, sourceUpDesc, sourceReadDesc, sourceAgeDesc, sourceFailsDesc, sourceTookDesc, inputUpDesc, inputLagDesc, inputRecordsDesc, inputPointsDesc,
	inputSeriesDesc, versionDesc, confidenceDesc, predictionsDesc, coveredDesc, lossDesc,
}

var started = time.Now()

// Describe implements [prometheus.Collector].
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range descs {
		to <- d
	}
}

// sink writes metrics of one scrape.
type sink chan<- prometheus.Metric

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (s sink) counter(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

// Collect implements [prometheus.Collector]. What can't be asked for is left out, and
// up is 0.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	s := sink(to)
	st, err := c.world.Status(ctx)
	if err == nil {
		c.watched(s, &st)
	}
	tally, failed := c.world.Tally(ctx)
	if failed == nil {
		c.stored(s, &tally)
	}
	c.foretold(s)
	s.gauge(upDesc, flag(errors.Join(err, failed) == nil))
}

func flag(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}

// watched tells of what is watched and what was found.
func (c *collector) watched(s sink, st *penumbra.Status) {
	for _, v := range verdicts {
		s.gauge(resourcesDesc, float64(st.Verdicts[v]), v.String())
	}
	s.gauge(settingsDesc, float64(st.Settings))
	s.gauge(anomaliesDesc, float64(st.Anomalies))
	s.gauge(observationsDesc, float64(st.Observations))
	s.gauge(quarantinedDesc, float64(st.Quarantined))
	s.gauge(versionDesc, float64(st.ModelVersion), st.Model)
	counts := map[penumbra.DriftCount]int{}
	for _, x := range c.world.DriftCounts() {
		counts[penumbra.DriftCount{Verdict: x.Verdict, Severity: x.Severity}] = x.Count
	}
	for _, v := range verdicts {
		if v == penumbra.InSync {
			continue
		}
		for severity := penumbra.LowSeverity; severity <= penumbra.CriticalSeverity; severity++ {
			s.gauge(driftsDesc, float64(counts[penumbra.DriftCount{Verdict: v, Severity: severity}]), v.String(), severity.String())
		}
	}
	for i := range st.Stacks {
		x := &st.Stacks[i]
		if len(x.Sources) == 0 && x.Source != "" && x.Source != "timeline" {
			c.source(s, x.Name, &penumbra.SourceStatus{Name: x.Source, LastRead: x.LastRead, Error: x.Error, Failures: int(flag(x.Error != "")), Took: x.Took})
		}
		for j := range x.Sources {
			c.source(s, x.Name, &x.Sources[j])
		}
	}
	for i := range st.Inputs {
		in := &st.Inputs[i]
		s.gauge(inputUpDesc, flag(in.Error == ""), in.Name)
		s.gauge(inputLagDesc, in.Lag.Seconds(), in.Name)
		s.counter(inputPointsDesc, float64(in.Points), in.Name)
		s.gauge(inputSeriesDesc, float64(in.Series), in.Name)
		for _, x := range []struct {
			outcome string
			n       int64
		}{{"mapped", in.Mapped}, {"skipped", in.Skipped}, {"denied", in.Denied}, {"unmapped", in.Unmapped}, {"dropped", in.Dropped}, {"bad", in.Bad}} {
			s.counter(inputRecordsDesc, float64(x.n), in.Name, x.outcome)
		}
	}
}

func (c *collector) source(s sink, stack string, x *penumbra.SourceStatus) {
	s.gauge(sourceUpDesc, flag(x.Error == "" && !x.LastRead.IsZero()), stack, x.Name)
	s.gauge(sourceReadDesc, unix(x.LastRead), stack, x.Name)
	age := time.Since(started)
	if !x.LastRead.IsZero() {
		age = max(0, c.now().Sub(x.LastRead))
	}
	s.gauge(sourceAgeDesc, age.Seconds(), stack, x.Name)
	s.gauge(sourceFailsDesc, float64(x.Failures), stack, x.Name)
	s.gauge(sourceTookDesc, x.Took.Seconds(), stack, x.Name)
}

var (
	verdicts  = []penumbra.Verdict{penumbra.InSync, penumbra.Pending, penumbra.Tolerated, penumbra.Impending, penumbra.Unexpected, penumbra.Drifted, penumbra.NotChecked}
	statuses  = []penumbra.ProposalStatus{penumbra.Proposed, penumbra.Scheduled, penumbra.Approved, penumbra.Rejected, penumbra.Superseded}
	runStates = []penumbra.RunState{penumbra.Planned, penumbra.Checking, penumbra.Applying, penumbra.Verifying, penumbra.Done, penumbra.RolledBack, penumbra.Failed, penumbra.Halted}
)

// stored tells of what the store holds.
func (c *collector) stored(s sink, t *penumbra.Tally) {
	for _, status := range statuses {
		s.gauge(proposalsDesc, float64(t.Proposals[status]), string(status))
	}
	working, waiting := 0, 0
	for _, state := range runStates {
		s.gauge(runsDesc, float64(t.Runs[state]), state.String())
		if !state.Ended() {
			working += t.Runs[state]
		}
	}
	for _, n := range t.Notices {
		s.gauge(noticesDesc, float64(n.Count), n.Channel, string(n.State))
		if n.State == penumbra.NoticeWaiting || n.State == penumbra.NoticeHeld {
			waiting += n.Count
		}
	}
	s.gauge(decisionsDesc, float64(t.Decisions))
	s.gauge(queueDesc, float64(waiting), "notices")
	s.gauge(queueDesc, float64(working), "runs")
	s.gauge(queueDesc, float64(t.Proposals[penumbra.Scheduled]), "scheduled")
	s.gauge(bytesDesc, float64(t.Bytes))
	s.gauge(checkpointDesc, unix(t.Checkpoint))
}

// foretold tells how well the shadow foretells.
func (c *collector) foretold(s sink) {
	s.gauge(confidenceDesc, c.confidence)
	for _, x := range c.world.ModelScores() {
		changed := "false"
		if x.Changed {
			changed = "true"
		}
		s.counter(predictionsDesc, float64(x.Predictions), changed)
		s.counter(coveredDesc, float64(x.Covered), changed)
		s.counter(lossDesc, x.LogLoss, changed)
	}
}
