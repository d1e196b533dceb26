package tail

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory keeps cursors; fail makes the next saves fail for good.
type memory struct {
	data map[string][]byte
	fail bool
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) { return m.data[name], nil }
func (m *memory) Save(_ context.Context, name string, data []byte) error {
	if m.fail {
		return errKilled
	}
	m.data[name] = bytes.Clone(data)
	return nil
}

var errKilled = errors.New("killed")

// world is a folder, a program that logs into it, and what was handed over.
type world struct {
	t       rapid.TB
	path    string
	cursors *memory
	f       *Follower
	n       int      // lines begun
	open    string   // a line that is not complete
	want    []string // complete lines
	got     []string // lines by first appearance of their ID
	seen    map[string]string
	kill    bool
}

func (w *world) start() {
	if w.f != nil {
		w.f.closeAll()
	}
	f, err := New(Config{Name: "in", Paths: []string{w.path + "*"}, MaxLine: 4096, Cursors: w.cursors,
		Report: func(err error) { w.t.Errorf("reported: %v", err) }})
	if err != nil {
		w.t.Fatal(err)
	}
	f.watch = &watcher{dirs: map[string]bool{}}
	if err := f.load(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.f = f
}

func (w *world) look() {
	w.f.scan()
	w.f.first = false
	err := w.f.drain(context.Background(), func(_ context.Context, batch []Line) error {
		for _, l := range batch {
			if text, ok := w.seen[l.ID]; ok && text != string(l.Text) {
				w.t.Fatalf("ID %s is of %q and of %q", l.ID, text, l.Text)
			} else if !ok {
				w.seen[l.ID] = string(l.Text)
				w.got = append(w.got, string(l.Text))
			}
		}
		if w.kill {
			return errKilled
		}
		return nil
	})
	if err != nil && !errors.Is(err, errKilled) {
		w.t.Fatal(err)
	}
	if err != nil {
		w.start()
	}
}

func (w *world) write(text string) {
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		w.t.Fatal(err)
	}
}

// append writes lines, the last one perhaps without its end.
func (w *world) append(count int, partial bool) {
	var b strings.Builder
	for range count {
		if w.open == "" {
			w.n++
			w.open = fmt.Sprintf("line %d %s", w.n, strings.Repeat("x", w.n*37%90))
			b.WriteString(w.open)
		}
		b.WriteString("\n")
		w.want = append(w.want, w.open)
		w.open = ""
	}
	if partial && w.open == "" {
		w.n++
		w.open = fmt.Sprintf("line %d", w.n)
		b.WriteString(w.open)
	}
	w.write(b.String())
}

func (w *world) rotated(i int) string { return fmt.Sprintf("%s.%d", w.path, i) }

// shift makes room for a new .1; from the third on they are compressed.
func (w *world) shift(zip bool) {
	if w.open != "" {
		w.append(1, false) // programs rotate between lines
	}
	for i := 20; i >= 1; i-- {
		for _, end := range []string{"", ".gz"} {
			if _, err := os.Stat(w.rotated(i) + end); err == nil {
				os.Rename(w.rotated(i)+end, w.rotated(i+1)+end)
			}
		}
	}
	if zip {
		for i := 2; i <= 21; i++ {
			if data, err := os.ReadFile(w.rotated(i)); err == nil {
				if err := os.WriteFile(w.rotated(i)+".gz", zipped(data), 0o600); err != nil {
					w.t.Fatal(err)
				}
				os.Remove(w.rotated(i))
			}
		}
	}
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

func testOnce(t *rapid.T, dir string) {
	dir, err := os.MkdirTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, path: filepath.Join(dir, "app.log"), cursors: &memory{data: map[string][]byte{}}, seen: map[string]string{}}
	w.start()
	defer func() { w.f.closeAll() }()
	w.append(1, false)
	w.look() // nothing is known of a file that was rotated away before the first look
	t.Repeat(map[string]func(*rapid.T){
		"append":                               func(t *rapid.T) { w.append(rapid.IntRange(0, 5).Draw(t, "lines"), rapid.Bool().Draw(t, "partial")) },
		"look":                                 func(*rapid.T) { w.look() },
		"restart":                              func(*rapid.T) { w.start() },
		"killed before its lines were handled": func(*rapid.T) { w.kill = true; w.look(); w.kill = false },
		"killed before the cursor was saved":   func(*rapid.T) { w.cursors.fail = true; w.look(); w.cursors.fail = false },
		"rename and create": func(t *rapid.T) {
			w.shift(rapid.Bool().Draw(t, "zip"))
			if os.Rename(w.path, w.rotated(1)) == nil {
				w.append(1, false)
			}
		},
		"copy and truncate": func(t *rapid.T) {
			w.shift(rapid.Bool().Draw(t, "zip"))
			data, err := os.ReadFile(w.path)
			if err != nil {
				return
			}
			if err := os.WriteFile(w.rotated(1), data, 0o600); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "look between") {
				w.look()
			}
			if err := os.Truncate(w.path, 0); err != nil {
				t.Fatal(err)
			}
			w.append(rapid.IntRange(0, 8).Draw(t, "lines"), false)
		},
	})
	w.look()
	w.look()
	counts := map[string]int{}
	for _, text := range w.got {
		counts[text]++
	}
	for _, text := range w.want {
		if counts[text] != 1 {
			t.Fatalf("line %q: handed over as %d lines; want\n%q, got\n%q", text, counts[text], w.want, w.got)
		}
	}
	for _, text := range w.got {
		if !slices.Contains(w.want, text) {
			t.Fatalf("handed over %q, which is no complete line", text)
		}
	}
}

