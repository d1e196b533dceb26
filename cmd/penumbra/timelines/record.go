package timelines

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
	"github.com/penumbra-iac/penumbra/timeline"
)

const (
	// recordEvery is how often a recording asks for what is new, and is written.
	recordEvery = time.Second
	// recordPatience is how long a daemon may be away before a recording ends.
	recordPatience = time.Minute
)

func (a *app) recordCommand() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:     "record FILE",
		GroupID: "data",
		Short:   "Write what the daemon takes in from now on, until interrupted",
		Long: `Writes a timeline of what the running daemon takes in from now on: templates,
snapshots, events, and each value of the metrics. It begins with the last template
and snapshot of every resource, so that the file stands alone:
` + "`penumbra demo --replay FILE`" + ` plays it and ` + "`penumbra ingest FILE`" + ` takes it in.

The file grows while it records and is complete up to the last second whenever
it is cut off. Sensitive values are the keyed hashes that are stored, never the
values.`,
		Example: `  penumbra record incident.jsonl
  penumbra record lab.jsonl --for 10m && penumbra demo --replay lab.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			if length < 0 {
				return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--for %s", length), Remedy: "write a length of time such as 10m"}
			}
			return a.record(cmd.Context(), args[0], length)
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "end by itself after so long (default: when interrupted)")
	return cmd
}

func (a *app) record(ctx context.Context, file string, length time.Duration) (err error) {
	c, err := a.Config()
	if err != nil {
		return err
	}
	client := console.Running(ctx, c)
	if client == nil {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "no daemon works on " + c.DataDir() + ", so nothing is taken in", Remedy: "start `penumbra serve`; for what is stored already use `penumbra export`"}
	}
	// A recording cannot be made again: it never takes the place of another.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: "write the recording", Remedy: "name a new file in a folder that you may write", Err: err}
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := &recording{
		Service: &console.Service{Client: client, Daemon: true}, config: c, file: f,
		types: map[penumbra.Address]string{}, newest: map[penumbra.Address]time.Time{},
	}
	defer a.counting("Recording", r.progress)()
	err = r.run(ctx, length)
	if a.Output == "json" {
		return errors.Join(err, a.JSON(map[string]any{
			"file": file, "observations": r.written.Load(), "values": r.values.Load(), "missed": r.missed, "from": r.from, "to": r.to,
		}))
	}
	fmt.Fprintf(a.Out, "%d observations and %d values of metrics written to %s: %s from %s.\n", r.written.Load(), r.values.Load(), file, words.Span(r.to.Sub(r.from)), r.from.Format(time.RFC3339))
	if r.missed > 0 {
		fmt.Fprintf(a.Out, "%d values came faster than they could be written and are missing; the file says where (%s).\n", r.missed, penumbra.ActionMissed)
	}
	return err
}

// recording is a timeline that is being written.
type recording struct {
	*console.Service
	config   *wire.Config
	file     *os.File
	from, to time.Time // by the daemon's clock
	after    int64     // the sequence number up to which it is written
	types    map[penumbra.Address]string

	id     string                         // by which the daemon knows it, "" before it does
	page   int64                          // of values, the last that is written
	newest map[penumbra.Address]time.Time // of the values of each resource
	missed int64

	written atomic.Int64 // observations other than values
	values  atomic.Int64
	size    atomic.Int64 // bytes
}

func (r *recording) progress() string {
	return fmt.Sprintf("%d observations, %d values, %d KiB", r.written.Load(), r.values.Load(), r.size.Load()>>10)
}

// run records until ctx ends or the length is over, and then once more, so that
// what came up to the end is there.
func (r *recording) run(ctx context.Context, length time.Duration) error {
	status, err := r.Status(ctx)
	if err != nil {
		return err
	}
	// The store numbers observations from 1 without gaps.
	r.from, r.to, r.after = status.Time, status.Time, status.Observations
	if r.id, err = r.StartRecording(ctx); err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		_ = r.EndRecording(ending, r.id) // or it ends by itself
	}()
	if err := r.present(ctx); err != nil {
		return err
	}
	var over <-chan time.Time
	if length > 0 {
		timer := time.NewTimer(length)
		defer timer.Stop()
		over = timer.C
	}
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	away := time.Now()
	for {
		select {
		case <-tick.C:
			switch err := r.take(ctx); {
			case err == nil:
				away = time.Now()
			case ctx.Err() != nil:
			case penumbra.KindOf(err) != penumbra.Unavailable || time.Since(away) > recordPatience:
				return err
			default:
				r.reconnect(ctx)
			}
			continue
		case <-over:
		case <-ctx.Done():
		}
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return r.take(ending)
	}
}

// reconnect finds the daemon again, which may have another port after a restart.
func (r *recording) reconnect(ctx context.Context) {
	if client := console.Running(ctx, r.config); client != nil {
		r.Client = client
	}
}

// stateKey tells apart what the sources of a resource last said of it.
type stateKey struct {
	resource penumbra.Address
	kind     penumbra.ObservationKind
	source   string
}

// present writes the last template and snapshot of every resource.
func (r *recording) present(ctx context.Context) error {
	last := map[stateKey]penumbra.Observation{}
	asked, failed := time.Now(), error(nil)
	err := r.each(ctx, penumbra.ObservationQuery{
		To: r.from, Kinds: []penumbra.ObservationKind{penumbra.TemplateKind, penumbra.SnapshotKind, penumbra.EventKind},
	}, func(o penumbra.Observation) {
		if o.Type != "" {
			r.types[o.Resource] = o.Type
		}
		k := stateKey{o.Resource, o.Kind, o.Source}
		switch {
		case o.Kind == penumbra.EventKind && o.Action == penumbra.ActionDelete:
			for k := range last {
				if k.resource == o.Resource {
					delete(last, k)
				}
			}
		case o.Kind == penumbra.EventKind:
		case o.NotChecked != "" && last[k].Kind != 0: // a failed read says nothing of what is there
		default:
			last[k] = o
		}
		if time.Since(asked) > recordPatience/3 { // or a long history would outlast the daemon's patience
			asked, failed = time.Now(), errors.Join(failed, r.takeValues(ctx))
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	state := make([]penumbra.Observation, 0, len(last))
	for _, o := range last {
		state = append(state, o)
	}
	return r.write(timeline.Order(state))
}

// each calls f with the selected observations.
func (r *recording) each(ctx context.Context, q penumbra.ObservationQuery, f func(penumbra.Observation)) error {
	reader, writer := io.Pipe()
	exported := make(chan error, 1)
	go func() {
		_, err := r.Export(ctx, q, writer)
		_ = writer.CloseWithError(err) // a reader that ended early is told nothing
		exported <- err
	}()
	var failed error
	for line, err := range (wire.Codec{}).Decode(reader, "the daemon") {
		switch {
		case err != nil:
			failed = err
		case line.Bad != nil:
			failed = &penumbra.Error{Kind: penumbra.Damaged, What: fmt.Sprintf("line %d that the daemon sent: %s", line.Bad.Line, line.Bad.Reason)}
		default:
			f(line.Observation)
			continue
		}
		break
	}
	_ = reader.Close()
	return cmp.Or(<-exported, failed)
}

// take writes what came since the last time.
func (r *recording) take(ctx context.Context) error {
	status, err := r.Status(ctx)
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	n, err := r.Export(ctx, penumbra.ObservationQuery{After: r.after}, &lines)
	if err != nil {
		return err
	}
	if err := r.append(lines.Bytes(), nil); err != nil {
		return err
	}
	r.written.Add(int64(n))
	r.after, r.to = r.after+int64(n), status.Time
	return r.takeValues(ctx)
}

// takeValues writes the values of metrics that came since the last time.
func (r *recording) takeValues(ctx context.Context) error {
	for {
		page, err := r.RecordedValues(ctx, r.id, r.page)
		if penumbra.KindOf(err) == penumbra.NotFound {
			return r.again(ctx)
		}
		if err != nil {
			return err
		}
		if err := r.append(encoded(r.observed(page.Values))); err != nil {
			return err
		}
		r.page = page.Page
		r.values.Add(int64(len(page.Values)))
		if err := r.write(r.gaps(page.Missed)); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
	}
}

// again has a daemon that was started again, or that gave the recording up, keep
// values from now on, and notes in the file that some are missing.
func (r *recording) again(ctx context.Context) error {
	id, err := r.StartRecording(ctx)
	if err != nil {
		return err
	}
	r.id, r.page = id, 0
	missed := make([]penumbra.Observation, 0, len(r.newest))
	for resource, newest := range r.newest {
		missed = append(missed, r.gap(resource, newest, fmt.Sprintf("values of its metrics from %s to %s are missing: the daemon was started again or was not asked for too long", newest.Format(time.RFC3339), r.to.Format(time.RFC3339))))
	}
	return r.write(timeline.Order(missed))
}

// observed makes an observation of the values of each resource and time.
func (r *recording) observed(values []penumbra.MetricValue) []penumbra.Observation {
	type at struct {
		resource penumbra.Address
		time     time.Time
	}
	found := map[at]*penumbra.Observation{}
	for i := range values {
		v := &values[i]
		k := at{v.Resource, v.Time}
		if found[k] == nil {
			found[k] = &penumbra.Observation{Kind: penumbra.MetricKind, Time: v.Time, Resource: v.Resource, Type: r.types[v.Resource], Source: penumbra.LiveSource}
		}
		found[k].Metrics = append(found[k].Metrics, penumbra.Metric{Name: v.Metric, Value: v.Value, Worse: v.Worse, Directed: true})
		if v.Time.After(r.newest[v.Resource]) {
			r.newest[v.Resource] = v.Time
		}
	}
	out := make([]penumbra.Observation, 0, len(found))
	for _, o := range found {
		slices.SortFunc(o.Metrics, func(x, y penumbra.Metric) int { return cmp.Compare(x.Name, y.Name) })
		out = append(out, *o)
	}
	return timeline.Order(out)
}

// gaps makes an event of what is missing of each resource.
func (r *recording) gaps(missed []penumbra.RecordingGap) []penumbra.Observation {
	var out []penumbra.Observation
	for _, gap := range missed {
		r.missed += gap.Values
		out = append(out, r.gap(gap.Resource, gap.From, fmt.Sprintf("%d values of its metrics to %s are missing: they came faster than they could be written", gap.Values, gap.To.Format(time.RFC3339))))
	}
	return timeline.Order(out)
}

func (r *recording) gap(resource penumbra.Address, at time.Time, message string) penumbra.Observation {
	return penumbra.Observation{
		Kind: penumbra.EventKind, Time: at, Resource: resource, Type: r.types[resource], Source: "penumbra",
		ActorKind: penumbra.System, Action: penumbra.ActionMissed, Message: message,
	}
}

// write appends observations that are no values.
func (r *recording) write(observations []penumbra.Observation) error {
	lines, err := encoded(observations)
	if err := r.append(lines, err); err != nil {
		return err
	}
	r.written.Add(int64(len(observations)))
	return nil
}

func encoded(observations []penumbra.Observation) ([]byte, error) {
	var lines bytes.Buffer
	for i := range observations {
		if err := (wire.Codec{}).Encode(&lines, &observations[i]); err != nil {
			return nil, err
		}
	}
	return lines.Bytes(), nil
}

// append writes whole lines in one call, so that the file never ends in half a
// one.
func (r *recording) append(lines []byte, err error) error {
	if err != nil || len(lines) == 0 {
		return err
	}
	if _, err := r.file.Write(lines); err != nil {
		return &penumbra.Error{Kind: penumbra.Full, What: "write the recording", Remedy: "make room on the disk", Err: err}
	}
	r.size.Add(int64(len(lines)))
	return nil
}

// counting shows on a terminal how far something is that has no end of its own,
// and returns what takes that away.
func (a *app) counting(label string, far func() string) func() {
	if !console.Colour(a.Err) || a.Output != "human" {
		return func() {}
	}
	progress := mpb.New(mpb.WithOutput(a.Err), mpb.WithRefreshRate(500*time.Millisecond), mpb.WithAutoRefresh())
	bar := progress.New(0, mpb.SpinnerStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label+" "), decor.Any(func(decor.Statistics) string { return far() })),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO), decor.Name("  Ctrl-C to end")))
	return func() {
		bar.SetTotal(1, true)
		progress.Wait()
	}
}
