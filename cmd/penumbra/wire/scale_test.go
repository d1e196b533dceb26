//go:build unix

package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/shadow/families"
	"github.com/penumbra-iac/penumbra/timeline"
)

// BenchmarkScale takes made fleets of growing size in through the engine as a daemon has
// it, on both stores, and prints a row of a table for each: what ingest, a look at
// everything, a restart and training cost a resource, in time, memory and on disk.
//
//	SCALE="10000 100000" go test -run '^$' -bench Scale -benchtime 1x -timeout 0 ./cmd/penumbra/wire
//
// SCALE has the sizes, MODEL the family that keeps the shadow, without it the one that
// serves where none has won. Peaks of memory are a process's, so give each size and store one
// of its own where they count: -bench 'Scale/sqlite/10000$'.
func BenchmarkScale(b *testing.B) {
	for _, store := range []string{"sqlite", "postgres"} {
		for _, field := range strings.Fields(os.Getenv("SCALE")) {
			n, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/%d", store, n), func(b *testing.B) {
				for b.Loop() {
					x := &scaling{b: b, fleet: fleet{n, time.Now().UTC().Truncate(time.Second).Add(-fleetSpan)}, store: store}
					x.run()
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// A fleet is a made-up estate of stacks of 500 resources, ten of fifty types in each.
// What a resource is at any time follows from its number, so that none is kept.
type fleet struct {
	size  int
	began time.Time
}

const (
	fleetStack  = 500 // resources of a stack
	fleetTypes  = 50
	fleetRounds = 4 // in which some of it changes, after the one that makes it known
	fleetRound  = 2 * 24 * time.Hour
	fleetSpan   = (fleetRounds + 1) * fleetRound
)

// change is what a round does to a resource.
type change int

const (
	stays  change = iota
	byCode        // template and snapshot move
	byHand        // the snapshot moves, and an event says who; the next such change takes it back
)

// changes says what rounds have done to resource i, in each of them: one in ten changes,
// four in five of those by code.
func (f fleet) changes(i int) (of [fleetRounds + 1]change) {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	for round := 1; round <= fleetRounds; round++ {
		switch n := r.IntN(50); {
		case n == 0:
			of[round] = byHand
		case n < 5:
			of[round] = byCode
		}
	}
	return of
}

func (f fleet) stacks() int { return (f.size + fleetStack - 1) / fleetStack }

// at is when a round finds resource i.
func (f fleet) at(i, round int) time.Time {
	return f.began.Add(time.Duration(round)*fleetRound + time.Duration(float64(i)/float64(f.size)*float64(fleetRound/2)))
}

// settings are those of resource i after a number of changes: what the code declares,
// and what is there.
func (f fleet) settings(i, byCode, byHand int) (template, actual penumbra.Settings) {
	stack := i / fleetStack
	set := func(path string, v penumbra.Value) penumbra.Setting { return penumbra.Setting{Path: path, Value: v} }
	declared := []penumbra.Setting{
		set("image", penumbra.String(fmt.Sprintf("ami-%08x", 4096+i%7+byCode))),
		set("instance_type", penumbra.String([]string{"t3.small", "t3.medium", "m6i.large", "m6i.xlarge"}[(i%3+byCode/2)%4])),
		set("monitoring", penumbra.Bool(true)),
		set("root_block_device.0.encrypted", penumbra.Bool(true)),
		set("root_block_device.0.volume_size", penumbra.Number(float64(20+10*(i%5)))),
		set("subnet", penumbra.String(fmt.Sprintf("subnet-%06x", stack*3+i%3))),
		set("tags.Name", penumbra.String(fmt.Sprintf("app-%d-%d", stack, i%fleetStack))),
		set("tags.env", penumbra.String([]string{"prod", "stage", "test"}[stack%3])),
		set("tags.team", penumbra.String(fmt.Sprintf("team-%02d", stack%40))),
	}
	template = penumbra.NewSettings(slices.Clone(declared)...)
	there := append(declared, set("id", penumbra.String(fmt.Sprintf("i-%016x", i))), set("private_ip", penumbra.String(fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255))))
	if byHand%2 == 1 {
		if i%2 == 0 {
			there[2].Value = penumbra.Bool(false)
		} else {
			there[4].Value = penumbra.Number(500)
		}
	}
	return template, penumbra.NewSettings(there...)
}

// observed yields what a round finds of a stack, in its order.
func (f fleet) observed(stack, round int) iter.Seq[penumbra.Observation] {
	return func(yield func(penumbra.Observation) bool) {
		for i := stack * fleetStack; i < min(f.size, (stack+1)*fleetStack); i++ {
			changes := f.changes(i)
			if round > 0 && changes[round] == stays {
				continue
			}
			count := map[change]int{}
			for _, x := range changes[:round+1] {
				count[x]++
			}
			template, actual := f.settings(i, count[byCode], count[byHand])
			kind := fmt.Sprintf("type_%02d", (stack*7+i%10)%fleetTypes)
			o := penumbra.Observation{
				Kind: penumbra.TemplateKind, Time: f.at(i, round), Type: kind, Source: "tofu", Settings: template,
				Resource: penumbra.Address(fmt.Sprintf("stack%05d/%s.app[%d]", stack, kind, i%fleetStack)),
			}
			if changes[round] == byHand {
				o.Kind, o.Settings, o.Source = penumbra.EventKind, nil, "audit"
				o.Actor, o.ActorKind, o.Action, o.ID = fmt.Sprintf("person-%02d", i%40), penumbra.User, "update", fmt.Sprintf("event-%d-%d", i, round)
			}
			if !yield(o) {
				return
			}
			if !yield(penumbra.Observation{Kind: penumbra.SnapshotKind, Time: o.Time.Add(time.Second), Resource: o.Resource, Type: kind, Source: "tofu", Settings: actual, Full: true}) {
				return
			}
		}
	}
}

// scaling is one fleet on one store.
type scaling struct {
	b      *testing.B
	fleet  fleet
	store  string
	server *pgtest.Server // nil on the embedded store
	config *Config
	loop   *Loop
	stop   func() // what runs of it

	observations, wire, drifts int
}

func (x *scaling) run() {
	x.configure()
	before, heap := loadAverage(), heapInUse()
	ctx := x.b.Context()
	x.open(ctx)
	empty, written := x.disk(ctx), x.written(ctx)
	ingest := x.timed(func() { x.ingest(ctx) })
	written = x.written(ctx) - written
	kept, resident := heapInUse()-heap, memoryOf("VmRSS:")
	score := x.timed(x.score)
	fmt.Fprintf(os.Stderr, "ingest %s µs a resource, heap %d B, resident %d B, look %s µs\n", x.each(ingest), kept/uint64(x.fleet.size), resident/uint64(x.fleet.size), x.each(score))
	closing := x.timed(func() { x.close(ctx) })
	heapInUse() // what is opened next finds room
	disk := x.disk(ctx) - empty
	opening := x.timed(func() { x.open(ctx) })
	if st, err := x.loop.Engine.Status(ctx); err != nil || st.Resources != x.fleet.size {
		x.b.Fatalf("%d resources after a restart, %v", st.Resources, err)
	}
	fmt.Fprintf(os.Stderr, "stopped in %.1f s, started in %.1f s, %d B a resource on disk\n", closing.clock.Seconds(), opening.clock.Seconds(), disk/uint64(x.fleet.size))
	x.close(ctx)
	peak := memoryOf("VmHWM:")
	var training strings.Builder
	for _, family := range []string{"pooled", "mixture"} {
		took, heap, checkpoint := x.train(ctx, family)
		fmt.Fprintf(&training, " %s | %d | %d |", x.each(took), heap/uint64(x.fleet.size), checkpoint/uint64(x.fleet.size))
	}
	n := uint64(x.fleet.size)
	fmt.Printf(`
%s, %d resources: %d observations of %d bytes each, %d drifts, %.1f s of ingest; %d bytes written each; load average before %s, after %s; %d processors
µs a resource are by the clock (of the processors, the database's too)

| store | resources | ingest µs | observations/s | heap B | resident B | disk B | look µs | stop s | start s | training: pooled µs | heap B | checkpoint B | mixture µs | heap B | checkpoint B | peak MB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
| %s | %d | %s | %.0f | %d | %d | %d | %s | %.1f | %.1f |%s %d |
`, x.store, x.fleet.size, x.observations, x.wire/x.observations, x.drifts, ingest.clock.Seconds(), written/uint64(x.observations), before, loadAverage(), runtime.NumCPU(),
		x.store, x.fleet.size, x.each(ingest), float64(x.observations)/ingest.clock.Seconds(), kept/n, resident/n, disk/n, x.each(score),
		closing.clock.Seconds(), opening.clock.Seconds(), training.String(), peak>>20)
	x.b.ReportMetric(float64(x.observations)/ingest.clock.Seconds(), "observations/s")
}

func (x *scaling) configure() {
	dir := x.b.TempDir()
	c, err := LoadConfig("")
	if err != nil {
		x.b.Fatal(err)
	}
	c.Folder, c.Data = dir, filepath.Join(dir, "data")
	if family := os.Getenv("MODEL"); family != "" {
		c.Model = family
	}
	if x.store == "postgres" {
		x.server = pgtest.Own(x.b, pgtest.Options{Durable: true})
		c.Store = x.server.Connection("postgres", x.server.Create(x.b))
	}
	x.config = c
}

// open opens the engine and runs it, as the daemon does.
func (x *scaling) open(ctx context.Context) {
	loop, err := Open(ctx, x.config, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		x.b.Fatal(err)
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- loop.Engine.Run(running) }()
	x.loop = loop
	x.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			x.b.Error(err)
		}
	}
}

func (x *scaling) close(ctx context.Context) {
	x.stop()
	if err := x.loop.Close(ctx); err != nil {
		x.b.Fatal(err)
	}
	x.loop, x.stop = nil, nil
}

// ingest sends the rounds, what one finds of a stack at once.
func (x *scaling) ingest(ctx context.Context) {
	began := time.Now()
	for round := range fleetRounds + 1 {
		for stack := range x.fleet.stacks() {
			var lines bytes.Buffer
			enc, n := timeline.NewEncoder(&lines), 0
			for o := range x.fleet.observed(stack, round) {
				if err := enc.Encode(&o); err != nil {
					x.b.Fatal(err)
				}
				n++
			}
			x.wire += lines.Len()
			if report, err := x.loop.Engine.Ingest(ctx, &lines, "scale"); err != nil || report.Added != n {
				x.b.Fatalf("%+v of %d, %v", report, n, err)
			}
			x.observations += n
		}
		fmt.Fprintf(os.Stderr, "%d observations taken in after %.0f s, round %d of %d\n", x.observations, time.Since(began).Seconds(), round, fleetRounds)
	}
	st, err := x.loop.Engine.Status(ctx)
	if err != nil || st.Resources != x.fleet.size {
		x.b.Fatalf("%d resources, %v", st.Resources, err)
	}
	for _, n := range st.Drifts {
		x.drifts += n
	}
}

// score holds what is there against what is expected, of all resources.
func (x *scaling) score() {
	for stack := range x.fleet.stacks() {
		var read []penumbra.Observation
		for i := stack * fleetStack; i < min(x.fleet.size, (stack+1)*fleetStack); i++ {
			count := map[change]int{}
			for _, what := range x.fleet.changes(i) {
				count[what]++
			}
			_, actual := x.fleet.settings(i, count[byCode], count[byHand])
			kind := fmt.Sprintf("type_%02d", (stack*7+i%10)%fleetTypes)
			read = append(read, penumbra.Observation{
				Kind: penumbra.SnapshotKind, Type: kind, Source: "tofu", Settings: actual, Full: true,
				Resource: penumbra.Address(fmt.Sprintf("stack%05d/%s.app[%d]", stack, kind, i%fleetStack)),
			})
		}
		if got := x.loop.Engine.Look(read); len(got) != len(read) {
			x.b.Fatalf("%d assessments of %d", len(got), len(read))
		}
	}
}

// train lets a family learn all that is stored, as it ships, and returns what that took,
// the heap that it has then, and the bytes of its checkpoint.
func (x *scaling) train(ctx context.Context, family string) (took cost, heap, checkpoint uint64) {
	before := heapInUse()
	store, err := x.config.OpenToRead(ctx)
	if err != nil {
		x.b.Fatal(err)
	}
	m := families.Starts[family](ServedSeed)
	n := 0
	took = x.timed(func() {
		for o, err := range store.Observations(ctx, penumbra.ObservationQuery{}) {
			if err != nil {
				x.b.Fatal(err)
			}
			m.Observe(&o)
			n++
		}
	})
	if err := store.Close(); err != nil {
		x.b.Fatal(err)
	}
	if n != x.observations {
		x.b.Fatalf("learnt from %d observations of %d", n, x.observations)
	}
	heap = heapInUse() - before
	saved, err := m.WriteTo(io.Discard)
	if err != nil {
		x.b.Fatal(err)
	}
	return took, heap, uint64(saved)
}

// cost is what something took.
type cost struct{ clock, processor time.Duration }

func (x *scaling) timed(do func()) cost {
	began, used := time.Now(), x.processor()
	do()
	return cost{time.Since(began), x.processor() - used}
}

func (x *scaling) each(c cost) string {
	n := float64(x.fleet.size)
	return fmt.Sprintf("%.0f (%.0f)", c.clock.Seconds()*1e6/n, c.processor.Seconds()*1e6/n)
}

// processor is what this process and the database have had of the processors.
func (x *scaling) processor() time.Duration { return processor(x.b) + x.serverProcessor() }

// serverProcessor is what the database's processes have had of the processors, those
// that have ended too; 0 where the system does not tell.
func (x *scaling) serverProcessor() time.Duration {
	if x.server == nil {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(x.server.Data(), "postmaster.pid"))
	if err != nil {
		x.b.Fatal(err)
	}
	postmaster, _, _ := strings.Cut(string(text), "\n")
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	var ticks int
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// proc(5): behind the name come state, parent, and from the 14th field on the
		// ticks in user and system mode, and those of children that were waited for.
		_, rest, _ := strings.Cut(string(text), ") ")
		of := strings.Fields(rest)
		number := func(field int) int {
			n, _ := strconv.Atoi(of[field-3])
			return n
		}
		switch {
		case filepath.Base(filepath.Dir(name)) == postmaster:
			ticks += number(14) + number(15) + number(16) + number(17)
		case of[1] == postmaster:
			ticks += number(14) + number(15)
		}
	}
	const ticksASecond = 100
	return time.Duration(ticks) * time.Second / ticksASecond
}