// TestEachLineOnce needs the paths to name the rotated files too only if whole
// files come and go between two looks; here they do.
func TestEachLineOnce(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) { testOnce(t, dir) })
}

// follow runs Lines until the test ends and returns what it hands over.
func follow(t *testing.T, cfg Config) <-chan Line {
	t.Helper()
	out := make(chan Line, 100)
	if cfg.Cursors == nil {
		cfg.Cursors = &memory{data: map[string][]byte{}}
	}
	cfg.Name = "in"
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- f.Lines(ctx, func(ctx context.Context, batch []Line) error {
			for _, l := range batch {
				select {
				case out <- l:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Lines ended with %v", err)
		}
	})
	return out
}

func write(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestLinesOfFolderAndGlob(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "sub"), 0o700)
	write(t, filepath.Join(dir, "sub", "a.log"), "one\r\ntwo\nthr")
	write(t, filepath.Join(dir, "sub", "a.txt"), "not wanted\n")
	lines := follow(t, Config{Paths: []string{dir}, Include: "*.log", Poll: time.Hour})
	for _, want := range []string{"one", "two"} {
		if l := <-lines; string(l.Text) != want {
			t.Fatalf("got %q, want %q", l.Text, want)
		}
	}
	write(t, filepath.Join(dir, "sub", "a.log"), "ee\n")
	if l := <-lines; string(l.Text) != "three" || l.Offset != 9 {
		t.Fatalf("got %q at %d, want the whole third line at 9", l.Text, l.Offset)
	}
	write(t, filepath.Join(dir, "b.log"), "new file\n")
	if l := <-lines; string(l.Text) != "new file" {
		t.Fatalf("got %q", l.Text)
	}
}

func TestGiantAndBinaryLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	write(t, path, strings.Repeat("a", 500_000)+"\nshort\n\x00\xff\n")
	lines := follow(t, Config{Paths: []string{path}, MaxLine: 1000})
	if l := <-lines; !l.Oversize || len(l.Text) != 1000 {
		t.Errorf("oversize %v, %d bytes", l.Oversize, len(l.Text))
	}
	if l := <-lines; l.Oversize || string(l.Text) != "short" || l.Offset != 500_001 {
		t.Errorf("got %q at %d", l.Text, l.Offset)
	}
	if l := <-lines; string(l.Text) != "\x00\xff" {
		t.Errorf("got %q", l.Text)
	}
}

func TestFromEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	write(t, path, "old\npart")
	w := &world{t: t, path: path, cursors: &memory{data: map[string][]byte{}}, seen: map[string]string{}}
	w.start()
	w.f.cfg.From = End
	w.look()
	write(t, path, "ial\n")
	w.look()
	w.f.closeAll()
	if !slices.Equal(w.got, []string{"partial"}) {
		t.Fatalf("got %q", w.got)
	}
}

func TestBrokenGzipIsReportedAndReadOn(t *testing.T) {
	dir := t.TempDir()
	whole := zipped([]byte(strings.Repeat("a line of text\n", 3)))
	write(t, filepath.Join(dir, "a.log.gz"), string(whole[:len(whole)-9]))
	write(t, filepath.Join(dir, "b.log"), "other\n")
	reports := make(chan error, 10)
	lines := follow(t, Config{Paths: []string{dir + "/*"}, Poll: 10 * time.Millisecond, Report: func(err error) { reports <- err }})
	if err := <-reports; penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("reported %v", err)
	}
	write(t, filepath.Join(dir, "a.log.gz"), string(whole[len(whole)-9:]))
	ids, other := map[string]bool{}, false
	for len(ids) < 3 || !other {
		if l := <-lines; string(l.Text) == "other" {
			other = true
		} else {
			ids[l.ID] = true
		}
	}
}

