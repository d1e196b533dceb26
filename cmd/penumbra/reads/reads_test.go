//go:build unix

package reads_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/reads"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// source reads what a test says.
type source func(ctx context.Context) ([]penumbra.Observation, error)

func (s source) Read(ctx context.Context) ([]penumbra.Observation, error) { return s(ctx) }

// one is a source of one resource, with a value that tells who read it.
func one(value string) source {
	return func(context.Context) ([]penumbra.Observation, error) {
		return []penumbra.Observation{{Kind: penumbra.SnapshotKind, Resource: "shop/vm.web", Settings: penumbra.NewSettings(penumbra.Setting{Path: "by", Value: penumbra.String(value)})}}, nil
	}
}

func by(t *testing.T, read []penumbra.Observation) string {
	t.Helper()
	if len(read) != 1 || len(read[0].Settings) != 1 {
		t.Fatalf("read: %+v", read)
	}
	return read[0].Settings[0].Value.Text()
}

// fleet is nodes on one database.
type fleet struct {
	t      testing.TB
	place  string
	master atrest.Master
	log    *slog.Logger // of the node that leads

	mu     sync.Mutex
	counts map[string]int // by node and outcome, "plan " before that of a plan
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	server := pgtest.Shared(t, pgtest.Options{})
	text, err := atrest.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	master, err := atrest.MasterFrom(text, "the test")
	if err != nil {
		t.Fatal(err)
	}
	return &fleet{t: t, place: server.Connection("postgres", server.Database(t)), master: master, counts: map[string]int{}}
}

