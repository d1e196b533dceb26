package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/store/sqlite"
	"github.com/penumbra-iac/penumbra/timeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(untilAllLeft{m}) }

var day0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// bench is an engine on the real stages and a real store, with a clock that the
// test moves and a world that it changes.
type bench struct {
	t      *testing.T
	dir    string
	now    time.Time
	clock  atomic.Int64                 // now, in nanoseconds since 1970: what the engine reads
	world  map[string]penumbra.Settings // by local address
	code   map[string]penumbra.Settings
	err    error // of the next reads
	reads  atomic.Int64
	engine *engine.Engine
	store  *sqlite.Store
	log    bytes.Buffer
	config func(*engine.Config)
	jobs   *jobs // at work unless the configuration brings another queue
	hands  sync.Mutex
}

// handOver is called by who has changed or read what a source has, and by the
// source before it does: time that passes in a bubble puts nothing before anything.
func (b *bench) handOver() {
	b.hands.Lock()
	defer b.hands.Unlock()
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), now: day0, world: map[string]penumbra.Settings{}, code: map[string]penumbra.Settings{}}
	b.advance(0)
	return b
}

func (b *bench) start() *bench {
	b.t.Helper()
	store, err := sqlite.Open(filepath.Join(b.dir, "penumbra.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	judge, err := drift.NewJudge(drift.DefaultThresholds())
	if err != nil {
		b.t.Fatal(err)
	}
	cfg := engine.Config{
		Store: store, NewShadow: func() engine.Shadow { return shadow.NewPooled(shadow.Options{}) }, Judge: judge,
		Codec: lines{}, Fold: timeline.Fold, Order: timeline.Order, Key: penumbra.Key("a key of the tests only"),
		Stacks:   []engine.Stack{{Name: "shop", Dir: "shop", Readers: []engine.Reader{{Name: "test", Source: b}}}},
		Schedule: engine.Schedule{Gap: time.Nanosecond, Burst: 1000},
		Now:      b.time, Log: slog.New(slog.NewTextHandler(&b.log, nil)), ModelName: "pooled",
	}
	b.jobs = &jobs{now: b.time}
	cfg.Queue = b.jobs
	if b.config != nil {
		b.config(&cfg)
	}
	e, err := engine.New(b.t.Context(), cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.engine, b.store = e, store
	b.settle() // what an earlier process has left is done
	b.t.Cleanup(func() { b.store.Close() })
	return b
}

// settle waits until runs have ended, and jobs that any act has begun: a scheduled one whose time
// has come begins with the next that is put in.
func (b *bench) settle() {
	b.engine.Wait()
	b.jobs.working.Wait()
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.engine.Close(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// Read is the bench as a source.
func (b *bench) Read(context.Context) ([]penumbra.Observation, error) {
	b.reads.Add(1)
	if b.err != nil {
		return nil, b.err
	}
	var out []penumbra.Observation
	for name, settings := range b.code {
		out = append(out, penumbra.Observation{Kind: penumbra.TemplateKind, Time: b.now, Resource: penumbra.NewAddress("shop", name), Type: "vm", Source: "test", Settings: settings})
	}
	for name, settings := range b.world {
		out = append(out, penumbra.Observation{Kind: penumbra.SnapshotKind, Time: b.now, Resource: penumbra.NewAddress("shop", name), Type: "vm", Source: "test", Settings: settings, Full: true})
	}
	return out, nil
}

func (b *bench) look() {
	b.t.Helper()
	if err := b.engine.Trigger(b.t.Context(), "shop"); err != nil {
		b.t.Fatal(err)
	}
}

// time is now, for the engine and its sources, which may ask while it advances.
func (b *bench) time() time.Time { return time.Unix(0, b.clock.Load()).UTC() }

func (b *bench) advance(d time.Duration) {
	b.now = b.now.Add(d)
	b.clock.Store(b.now.UnixNano())
}

func (b *bench) both(name string, s penumbra.Settings) { b.world[name], b.code[name] = s, s }

func (b *bench) drifts() []penumbra.Drift {
	b.t.Helper()
	d, err := b.engine.Drifts(b.t.Context(), penumbra.DriftQuery{Active: true})
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *bench) ingest(text string) penumbra.IngestReport {
	b.t.Helper()
	r, err := b.engine.Ingest(b.t.Context(), strings.NewReader(text), "test")
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// lines is the timeline format, as cmd joins it.
type lines struct{}

func (lines) Decode(r io.Reader, source string) iter.Seq2[engine.Line, error] {
	return func(yield func(engine.Line, error) bool) {
		d := timeline.NewDecoder(r, source)
		for {
			o, err := d.Next()
			line := engine.Line{Observation: o}
			if bad, ok := err.(*timeline.LineError); ok {
				line, err = engine.Line{Bad: &penumbra.BadLine{Source: source, Line: bad.Line, Reason: bad.Reason, Text: bad.Text}}, nil
			}
			if err == io.EOF || !yield(line, err) || err != nil {
				return
			}
		}
	}
}

func (lines) Encode(w io.Writer, o *penumbra.Observation) error {
	return timeline.NewEncoder(w).Encode(o)
}

func set(pairs ...any) penumbra.Settings {
	var out []penumbra.Setting
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, penumbra.Setting{Path: pairs[i].(string), Value: penumbra.Scalar(pairs[i+1])})
	}
	return penumbra.NewSettings(out...)
}

func TestDriftOpensAndReturns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.both("vm.a", set("size", 1, "zone", "north"))
	b.start()
	b.look()
	if d := b.drifts(); len(d) != 0 {
		t.Fatalf("a stack in sync has drifts: %+v", d)
	}
	b.advance(time.Hour)
	b.world["vm.a"] = set("size", 2, "zone", "north")
	b.look()
	d := b.drifts()
	if len(d) != 1 || d[0].Verdict != penumbra.Drifted || d[0].Findings[0].Actual != penumbra.Number(2) {
		t.Fatalf("after a hand edit: %+v", d)
	}
	b.advance(time.Hour)
	b.world["vm.a"] = set("size", 1, "zone", "north")
	b.look()
	if d := b.drifts(); len(d) != 0 {
		t.Fatalf("after the return: %+v", d)
	}
	all, _ := b.engine.Drifts(t.Context(), penumbra.DriftQuery{ID: d[0].ID})
	if all[0].Resolution != penumbra.Returned {
		t.Fatalf("resolved as %q, want returned", all[0].Resolution)
	}
}

func TestUnchangedSnapshotsAreNotStored(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 50 {
		b.both(fmt.Sprintf("vm.x[%d]", i), set("size", i))
	}
	b.start()
	b.look()
	before, _, _ := b.store.Counts(t.Context())
	for range 10 {
		b.advance(5 * time.Minute)
		b.look()
	}
	after, _, _ := b.store.Counts(t.Context())
	if before != 100 || after != before {
		t.Fatalf("%d observations after the first read, %d after ten more; want 100 and 100", before, after)
	}
	b.advance(25 * time.Hour)
	b.look()
	if heartbeat, _, _ := b.store.Counts(t.Context()); heartbeat != 150 {
		t.Fatalf("%d observations after a day, want 150: a heartbeat for each resource", heartbeat)
	}
}

func TestUnreadableIsNotChecked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.both("vm.a", set("size", 1))
	b.start()
	b.look()
	b.advance(time.Hour)
	b.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "the provider crashed", Remedy: "look at its log"}
	if err := b.engine.Trigger(t.Context(), "shop"); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Fatalf("Trigger: %v", err)
	}
	st, err := b.engine.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Verdicts[penumbra.NotChecked] != 1 || st.Verdicts[penumbra.InSync] != 0 || st.Stacks[0].Error == "" {
		t.Fatalf("after a failed read: %+v", st)
	}
	b.err = nil
	b.advance(time.Hour)
	b.look()
	if st, _ = b.engine.Status(t.Context()); st.Verdicts[penumbra.InSync] != 1 || st.Stacks[0].Error != "" {
		t.Fatalf("after it could be read again: %+v", st)
	}
}

func TestRestartKnowsWhatWasKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.both("vm.a", set("size", 1))
	b.both("vm.b", set("size", 1))
	b.start()
	b.look()
	b.advance(time.Hour)
	b.world["vm.a"] = set("size", 5)
	b.look()
	want, err := b.engine.Shadow(t.Context(), "shop/vm.a")
	if err != nil {
		t.Fatal(err)
	}
	open := b.drifts()
	b.stop()

	b.start()
	if got := b.drifts(); len(got) != 1 || got[0].ID != open[0].ID {
		t.Fatalf("after a restart: %+v, want %+v", got, open)
	}
	b.advance(5 * time.Minute)
	b.look()
	if got := b.drifts(); len(got) != 1 || got[0].ID != open[0].ID {
		t.Fatalf("after a restart and a read: %+v, want the same drift", got)
	}
	got, _ := b.engine.Shadow(t.Context(), "shop/vm.a")
	if got.Settings[0].Expectation.Likely() != want.Settings[0].Expectation.Likely() {
		t.Fatalf("expected %v before, %v after a restart", want.Settings[0].Expectation, got.Settings[0].Expectation)
	}
}

func TestResourceThatIsGoneEndsItsDrift(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.both("vm.a", set("size", 1))
	b.start()
	b.look()
	b.advance(time.Hour)
	b.world["vm.a"] = set("size", 5)
	b.look()
	b.advance(time.Hour)
	delete(b.world, "vm.a")
	delete(b.code, "vm.a")
	b.look()
	if d := b.drifts(); len(d) != 0 {
		t.Fatalf("a resource in neither code nor world has drifts: %+v", d)
	}
	if st, _ := b.engine.Status(t.Context()); st.Resources != 0 {
		t.Fatalf("%d resources, want 0", st.Resources)
	}
}

