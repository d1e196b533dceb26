package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/timelines"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/timeline"
)

const (
	// replayStep is how often a replay tells of what has come meanwhile.
	replayStep = 200 * time.Millisecond
	// replayTurn is of how much time a replay takes values in at once at most.
	replayTurn = 10 * time.Second
	// replayIdle is how long a replay waits for what comes next: a longer pause
	// of the recording is passed over.
	replayIdle = 2 * time.Second
)

// replay plays a recorded timeline into a daemon of its own. Its clock is the
// recording's.
type replay struct {
	*demo
	file  string
	speed float64

	observations []penumbra.Observation
	bad          int
	drifts       map[string]penumbra.Drift // as last told
	anomalies    map[string]penumbra.Anomaly
	critical     int
}

// replaying checks what was asked for and plays it.
func (a *app) replaying(ctx context.Context, d *demo, file string, speed float64, listen string) error {
	if !(speed > 0) || speed > 1e9 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--speed %g", speed), Remedy: "write how many times as fast, such as 60"}
	}
	r := &replay{demo: d, file: file, speed: speed, drifts: map[string]penumbra.Drift{}, anomalies: map[string]penumbra.Anomaly{}}
	if err := r.load(); err != nil {
		return err
	}
	return r.run(ctx, listen)
}

// load reads the recording into the order of time. It is held in memory: what
// comes first may be written last.
func (r *replay) load() error {
	f, err := os.Open(r.file)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "read a recording", Remedy: "make one with `penumbra record`", Err: err}
	}
	defer f.Close()
	for line, err := range (wire.Codec{}).Decode(f, filepath.Base(r.file)) {
		switch {
		case err != nil:
			return err
		case line.Bad != nil:
			r.bad++
		default:
			r.observations = append(r.observations, line.Observation)
		}
	}
	if len(r.observations) == 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: r.file + " has no observations", Remedy: "make a recording with `penumbra record`, or name another timeline"}
	}
	r.observations = timeline.Order(withoutDerived(r.observations))
	return nil
}

// withoutDerived leaves out what the recorded daemon concluded from the rest,
// which the replay does again: anomalies, and the means of hours where the values
// are there.
func withoutDerived(observations []penumbra.Observation) []penumbra.Observation {
	values := slices.ContainsFunc(observations, timelines.IsValues)
	return slices.DeleteFunc(observations, func(o penumbra.Observation) bool {
		switch o.Kind {
		case penumbra.EventKind:
			return o.Action == penumbra.ActionAnomaly || o.Action == penumbra.ActionAnomalyEnd
		case penumbra.MetricKind:
			return values && o.Source == "metrics"
		default:
			return false
		}
	})
}