func (f *fleet) open(c postgres.Config) *postgres.Store {
	f.t.Helper()
	c.Connection = f.place
	s, err := postgres.Open(f.t.Context(), c)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (f *fleet) count(node, outcome string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[node+" "+outcome]++
}

func (f *fleet) counted(node, outcome string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[node+" "+outcome]
}

// run runs a part until the test ends, or it is stopped.
func (f *fleet) run(part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := part(ctx); err != nil {
			f.t.Error(err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	f.t.Cleanup(stop)
	return stop
}

// leader has a node lead from now on, and ask. It looks for answers once it is run.
func (f *fleet) leader(name string) (*reads.Asker, *postgres.Store) {
	f.t.Helper()
	term, err := f.open(postgres.Config{Node: name}).Election(postgres.Node{Name: name}).Stand(f.t.Context())
	for ; penumbra.KindOf(err) == penumbra.Locked; time.Sleep(50 * time.Millisecond) { // the term before lasts for 4 seconds
		term, err = f.open(postgres.Config{Node: name}).Election(postgres.Node{Name: name}).Stand(f.t.Context())
	}
	if err != nil {
		f.t.Fatal(err)
	}
	store := f.open(postgres.Config{Term: term})
	if _, err := river.NewPostgres(f.t.Context(), store.Pool(), river.Options{}); err != nil {
		f.t.Fatal(err)
	}
	asker, err := reads.NewAsker(f.t.Context(), reads.AskerConfig{Store: store, Master: f.master, Node: name, AtOnce: 4, Within: time.Minute, Count: f.count,
		CountPlan: func(node, outcome string) { f.count("plan "+node, outcome) }, Log: f.log})
	if err != nil {
		f.t.Fatal(err)
	}
	return asker, store
}

// reader has a node read.
func (f *fleet) reader(name string, atOnce int, digest string, read engine.Source) (stop func(), store *postgres.Store) {
	f.t.Helper()
	store = f.open(postgres.Config{Node: name})
	r, err := reads.NewReader(f.t.Context(), reads.ReaderConfig{Store: store, Master: f.master, Node: name, AtOnce: atOnce,
		Find: func(stack, source string) (engine.Source, string, error) {
			if stack != "shop" || source != "tofu" {
				return nil, "", errors.New("there is no stack " + stack)
			}
			return read, digest, nil
		}})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.run(r.Run), store
}

const digest = "d1"

func theSame() (string, error) { return digest, nil }

// read reads a source in the background.
func read(t *testing.T, from engine.Source) (out chan []penumbra.Observation, failed chan error) {
	out, failed = make(chan []penumbra.Observation, 1), make(chan error, 1)
	go func() {
		got, err := from.Read(t.Context())
		if err != nil {
			failed <- err
			return
		}
		out <- got
	}()
	return out, failed
}

const patience = time.Minute

func got(t *testing.T, out chan []penumbra.Observation, failed chan error) []penumbra.Observation {
	t.Helper()
	select {
	case x := <-out:
		return x
	case err := <-failed:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("nobody has read")
	}
	return nil
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// number is what a statement counts.
func number(t *testing.T, s *postgres.Store, statement string) (n int) {
	t.Helper()
	if err := s.Pool().QueryRow(t.Context(), statement).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func never(context.Context) ([]penumbra.Observation, error) {
	return nil, errors.New("the node that leads has read itself")
}

// TestAnotherNodeReads has a node that stands by read: what comes back is what it read, lies
// encrypted in between, and is gone afterwards.
func TestAnotherNodeReads(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	key := penumbra.Key("0123456789abcdef")
	secret := key.Seal(penumbra.String("hunter2"))
	want := []penumbra.Observation{
		{Kind: penumbra.TemplateKind, Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Resource: "shop/vm.web[0]", Type: "vm", Source: "tofu",
			Settings: penumbra.NewSettings(penumbra.Setting{Path: "a", Value: penumbra.Unknown()}, penumbra.Setting{Path: "b", Value: penumbra.Number(1.5)}, penumbra.Setting{Path: "p", Value: secret, Sensitive: true}),
			Applied:  penumbra.NewSettings(penumbra.Setting{Path: "b", Value: penumbra.Number(1)})},
		{Kind: penumbra.SnapshotKind, Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Resource: "shop/vm.web[0]", Type: "vm", Source: "tofu", Full: true,
			Settings: penumbra.NewSettings(penumbra.Setting{Path: "a", Value: penumbra.Null()}, penumbra.Setting{Path: "c", Value: penumbra.String("plain-text-of-a-setting \xff")}, penumbra.Setting{Path: "d", Value: penumbra.Bool(true)})},
		{Kind: penumbra.SnapshotKind, Resource: "shop/vm.web[1]", NotChecked: "the provider has not answered"},
	}
	f.reader("b", 1, digest, source(func(context.Context) ([]penumbra.Observation, error) { return want, nil }))
	out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
	until(t, "b has read", func() bool { return number(t, store, `SELECT count(answer) FROM readings`) == 1 })
	var lies []byte
	if err := store.Pool().QueryRow(t.Context(), `SELECT answer FROM readings`).Scan(&lies); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(lies, []byte("age-encryption.org/")) || bytes.Contains(lies, []byte("plain-text")) {
		t.Errorf("the answer is not encrypted: %.40q", lies)
	}
	f.run(asker.Run) // until now nobody looked for answers
	if diff := cmp.Diff(want, got(t, out, failed), cmp.AllowUnexported(penumbra.Value{})); diff != "" {
		t.Errorf("what was read is another (-want +got):\n%s", diff)
	}
	if n := number(t, store, `SELECT count(*) FROM readings`); n != 0 {
		t.Errorf("%d readings are left", n)
	}
	if n := f.counted("b", reads.Done); n != 1 {
		t.Errorf("b has read %d times: %v", n, f.counts)
	}
	until(t, "its job is over", func() bool {
		return number(t, store, `SELECT count(*) FROM river_job WHERE queue = 'readings' AND state <> 'completed'`) == 0
	})
}

// TestFailuresComeBack holds that an error comes back as it was, and that what another node
// could not read the one that leads tries itself.
func TestFailuresComeBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, _ := f.leader("a")
	f.run(asker.Run)
	whole := &penumbra.Error{Kind: penumbra.Locked, What: "read stack shop", Remedy: "wait", Err: errors.New("password=hunter2hunter2 is refused")}
	errs := []error{whole, fmt.Errorf("in a hurry: %w", whole), errors.New("bare")}
	next := 0
	stop, _ := f.reader("a", 1, digest, source(func(context.Context) ([]penumbra.Observation, error) { next++; return nil, errs[next-1] }))
	for _, want := range errs {
		_, err := asker.Source("shop", "tofu", source(never), theSame).Read(t.Context())
		if err == nil || err.Error() != penumbra.Redact(want.Error()) || penumbra.KindOf(err) != penumbra.KindOf(want) {
			t.Errorf("%v came back as %v of kind %v", want, err, penumbra.KindOf(err))
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a secret came back: %v", err)
		}
	}
	if n := f.counted("a", reads.Failed); n != len(errs) {
		t.Errorf("%d readings of a failed: %v", n, f.counts)
	}
	stop()
	f.reader("b", 1, digest, source(func(context.Context) ([]penumbra.Observation, error) { return nil, whole }))
	out, failed := read(t, asker.Source("shop", "tofu", one("a"), theSame))
	if who := by(t, got(t, out, failed)); who != "a" || f.counted("b", reads.Failed) != 1 {
		t.Errorf("%s has read what b could not: %v", who, f.counts)
	}
	_, err := asker.Source("shop", "tofu", source(never), theSame).Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "has read itself") {
		t.Errorf("what neither can read: %v", err)
	}
}

// TestReadingsAreSpread has as many readings at once as all nodes together have room for.
func TestReadingsAreSpread(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	f.run(asker.Run)
	enough := make(chan struct{})
	var mu sync.Mutex
	at := map[string]int{}
	for _, name := range []string{"a", "b", "c"} {
		f.reader(name, 2, digest, source(func(ctx context.Context) ([]penumbra.Observation, error) {
			mu.Lock()
			at[name]++
			mu.Unlock()
			<-enough
			return one(name)(ctx)
		}))
	}
	const asked = 7
	var all []func() []penumbra.Observation
	for range asked {
		out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
		all = append(all, func() []penumbra.Observation { return got(t, out, failed) })
	}
	until(t, "six are read at once, and the seventh waits", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return at["a"] == 2 && at["b"] == 2 && at["c"] == 2 &&
			number(t, store, `SELECT count(*) FROM river_job WHERE queue = 'readings' AND state = 'available'`) == 1
	})
	close(enough)
	for _, x := range all {
		by(t, x())
	}
	// Those that read look after no queue but their own jobs: River's leader is the node's
	// that leads, once it works on runs.
	if n := number(t, store, `SELECT count(*) FROM river_leader`); n != 0 {
		t.Errorf("a node that only reads looks after the queue of runs")
	}
	q, err := river.NewPostgres(t.Context(), store.Pool(), river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Start(t.Context(), func(context.Context, penumbra.Job) (time.Time, error) { return time.Time{}, nil }); err != nil {
		t.Fatal(err)
	}
	until(t, "the node that leads looks after the queue", func() bool { return number(t, store, `SELECT count(*) FROM river_leader`) == 1 })
	if err := q.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestNodeThatHangs has a node take a reading and not be heard of any more: another one does
// it, and what the first gives when it wakes up is dropped.
func TestNodeThatHangs(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	f.run(asker.Run)
	hung := f.open(postgres.Config{Node: "b"})
	taken := make(chan river.Reading, 1)
	jobs, err := river.NewReader(t.Context(), hung.Pool(), 1, func(ctx context.Context, r river.Reading) {
		if mine, err := hung.BeginReading(ctx, r.ID, "b"); err != nil || !mine {
			t.Errorf("b begins: %v, %v", mine, err)
		}
		taken <- r
		<-ctx.Done()
	}, river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := jobs.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
	first := <-taken
	f.reader("c", 1, digest, one("c"))
	if who := by(t, got(t, out, failed)); who != "c" {
		t.Errorf("%s has read", who)
	}
	if f.counted("b", reads.Lost) != 1 || f.counted("c", reads.Done) != 1 {
		t.Errorf("counted: %v", f.counts)
	}
	if waited, err := hung.AnswerReading(t.Context(), first.ID, "b", []byte("late")); err != nil || waited {
		t.Errorf("what came late: %v, %v", waited, err)
	}
	if kept, err := hung.KeepReadings(t.Context(), "b", []string{first.ID}); err != nil || len(kept) != 0 {
		t.Errorf("b goes on with %v, %v", kept, err)
	}
	if mine, err := hung.BeginReading(t.Context(), first.ID, "b"); err != nil || mine {
		t.Errorf("b begins it anew: %v, %v", mine, err)
	}
	until(t, "no job is at work", func() bool {
		return number(t, store, `SELECT count(*) FROM river_job WHERE queue = 'readings' AND state = 'running'`) == 0
	})
	if err := jobs.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestNodeThatIsCutOff has a node lose the database while it reads: it ends the reading by
// itself, and another one does it.
func TestNodeThatIsCutOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, _ := f.leader("a")
	f.run(asker.Run)
	began, ended := make(chan struct{}), make(chan struct{})
	_, cut := f.reader("b", 1, digest, source(func(ctx context.Context) ([]penumbra.Observation, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}))
	out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
	<-began
	go cut.Close() // it waits for connections that are in use, and gives out none
	f.reader("c", 1, digest, one("c"))
	if who := by(t, got(t, out, failed)); who != "c" {
		t.Errorf("%s has read", who)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("b goes on with what nobody waits for")
	}
}

// TestNodeThatEnds has a node end in good order while it reads: another one does it at once.
func TestNodeThatEnds(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, _ := f.leader("a")
	f.run(asker.Run)
	began := make(chan struct{})
	stop, _ := f.reader("b", 1, digest, source(func(ctx context.Context) ([]penumbra.Observation, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
	<-began
	f.reader("c", 1, digest, one("c"))
	stop()
	if who := by(t, got(t, out, failed)); who != "c" {
		t.Errorf("%s has read", who)
	}
	if f.counted("b", reads.GivenBack) != 1 || f.counted("b", reads.Lost) != 0 {
		t.Errorf("counted: %v", f.counts)
	}
}

// TestNodeThatDiffers has nodes with another configuration, or without the stack: the one
// that leads reads itself. So it does for who has to see what it has applied.
func TestNodeThatDiffers(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, _ := f.leader("a")
	f.run(asker.Run)
	f.reader("b", 1, "d2", one("b"))
	own := asker.Source("shop", "tofu", one("a"), theSame)
	for range 2 {
		out, failed := read(t, own)
		if who := by(t, got(t, out, failed)); who != "a" {
			t.Errorf("%s has read", who)
		}
	}
	out, failed := read(t, asker.Source("other", "tofu", one("a"), theSame))
	if who := by(t, got(t, out, failed)); who != "a" {
		t.Errorf("%s has read what it does not have", who)
	}
	if f.counted("b", reads.GivenBack) != 3 || f.counted("a", reads.Done) != 3 {
		t.Errorf("counted: %v", f.counts)
	}
	here, err := own.(engine.Distant).ReadHere(t.Context())
	if err != nil || by(t, here) != "a" || f.counted("b", reads.GivenBack) != 3 {
		t.Errorf("read here: %v, %v; %v", here, err, f.counts)
	}
}

// TestNobodyReads has no node begin, not even the one that leads: it reads after a while all
// the same, and nothing is left in the queue.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	f.run(asker.Run)
	out, failed := read(t, asker.Source("shop", "tofu", one("a"), theSame))
	if who := by(t, got(t, out, failed)); who != "a" {
		t.Errorf("%s has read", who)
	}
	if n := number(t, store, `SELECT (SELECT count(*) FROM readings) + (SELECT count(*) FROM river_job WHERE state = 'available')`); n != 0 {
		t.Errorf("%d readings are left for others", n)
	}
}

// TestDatabaseForgets has the database crash, after which it knows of no reading any more: the
// one that leads reads, and the node that was at it ends.
func TestDatabaseForgets(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	f.run(asker.Run)
	began, ended := make(chan struct{}), make(chan struct{})
	f.reader("b", 1, digest, source(func(ctx context.Context) ([]penumbra.Observation, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}))
	out, failed := read(t, asker.Source("shop", "tofu", one("a"), theSame))
	<-began
	if _, err := store.Pool().Exec(t.Context(), `TRUNCATE readings`); err != nil { // as a crash does
		t.Fatal(err)
	}
	if who := by(t, got(t, out, failed)); who != "a" {
		t.Errorf("%s has read", who)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("b goes on with what nobody waits for")
	}
}

// TestNextLeader has readings of a term that is over: those that wait are given up, those
// at work end, and neither is in the way of the next leader's.
func TestNextLeader(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	old, _ := f.leader("a")
	began, ended := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.reader("b", 1, digest, source(func(ctx context.Context) ([]penumbra.Observation, error) {
		first := false
		once.Do(func() { first = true })
		if !first {
			return one("b")(ctx)
		}
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}))
	// The old leader asks for two, and neither looks for its answer nor takes anything back:
	// it is gone.
	gone, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() { _, _ = old.Source("shop", "tofu", source(never), theSame).Read(gone) })
	}
	<-began
	asker, store := f.leader("c")
	if n := number(t, store, `SELECT count(*) FROM readings`); n != 0 {
		t.Errorf("%d readings of before are left", n)
	}
	if n := number(t, store, `SELECT count(*) FROM river_job WHERE queue = 'readings' AND state <> 'cancelled'`); n != 0 {
		t.Errorf("%d jobs of before are left", n)
	}
	f.run(asker.Run)
	out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
	if who := by(t, got(t, out, failed)); who != "b" {
		t.Errorf("%s has read", who)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("b goes on with what a leader of before asked for")
	}
	cancel()
	asking.Wait()
}

// TestGivenUp has nobody wait for a reading any more: its node ends it, and nothing is left.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	f.run(asker.Run)
	began, ended := make(chan struct{}), make(chan struct{})
	f.reader("b", 1, digest, source(func(ctx context.Context) ([]penumbra.Observation, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}))
	asking, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := asker.Source("shop", "tofu", source(never), theSame).Read(asking)
		failed <- err
	}()
	<-began
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("b goes on with what nobody waits for")
	}
	until(t, "nothing is left of it", func() bool {
		return number(t, store, `SELECT (SELECT count(*) FROM readings) + (SELECT count(*) FROM river_job WHERE queue = 'readings' AND state = 'running')`) == 0
	})
}

// TestSweep has the database forget that somebody has given a reading up: it is found, and the
// one that is waited for stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	asker, store := f.leader("a")
	queue, err := river.NewReadings(store.Pool(), river.Options{})
	if err != nil {
		t.Fatal(err)
	}
	forgotten, err := store.AskReading(t.Context(), func(ctx context.Context, tx pgx.Tx, id string) (int64, error) {
		return queue.Ask(ctx, tx, river.Reading{ID: id, Stack: "shop", Source: "tofu", Digest: digest, Within: time.Minute})
	})
	if err != nil {
		t.Fatal(err)
	}
	out, failed := read(t, asker.Source("shop", "tofu", source(never), theSame))
	until(t, "another is asked for", func() bool { return number(t, store, `SELECT count(*) FROM readings`) == 2 })
	if err := asker.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := store.Readings(t.Context())
	if err != nil || len(left) != 1 || left[0].ID == forgotten.ID {
		t.Errorf("left: %+v, %v", left, err)
	}
	if n := number(t, store, `SELECT count(*) FROM river_job WHERE queue = 'readings'`); n != 1 {
		t.Errorf("%d jobs are left", n)
	}
	f.run(asker.Run)
	f.reader("b", 1, digest, one("b"))
	by(t, got(t, out, failed))
	until(t, "its job is over and swept away", func() bool {
		if err := asker.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return number(t, store, `SELECT count(*) FROM river_job`) == 0
	})
}

// BenchmarkReading asks an idle node that finds what it reads at once: what it takes beside
// the tool.
func BenchmarkReading(b *testing.B) {
	f := newFleet(b)
	asker, _ := f.leader("a")
	f.run(asker.Run)
	f.reader("b", 4, digest, one("b"))
	from := asker.Source("shop", "tofu", source(never), theSame)
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		time.Sleep(50 * time.Millisecond) // asked now and then, as by the clock
		b.StartTimer()
		began := time.Now()
		if _, err := from.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms/most")
}
