package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var bg = context.Background()

// The test binary runs itself again as another process that uses the store.
func TestMain(m *testing.M) {
	switch path := os.Getenv("PENUMBRA_TEST_STORE"); os.Getenv("PENUMBRA_TEST_CHILD") {
	case "append":
		appendForEver(path)
	case "limited":
		appendLimited(path)
	case "lock":
		holdLock(path)
	default:
		os.Exit(m.Run())
	}
}

// child starts another process on the store at path.
func child(t *testing.T, what, path string) (*exec.Cmd, io.WriteCloser, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PENUMBRA_TEST_CHILD="+what, "PENUMBRA_TEST_STORE="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd, in, bufio.NewReader(out)
}

// batchSize is how many observations each batch of a child has.
const batchSize = 20

// batch is the nth batch: what it holds follows from its number.
func batch(n int) []penumbra.Observation {
	out := make([]penumbra.Observation, batchSize)
	for i := range out {
		out[i] = observed(n*batchSize+i, 3)
	}
	return out
}

// appendForEver appends batches from the first one that is not stored, and
// prints the number of each once it is acknowledged.
func appendForEver(path string) {
	s, err := Open(path)
	if err != nil {
		panic(err)
	}
	stored, _, err := s.Counts(bg)
	if err != nil {
		panic(err)
	}
	for n := int(stored) / batchSize; ; n++ {
		if added, err := s.Append(bg, batch(n)); err != nil || len(added) != batchSize {
			panic(fmt.Sprint(len(added), err))
		}
		fmt.Println(n)
	}
}

// TestKilledWhileWriting kills a writer at random moments. What it had
// acknowledged is there, batches are there whole or not at all, and the file
// is sound.
func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	kills := 25
	if testing.Short() {
		kills = 5
	}
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	path := filepath.Join(t.TempDir(), "penumbra.db")
	for kill := range kills {
		cmd, _, out := child(t, "append", path)
		// The moment is so many acknowledgements and then so many microseconds.
		last := -1
		for range 1 + random.IntN(12) {
			line, err := out.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if last, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
				t.Fatal(err)
			}
		}
		killed := make(chan error, 1)
		time.AfterFunc(time.Duration(random.IntN(3000))*time.Microsecond, func() { killed <- cmd.Process.Kill() })
		rest, _ := io.ReadAll(out) // the pipe ends with the process
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		// A number that the kill cut in half was acknowledged all the same, but
		// only whole lines can be read.
		if lines := strings.Fields(string(rest[:bytes.LastIndexByte(rest, '\n')+1])); len(lines) > 0 {
			last, _ = strconv.Atoi(lines[len(lines)-1])
		}
		checkAfterKill(t, kill, path, last)
	}
}

func checkAfterKill(t *testing.T, kill int, path string, acknowledged int) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatalf("after kill %d: %v", kill, err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var sound string
	if err := s.writer.QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Fatalf("after kill %d: integrity check: %s %v", kill, sound, err)
	}
	n := 0
	for o, err := range s.Observations(bg, penumbra.ObservationQuery{}) {
		if err != nil {
			t.Fatalf("after kill %d: %v", kill, err)
		}
		if want := observed(n, 3); o.Identity() != want.Identity() {
			t.Fatalf("after kill %d: observation %d is %v of %s", kill, n, o.Time, o.Resource)
		}
		n++
	}
	if n%batchSize != 0 || n < (acknowledged+1)*batchSize {
		t.Fatalf("after kill %d: %d observations, %d were acknowledged in batches of %d", kill, n, (acknowledged+1)*batchSize, batchSize)
	}
}