func (r *replay) run(ctx context.Context, listen string) (err error) {
	dir, err := os.MkdirTemp("", "penumbra-replay-")
	if err != nil {
		return fmt.Errorf("make a data directory for the replay: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r.clock.set(r.observations[0].Time)
	c := &wire.Config{Data: dir, Listen: listen, Confidence: 0.95, Model: wire.DefaultModel, Folder: dir}
	return r.perform(ctx, c, wire.Options{Log: r.LoggerAt(slog.LevelWarn), Version: r.Version, Now: r.clock.now}, r.once, r.play)
}

// play takes the observations in at the recording's pace, the given number of
// times as fast.
func (r *replay) play(ctx context.Context, url, token string) error {
	r.url = url + "/?token=" + token
	r.client = api.NewClient(url, token)
	if !r.once {
		fmt.Fprintf(r.Out, "The page, to watch it happen: %s\n", r.url)
	}
	began := time.Now()
	first, last := r.observations[0].Time, r.observations[len(r.observations)-1].Time
	observations, values := 0, 0
	for i := range r.observations {
		if timelines.IsValues(r.observations[i]) {
			values += len(r.observations[i].Metrics)
		} else {
			observations++
		}
	}
	r.title("%s: %d observations and %d values of metrics over %s", filepath.Base(r.file), observations, values, words.Span(last.Sub(first)))
	if r.bad > 0 {
		r.say("%d lines cannot be read and are left out", r.bad)
	}
	rest := r.observations
	for at := first; ; {
		n := 0
		for n < len(rest) && !rest[n].Time.After(at) {
			n++
		}
		if err := r.takeInTurn(ctx, rest[:n]); err != nil {
			return err
		}
		r.clock.set(at)
		if rest = rest[n:]; len(rest) == 0 {
			break
		}
		var err error
		if at, err = r.until(ctx, at, rest[0].Time); err != nil {
			return err
		}
	}
	return r.close(ctx, time.Since(began), last.Sub(first))
}

// until waits for the next step, or for what comes next if that is sooner, and
// returns the time at which the recording is then.
func (r *replay) until(ctx context.Context, at, next time.Time) (time.Time, error) {
	wait := time.Duration(float64(next.Sub(at)) / r.speed)
	if wait > replayIdle {
		return next, ctx.Err()
	}
	then := next
	if wait > replayStep {
		wait, then = replayStep, at.Add(time.Duration(float64(replayStep)*r.speed))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return then, nil
	case <-ctx.Done():
		return at, ctx.Err()
	}
}

// takeInTurn takes what came at one time after the other. However fast it goes, the
// daemon has seen all values up to a change before it sees the change, and knows of
// the change when it sees the next ones.
func (r *replay) takeInTurn(ctx context.Context, observations []penumbra.Observation) error {
	for len(observations) > 0 {
		first := &observations[0]
		n := 1
		values := timelines.IsValues(*first)
		for n < len(observations) && timelines.IsValues(observations[n]) == values && (!values || observations[n].Time.Sub(first.Time) < replayTurn) {
			n++
		}
		last := observations[n-1].Time
		if values { // not before them, or a metric would seem silent while they are on their way
			r.clock.set(first.Time)
		} else {
			r.clock.set(last)
		}
		if err := r.take(ctx, observations[:n]); err != nil {
			return err
		}
		r.clock.set(last)
		observations = observations[n:]
	}
	return nil
}

// take gives observations to the daemon and tells what it makes of them.
func (r *replay) take(ctx context.Context, observations []penumbra.Observation) error {
	if len(observations) == 0 {
		return nil
	}
	var lines bytes.Buffer
	for i := range observations {
		o := &observations[i]
		if err := (wire.Codec{}).Encode(&lines, o); err != nil {
			return err
		}
		if o.Kind == penumbra.EventKind && o.ActorKind == penumbra.User {
			r.say("%s: %s on %s", o.Actor, words.Shorten(o.Action, 60), o.Resource)
		}
	}
	if _, err := r.client.Ingest(ctx, &lines, filepath.Base(r.file)); err != nil {
		return err
	}
	if err := r.tellDrifts(ctx); err != nil {
		return err
	}
	return r.tellAnomalies(ctx)
}

func (r *replay) tellDrifts(ctx context.Context) error {
	drifts, err := r.client.Drifts(ctx, penumbra.DriftQuery{Limit: 1000})
	if err != nil {
		return err
	}
	for i := range drifts {
		d := &drifts[i]
		before, known := r.drifts[d.ID]
		r.drifts[d.ID] = *d
		switch {
		case !known || d.Active() && d.Verdict != before.Verdict:
			by := ""
			if d.Cause.Actor != "" {
				by = " by " + d.Cause.Actor
			}
			r.say("%s %s%s  %s", r.Verdict(d.Verdict), d.Resource, by, words.Shorten(words.Summary(d), 90))
		case before.Active() && !d.Active():
			r.say("%s %s  %s", r.Paint(console.Green, "✓ resolved"), d.Resource, d.Resolution)
		}
		if d.Critical && !before.Critical {
			r.critical++
			r.say("%s %s  %s", r.Paint(console.Red, "CRITICAL"), d.Resource, impactsText(d))
		}
	}
	return nil
}

func impactsText(d *penumbra.Drift) string {
	texts := make([]string, 0, len(d.Impact))
	for _, x := range penumbra.GravestFirst(d.Impact) {
		texts = append(texts, words.Impact(&x))
	}
	return strings.Join(texts, "; ")
}

func (r *replay) tellAnomalies(ctx context.Context) error {
	anomalies, err := r.client.Anomalies(ctx, penumbra.AnomalyQuery{Limit: 1000})
	if err != nil {
		return err
	}
	for i := range anomalies {
		x := &anomalies[i]
		before, known := r.anomalies[x.ID]
		r.anomalies[x.ID] = *x
		switch {
		case !known:
			r.say("%s %s  %s %s", r.Paint(console.Yellow, "◆ anomaly"), x.Resource, x.Metric, r.Change(x))
		case before.Active() && !x.Active():
			r.say("%s %s  %s is as usual again", r.Paint(console.Green, "✓ over"), x.Resource, x.Metric)
		}
		if cause := words.Likeliest(x); cause != "" && cause != words.Likeliest(&before) {
			r.say("     likeliest cause of %s: %s", x.Metric, cause)
		}
	}
	return nil
}

// close says what it was, and keeps the page up. The clock stays at the end of
// the recording.
func (r *replay) close(ctx context.Context, took, length time.Duration) error {
	status, err := r.client.Status(ctx)
	if err != nil {
		return err
	}
	r.title("Summary")
	fmt.Fprintf(r.Out, "  - %d observations of %d resources over %s, played in %s\n", status.Observations, status.Resources, words.Span(length), took.Round(time.Second))
	fmt.Fprintf(r.Out, "  - %d findings, %d of them critical; %d anomalies\n", len(r.drifts), r.critical, len(r.anomalies))
	if !r.once {
		fmt.Fprintf(r.Out, "\nThe page shows how it was at the end: %s\nInterrupt (Ctrl-C) to end.\n", r.url)
	}
	return nil
}