// A file that is compressed under another name first, and then renamed, is
// what it became: none of its lines counts again.
func TestRenamedToCompressed(t *testing.T) {
	dir := t.TempDir()
	w := &world{t: t, path: filepath.Join(dir, "app.log"), seen: map[string]string{}, cursors: &memory{data: map[string][]byte{}}}
	w.start()
	defer func() { w.f.closeAll() }()
	w.append(300, false)
	w.look()
	if err := os.Rename(w.path, w.rotated(1)); err != nil {
		t.Fatal(err)
	}
	w.look()
	data, err := os.ReadFile(w.rotated(1))
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.rotated(1)+"~", string(zipped(data)))
	w.look()
	if err := os.Rename(w.rotated(1)+"~", w.rotated(1)+".gz"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(w.rotated(1)); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.look()
	count := map[string]int{}
	for _, text := range w.got {
		count[text]++
	}
	for _, text := range w.want {
		if count[text] != 1 {
			t.Fatalf("%q came %d times", text, count[text])
		}
	}
}

func TestHandlerThatIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	write(t, path, "one\n")
	f, err := New(Config{Name: "in", Paths: []string{path}, Cursors: &memory{data: map[string][]byte{}}})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	broken := errors.New("broken")
	err = f.Lines(context.Background(), func(context.Context, []Line) error {
		calls++
		switch calls {
		case 1:
			return &penumbra.Error{Kind: penumbra.Full, What: "store"}
		case 2:
			return &penumbra.Error{Kind: penumbra.Unavailable, What: "store"}
		}
		return broken
	})
	if !errors.Is(err, broken) || calls != 3 {
		t.Fatalf("error %v after %d calls", err, calls)
	}
}

func TestInvalid(t *testing.T) {
	good := Config{Name: "in", Paths: []string{"/x"}, Cursors: &memory{}}
	for name, spoil := range map[string]func(*Config){
		"name":    func(c *Config) { c.Name = "" },
		"paths":   func(c *Config) { c.Paths = nil },
		"pattern": func(c *Config) { c.Paths = []string{"[a"} },
		"cursors": func(c *Config) { c.Cursors = nil },
		"limit":   func(c *Config) { c.MaxLine = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := New(c); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	f, _ := New(Config{Name: "in", Paths: []string{"/x"}, Cursors: &memory{data: map[string][]byte{"in": []byte(`{"Version":1,"Files":[null]}`)}}})
	if err := f.Lines(context.Background(), nil); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("damaged cursor: %v", err)
	}
}

func TestDocuments(t *testing.T) {
	dir := t.TempDir()
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, name := range []string{"c.json", "b.json", "a.json", "not.txt"} {
		path := filepath.Join(dir, name)
		write(t, path, name)
		os.Chtimes(path, old, old.Add(time.Duration(min(i, 1))*time.Hour))
	}
	cursors := &memory{data: map[string][]byte{}}
	run := func(now time.Time, stop int) (got []string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		cfg := Config{Name: "in", Paths: []string{dir}, Include: "*.json", Cursors: cursors, Poll: time.Millisecond, Now: func() time.Time { return now }}
		err := Documents(ctx, cfg, func(_ context.Context, d Document) error {
			got = append(got, filepath.Base(d.Path))
			if len(got) == stop {
				return errKilled
			}
			return nil
		})
		if !errors.Is(err, errKilled) {
			t.Errorf("ended with %v", err)
		}
		return got
	}
	// The last two were changed less than two seconds before this time, and the
	// first is handed over until its handler takes it.
	if got := run(old.Add(time.Hour), 1); !slices.Equal(got, []string{"c.json"}) {
		t.Errorf("got %q", got)
	}
	if got := run(old.Add(2*time.Hour), 3); !slices.Equal(got, []string{"c.json", "a.json", "b.json"}) {
		t.Errorf("got %q", got)
	}
}

func BenchmarkLines(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.log")
	line := "2026-11-25T12:00:00.000000Z host app[123]: connection received: host=10.0.0.1 port=4242 database=orders user=app\n"
	write(b, path, strings.Repeat(line, 100_000))
	b.SetBytes(int64(len(line)) * 100_000)
	n := 0
	for b.Loop() {
		f, _ := New(Config{Name: "in", Paths: []string{path}, Cursors: &memory{data: map[string][]byte{}}})
		ctx, cancel := context.WithCancel(context.Background())
		got := 0
		if err := f.Lines(ctx, func(_ context.Context, batch []Line) error {
			if got += len(batch); got == 100_000 {
				cancel()
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		n += got
		cancel()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkLatency is the time from a line's write to its handler.
func BenchmarkLatency(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.log")
	write(b, path, "first\n")
	f, _ := New(Config{Name: "in", Paths: []string{path}, Cursors: &memory{data: map[string][]byte{}}})
	ctx, cancel := context.WithCancel(context.Background())
	arrived, done := make(chan time.Time), make(chan error)
	go func() {
		done <- f.Lines(ctx, func(context.Context, []Line) error { arrived <- time.Now(); return nil })
	}()
	<-arrived
	var all []time.Duration
	for b.Loop() {
		start := time.Now()
		write(b, path, "another line\n")
		all = append(all, (<-arrived).Sub(start))
	}
	cancel()
	<-done
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}