// fill appends batches until one fails, and checks that it failed as a full
// disk should and left nothing.
func fill(s *Store) error {
	for n := range 10_000 {
		before, err := s.Sequence(bg)
		if err != nil {
			return err
		}
		_, err = s.Append(bg, batch(n))
		if err == nil {
			continue
		}
		var e *penumbra.Error
		if !errors.As(err, &e) || e.Kind != penumbra.Full || !strings.Contains(e.Remedy, "make room") {
			return fmt.Errorf("batch %d fails with %w, of kind %v", n, err, penumbra.KindOf(err))
		}
		after, err := s.Sequence(bg)
		if err != nil || after != before || after != int64(n*batchSize) {
			return fmt.Errorf("%d observations before the failure, %d after: %w", before, after, err)
		}
		return nil
	}
	return errors.New("it never gets full")
}

func TestFull(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	if _, err := s.writer.Exec("PRAGMA max_page_count = 120"); err != nil {
		t.Fatal(err)
	}
	if err := fill(s); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"a quarantine": s.Quarantine(bg, []penumbra.BadLine{{Text: strings.Repeat("x", 1<<20)}}),
		"a checkpoint": s.SaveCheckpoint(bg, penumbra.Checkpoint{Name: "shadow", Data: make([]byte, 1<<20)}),
	} {
		if penumbra.KindOf(err) != penumbra.Full {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.writer.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	stored, err := s.Sequence(bg)
	if err != nil {
		t.Fatal(err)
	}
	n := int(stored) / batchSize
	if added, err := s.Append(bg, batch(n)); err != nil || len(added) != batchSize {
		t.Errorf("once there is room %d are added, %v", len(added), err)
	}
	checkAfterKill(t, 0, s.path, n)
}

// appendLimited fills a store whose files may not grow over a limit of the
// operating system, and prints what went wrong.
func appendLimited(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	s, err := Open(path)
	if err == nil {
		const limit = 1_000_000
		err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit})
	}
	if err == nil {
		err = fill(s)
	}
	fmt.Println(err)
}

func TestFullByTheSystemsLimit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "penumbra.db")
	_, _, out := child(t, "limited", path)
	if line, _ := out.ReadString('\n'); line != "<nil>\n" {
		t.Fatal(line)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stored, err := s.Sequence(bg)
	if err != nil || stored == 0 || stored%batchSize != 0 {
		t.Fatalf("%d observations are stored, %v", stored, err)
	}
	checkAfterKill(t, 0, path, int(stored)/batchSize-1)
}

// holdLock starts a transaction, says so and holds it until its input ends.
func holdLock(path string) {
	s, err := Open(path)
	if err != nil {
		panic(err)
	}
	if _, err := s.writer.BeginTx(bg, nil); err != nil {
		panic(err)
	}
	fmt.Println("locked")
	_, _ = io.ReadAll(os.Stdin)
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "penumbra.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(bg, batch(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, in, out := child(t, "lock", path)
	if line, err := out.ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}

	hasty, err := Open(path, WithWait(0))
	if err != nil {
		t.Fatalf("open while another process writes: %v", err)
	}
	defer hasty.Close()
	if n, err := hasty.Sequence(bg); err != nil || n != batchSize {
		t.Errorf("read while another process writes: %d, %v", n, err)
	}
	_, err = hasty.Append(bg, batch(1))
	if penumbra.KindOf(err) != penumbra.Locked || !penumbra.KindOf(err).Retry() {
		t.Errorf("write while another process writes: %v", err)
	}

	patient, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer patient.Close()
	waited := make(chan error)
	go func() {
		_, err := patient.Append(bg, batch(1))
		waited <- err
	}()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("a write that waits: %v", err)
	}
	_ = cmd.Wait()
	if added, err := hasty.Append(bg, batch(1)); err != nil || len(added) != 0 {
		t.Errorf("what the other process added is added again: %d, %v", len(added), err)
	}
}

func TestOpenTwiceAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		path := filepath.Join(t.TempDir(), "penumbra.db")
		errs := make(chan error)
		for range 3 {
			go func() {
				s, err := Open(path)
				if err == nil {
					err = s.Close()
				}
				errs <- err
			}()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOpenFailures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    penumbra.ErrorKind
		says    string
	}{
		"not a database": {func(t *testing.T, path string) { write(t, path, []byte(strings.Repeat("not a database. ", 600))) }, penumbra.Damaged, "backup"},
		"newer schema": {func(t *testing.T, path string) {
			change(t, path, func(s *Store) { exec1(t, s, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)") })
		}, penumbra.Refused, "version 99, and this program knows up to"},
		"a folder": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, penumbra.Internal, "is a directory"},
		"a file for a folder": {func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Dir(path), nil)
		}, penumbra.Internal, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data", "penumbra.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, path)
			s, err := Open(path)
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			if penumbra.KindOf(err) != tt.want || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v (kind %v), want kind %v with %q", err, penumbra.KindOf(err), tt.want, tt.says)
			}
		})
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// change opens the store at path, changes something behind its back, and
// closes it.
func change(t *testing.T, path string, do func(s *Store)) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	do(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func exec1(t *testing.T, s *Store, statement string) {
	t.Helper()
	if _, err := s.writer.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "penumbra.db")
	var schema int64 // what is beyond it is data
	change(t, path, func(s *Store) {
		schema = size(t, s)
		for n := range 50 {
			if _, err := s.Append(bg, batch(n)); err != nil {
				t.Fatal(err)
			}
		}
	})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := int(schema); i < len(data); i++ {
		data[i] = byte(random.Uint32())
	}
	write(t, path, data)
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var last error
	for _, err := range s.Observations(bg, penumbra.ObservationQuery{}) {
		last = err
	}
	if penumbra.KindOf(last) != penumbra.Damaged || !strings.Contains(last.Error(), "backup") {
		t.Errorf("reading ends with %v (kind %v)", last, penumbra.KindOf(last))
	}
}

func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	if _, err := s.Append(bg, batch(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveCheckpoint(bg, penumbra.Checkpoint{Name: "shadow", Data: []byte("model")}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveDrifts(bg, []penumbra.Drift{{ID: "d"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddVersion(bg, penumbra.ModelVersion{}, []byte("model")); err != nil {
		t.Fatal(err)
	}
	exec1(t, s, "UPDATE versions SET data = CAST('mOdel' AS BLOB)")
	exec1(t, s, "UPDATE checkpoints SET data = CAST('mOdel' AS BLOB)")
	exec1(t, s, "UPDATE drifts SET body = x'ff00'")
	exec1(t, s, "UPDATE contents SET body = substr(body, 1, 30)")

	_, err := s.Checkpoint(bg, "shadow")
	errs := map[string]error{"checkpoint": err}
	_, errs["drift"] = s.Drifts(bg, penumbra.DriftQuery{})
	_, errs["version"] = s.VersionBody(bg, 1)
	for _, err := range s.Observations(bg, penumbra.ObservationQuery{}) {
		errs["observation"] = err
	}
	for name, err := range errs {
		if penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	if _, err := s.Append(bg, batch(0)); err != nil {
		t.Fatal(err)
	}
	var modes []string
	err := filepath.WalkDir(filepath.Dir(s.path), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		modes = append(modes, filepath.Base(path)+" "+info.Mode().String())
		return err
	})
	want := []string{"data drwx------", "penumbra.db -rw-------", "penumbra.db-shm -rw-------", "penumbra.db-wal -rw-------"}
	if err != nil || !slices.Equal(modes, want) {
		t.Errorf("modes are %q, want %q: %v", modes, want, err)
	}
}

// TestOrderNeedsNoSort holds the statement that exports everything to an index:
// with a sort, the first row would wait for the last.
func TestOrderNeedsNoSort(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	for name, q := range map[string]penumbra.ObservationQuery{
		"all": {}, "kinds": {Kinds: []penumbra.ObservationKind{penumbra.EventKind}}, "from": {From: start},
	} {
		statement, args := selection(q)
		rows, err := s.reader.Query("EXPLAIN QUERY PLAN "+statement, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		if len(plan) != 3 || !strings.Contains(plan[0], "observations_time") {
			t.Errorf("%s: %q", name, plan)
		}
	}
}