func TestIngestIsIdempotentAndKeepsBadLinesAside(t *testing.T) {
	t.Parallel()
	b := newBench(t).start()
	const text = `{"kind":"template","time":"2026-03-01T00:00:00Z","resource":"log/vm.a","type":"vm","settings":{"size":1}}
{"kind":"snapshot","time":"2026-03-01T00:05:00Z","resource":"log/vm.a","type":"vm","settings":{"size":1},"full":true}
not json
{"kind":"snapshot","time":"2026-03-02T00:05:00Z","resource":"log/vm.a","type":"vm","settings":{"size":3},"full":true}
{"kind":"snapshot","time":"yesterday","resource":"log/vm.a","type":"vm","settings":{"size":3}}
`
	r := b.ingest(text)
	if r.Lines != 5 || r.Added != 3 || r.Bad != 2 || r.BadLines[0].Line != 3 || r.BadLines[1].Line != 5 {
		t.Fatalf("first: %+v", r)
	}
	if d := b.drifts(); len(d) != 1 || d[0].Verdict != penumbra.Drifted {
		t.Fatalf("drifts of the history: %+v", d)
	}
	if r = b.ingest(text); r.Added != 0 || r.Repeated != 3 {
		t.Fatalf("again: %+v", r)
	}
	if _, kept, _ := b.store.Counts(t.Context()); kept < 2 {
		t.Fatalf("%d lines kept aside, want 2", kept)
	}
}