// disk is how many bytes the store has on disk, without a database's log of writes.
func (x *scaling) disk(ctx context.Context) uint64 {
	if x.server != nil {
		return x.ask(ctx, "SELECT pg_database_size(current_database())")
	}
	var bytes int64
	err := filepath.WalkDir(x.config.DataDir(), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				bytes += info.Size()
			}
		}
		return err
	})
	if err != nil {
		x.b.Fatal(err)
	}
	return uint64(bytes)
}

// written is how many bytes this process has had written to disk, or the database to its
// log of writes; 0 where the system does not tell.
func (x *scaling) written(ctx context.Context) uint64 {
	if x.server != nil {
		return x.ask(ctx, "SELECT (pg_current_wal_lsn() - '0/0')::bigint")
	}
	return proc("/proc/self/io", "write_bytes:")
}

func (x *scaling) ask(ctx context.Context, query string) (n uint64) {
	conn, err := pgx.Connect(ctx, x.config.Store)
	if err != nil {
		x.b.Fatal(err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
		x.b.Fatal(err)
	}
	return n
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what was put off to the first, such as pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// memoryOf is what this process has of a kind of memory, in bytes.
func memoryOf(kind string) uint64 { return proc("/proc/self/status", kind) << 10 }

// proc returns the number behind a name in a file of the system, 0 where there is none.
func proc(file, name string) uint64 {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	text, _ := io.ReadAll(f)
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// loadAverage is the machine's of the last minute, five and fifteen, where it tells.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