func TestArrivalOrderMeansNothing(t *testing.T) {
	t.Parallel()
	var text []string
	for h := range 48 {
		size := 1
		if h%24 == 2 {
			size = 2
		}
		at := day0.Add(time.Duration(h) * time.Hour).Format(time.RFC3339)
		text = append(text, fmt.Sprintf(`{"kind":"snapshot","time":%q,"resource":"log/vm.a","type":"vm","settings":{"size":%d},"full":true}`, at, size))
	}
	template := fmt.Sprintf(`{"kind":"template","time":%q,"resource":"log/vm.a","type":"vm","settings":{"size":1}}`, day0.Format(time.RFC3339))
	inOrder := newBench(t).start()
	inOrder.ingest(template + "\n" + strings.Join(text, "\n"))
	shuffled := newBench(t).start()
	for i := range text {
		shuffled.ingest(text[(i*29)%len(text)] + "\n" + text[(i*17)%len(text)])
	}
	shuffled.ingest(strings.Join(text, "\n"))
	shuffled.ingest(template)
	a, err := inOrder.engine.Shadow(t.Context(), "log/vm.a")
	if err != nil {
		t.Fatal(err)
	}
	z, err := shuffled.engine.Shadow(t.Context(), "log/vm.a")
	if err != nil {
		t.Fatal(err)
	}
	for h, want := range a.Settings[0].Forecast.Leave {
		// The two are asked some nanoseconds apart.
		if got := z.Settings[0].Forecast.Leave[h]; math.Abs(got-want) > 1e-6 {
			t.Errorf("forecast for %s after shuffled arrival %v, want %v", penumbra.HorizonNames[h], got, want)
		}
	}
	if !z.Resource.Actual.Equal(a.Resource.Actual) || !z.Resource.Template.Equal(a.Resource.Template) {
		t.Errorf("resource after shuffled arrival %+v, want %+v", z.Resource, a.Resource)
	}
}

func TestClockThatGoesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.both("vm.a", set("size", 1))
	b.start()
	b.look()
	b.advance(-6 * time.Hour)
	b.world["vm.a"] = set("size", 2)
	b.look()
	if d := b.drifts(); len(d) != 1 || d[0].Opened.Before(day0) {
		t.Fatalf("a drift found while the clock was behind: %+v", d)
	}
	if !strings.Contains(b.log.String(), "clock is behind") {
		t.Errorf("nothing was said of the clock: %s", b.log.String())
	}
	var last time.Time
	for o, err := range b.store.Observations(t.Context(), penumbra.ObservationQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Time.Before(last) {
			t.Fatalf("observations out of order: %v after %v", o.Time, last)
		}
		last = o.Time
	}
}

func TestSecretsAreSealedAtTheDoor(t *testing.T) {
	t.Parallel()
	b := newBench(t).start()
	b.ingest(`{"kind":"snapshot","time":"2026-03-01T00:05:00Z","resource":"log/vm.a","type":"vm","settings":{"size":1,"admin_password":"hunter2-hunter2","note":"plain"},"sensitive":["note"],"full":true}`)
	var out bytes.Buffer
	if _, err := b.engine.Export(t.Context(), penumbra.ObservationQuery{}, &out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "plain") || !strings.Contains(out.String(), penumbra.SecretPrefix) {
		t.Fatalf("exported %s", out.String())
	}
}

func TestAcceptance(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.both("vm.a", set("size", 1))
	b.start()
	b.look()
	b.advance(time.Hour)
	b.world["vm.a"] = set("size", 5)
	b.look()
	id := b.drifts()[0].ID
	d, err := b.engine.Accept(t.Context(), id, "dana", "hot fix", b.now.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if d.Active() || d.Resolution != penumbra.Accepted {
		t.Fatalf("after acceptance: %+v", d)
	}
	b.advance(time.Hour)
	b.look()
	for _, d := range b.drifts() {
		if d.Verdict.IsDrift() {
			t.Fatalf("accepted for a day, and after an hour: %+v", d)
		}
	}
	b.advance(24 * time.Hour)
	b.look()
	if d := b.drifts(); len(d) != 1 || !d[0].Verdict.IsDrift() {
		t.Fatalf("after the acceptance expired: %+v", d)
	}
}

func TestRunCoalescesTriggers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.both("vm.a", set("size", 1))
	changes := make(chan func())
	b.config = func(c *engine.Config) {
		c.Schedule = engine.Schedule{Every: time.Hour, Gap: time.Hour, Burst: 2}
		c.Stacks[0].Readers[0].Watch = func(ctx context.Context, changed func()) error {
			changes <- changed
			<-ctx.Done()
			return nil
		}
	}
	b.start()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.engine.Run(ctx) }()
	changed := <-changes
	for range 1000 {
		changed()
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if b.reads.Load() > 2 {
		t.Fatalf("%d reads for a thousand changes within a budget of 2", b.reads.Load())
	}
}
