//go:build unix

package e2e

// This file covers logs that come in while the daemon is killed again and again:
// every line that was acknowledged over HTTP, and every complete line of a file
// that is followed and rotated meanwhile, is there once in the end. It needs
// neither OpenTofu nor any other tool.

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/postgres"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// newBareSite makes a site without a stack, which is told its inputs only.
func newBareSite(t *testing.T, inputs string) *site {
	t.Helper()
	t.Parallel()
	s := &site{t: t, root: t.TempDir(), env: environment(t.TempDir())}
	s.write("penumbra.yaml", "inputs:\n"+inputs)
	return s
}

// known makes resources known, as a timeline tells of them: a service with its
// file, and a PostgreSQL server.
func (s *site) known() {
	s.t.Helper()
	timeline := `{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/service.web","type":"service","settings":{"path":"/etc/web/web.conf","workers":4},"full":true}
{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/db1/postgresql","type":"postgresql","settings":{"work_mem":"4MB"},"full":true}
`
	s.run(program, s.root, strings.NewReader(timeline), "ingest").ends(0).tells("2 new")
}

// gate is where the daemon is, for whoever sends to it; it moves at each start.
type gate struct{ at atomic.Pointer[url.URL] }

func (g *gate) open(d *daemon) {
	u, err := url.Parse(d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	g.at.Store(u)
}

// send posts a body to an input and returns the status, 0 if there was no
// answer.
func (g *gate) send(input string, body []byte) (status int, answer []byte) {
	u := *g.at.Load()
	token := u.Query().Get("token")
	req, err := http.NewRequest(http.MethodPost, "http://"+u.Host+"/v1/inputs/"+input, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if strings.HasSuffix(input, "/write") {
		req.Header.Set("Content-Encoding", "snappy")
		req.Header.Set("Content-Type", "application/x-protobuf")
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// every calls do at a pace until ctx ends.
func every(ctx context.Context, pace time.Duration, do func()) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// logLine is line n of a log: each third is about the service that is known.
func logLine(kind string, n int) string {
	about := ""
	if n%3 == 0 {
		about = `,"target":"/etc/web/web.conf"`
	}
	return fmt.Sprintf(`{"time":%q,"user":"alice","action":"edit","message":"%s line %07d ends"%s}`,
		time.Now().UTC().Format(time.RFC3339Nano), kind, n, about)
}

// rotating is a log that a program writes and that is rotated as logrotate does
// with delaycompress: app.log, app.log.1, app.log.2.gz and so on.
type rotating struct {
	*site
	file  *os.File
	lines int // that were written whole
	files int
}

const linesAFile = 300

func (r *rotating) write(random *rand.Rand) {
	if r.file == nil || r.lines%linesAFile == 0 {
		r.rotate()
	}
	line := logLine("file", r.lines) + "\n"
	// A line may become visible in two pieces.
	cut := random.IntN(len(line))
	_, err := r.file.WriteString(line[:cut])
	if err == nil {
		_, err = r.file.WriteString(line[cut:])
	}
	if err != nil {
		r.t.Error(err)
	}
	r.lines++
}

func (r *rotating) rotate() {
	err := os.MkdirAll(r.path("logs"), 0o755)
	if r.file != nil {
		r.file.Close()
	}
	name := func(n int, end string) string { return r.path(fmt.Sprintf("logs/app.log.%d%s", n, end)) }
	for n := r.files; n >= 2 && err == nil; n-- {
		err = os.Rename(name(n, ".gz"), name(n+1, ".gz"))
	}
	if r.files >= 1 && err == nil {
		if err = os.Rename(name(1, ""), name(2, "")); err == nil {
			err = compress(name(2, ""))
		}
	}
	if r.file != nil && err == nil {
		err = os.Rename(r.path("logs/app.log"), name(1, ""))
		r.files++
	}
	if err == nil {
		r.file, err = os.Create(r.path("logs/app.log"))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// compress does what gzip does with a file.
func compress(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := os.Create(name + ".gz")
	if err != nil {
		return err
	}
	w := gzip.NewWriter(f)
	for part := range slices.Chunk(data, 4096) {
		_, _ = w.Write(part) // an error is told by Close
		_ = w.Flush()
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		return err
	}
	return os.Remove(name)
}

// serverLog writes what a PostgreSQL server was recorded to log, over and over,
// each time as other sessions.
type serverLog struct {
	*site
	file     *os.File
	recorded []string
	next     int
	text     strings.Builder // all that was written
}

func newServerLog(s *site) *serverLog {
	data, err := os.ReadFile("../adapter/postgres/testdata/server.json")
	if err == nil {
		err = os.MkdirAll(s.path("pg"), 0o755)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	l := &serverLog{site: s, recorded: strings.Split(strings.TrimSpace(string(data)), "\n")}
	if l.file, err = os.Create(s.path("pg/postgresql.json")); err != nil {
		s.t.Fatal(err)
	}
	return l
}

var (
	sessionStart = regexp.MustCompile(`"session_id":"[0-9a-f]+\.`)
	logTime      = regexp.MustCompile(`"timestamp":"[^"]*"`)
)

func (l *serverLog) write() {
	line := l.recorded[l.next%len(l.recorded)]
	line = sessionStart.ReplaceAllString(line, fmt.Sprintf(`"session_id":"%08x.`, 0x10000000+l.next/len(l.recorded)))
	line = logTime.ReplaceAllString(line, `"timestamp":"`+time.Now().UTC().Format("2006-01-02 15:04:05.000 UTC")+`"`)
	l.next++
	l.text.WriteString(line + "\n")
	if _, err := l.file.WriteString(line + "\n"); err != nil {
		l.t.Error(err)
	}
}

// events returns the identities of what a parser that is never stopped makes of
// the log and that did something. A server repeats at each reload what waits for
// a restart, and only the first time is an event: repeats are what a parser that
// was started anew may take for the first time.
func (l *serverLog) events() (out, repeats map[string]bool) {
	l.t.Helper()
	p, err := postgres.NewParser(postgres.ParserConfig{Input: "db", Server: "site/db1/postgresql", Key: penumbra.Key("a key of the tests only")})
	if err != nil {
		l.t.Fatal(err)
	}
	out, repeats = map[string]bool{}, map[string]bool{}
	note := func(records []penumbra.Record) {
		for _, r := range records {
			switch {
			case r.ReadOnly && r.Action == "pending restart":
				repeats[r.Identity().String()] = true
			case !r.ReadOnly && r.Failed == "":
				out[r.Identity().String()] = true
			}
		}
	}
	for line := range strings.Lines(l.text.String()) {
		records, err := p.Parse([]byte(line))
		if err != nil {
			l.t.Fatal(err)
		}
		note(records)
	}
	note(p.Flush(time.Now().Add(time.Hour)))
	return out, repeats
}

// taken is what is there of a log, by what tells its lines apart: how often.
type taken map[string]int

var lineNumber = regexp.MustCompile(`(file|sent) line \d{7} ends`)

// events adds what became events of resources.
func (x taken) events(s *site) {
	s.t.Helper()
	for line := range strings.Lines(s.penumbra("export").ends(0).out) {
		var o struct{ Kind, ID, Source, Message string }
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			s.t.Fatalf("export: %v: %s", err, line)
		}
		switch {
		case o.Kind != "event":
		case strings.HasSuffix(o.Source, "db"):
			x[o.ID]++
		default:
			x[lineNumber.FindString(o.Message)]++
		}
	}
}

// eventOf returns the line of the export that has an identifier.
func (s *site) eventOf(id string) string {
	for line := range strings.Lines(s.penumbra("export").ends(0).out) {
		if strings.Contains(line, id) {
			return line
		}
	}
	return "kept aside"
}

// aside adds what is kept for nobody knows whose it is.
func (x taken) aside(s *site) {
	s.t.Helper()
	store, err := sqlite.Open(s.path(".penumbra/penumbra.db"), sqlite.ReadOnly())
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	for after := int64(0); ; {
		records, err := store.AsideRecords(s.t.Context(), after, 1000)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(records) == 0 {
			return
		}
		for _, r := range records {
			after = r.Sequence
			if r.Record.Input == "db" {
				x[r.Record.Identity().String()]++
			} else {
				x[lineNumber.FindString(r.Record.Message)]++
			}
		}
	}
}

// ingestKills is how often the daemon is killed while logs come in.
const ingestKills = 50

// sendBatch is how many lines go into one request.
const sendBatch = 20

func TestIngestSurvivesKills(t *testing.T) {
	s := newBareSite(t, `
  - {name: app, kind: json, paths: ["logs/app.log*"]}
  - {name: sent, kind: json}
  - {name: db, kind: postgresql, paths: [pg/postgresql.json], resource: site/db1/postgresql}
`)
	s.known()
	const seed = 11
	random := rand.New(rand.NewPCG(seed, 0))
	app, db := &rotating{site: s}, newServerLog(s)
	defer db.file.Close()
	app.rotate()

	var g gate
	d := s.serve()
	g.open(d)
	working, stop := context.WithCancel(t.Context())
	defer stop()
	var work sync.WaitGroup
	sent, repeated := 0, 0
	work.Go(func() {
		cuts := rand.New(rand.NewPCG(seed, 1))
		every(working, 4*time.Millisecond, func() { app.write(cuts) })
	})
	work.Go(func() { every(working, 5*time.Millisecond, db.write) })
	work.Go(func() {
		var body bytes.Buffer
		every(working, 20*time.Millisecond, func() {
			if body.Len() == 0 {
				for i := range sendBatch {
					line := logLine("sent", sent+i)
					if i%2 == 0 { // the others are known by all that they say
						line = fmt.Sprintf(`{"id":"s-%d",%s`, sent+i, line[1:])
					}
					body.WriteString(line + "\n")
				}
			}
			status, answer := g.send("sent", body.Bytes())
			switch status {
			case http.StatusOK:
				if want := fmt.Sprintf(`"accepted":%d`, sendBatch); !strings.Contains(strings.ReplaceAll(string(answer), " ", ""), want) {
					t.Errorf("answered %s, want %s", answer, want)
				}
				sent += sendBatch
				body.Reset()
			default: // not acknowledged: all of it again
				repeated++
			}
		})
	})
	for range ingestKills {
		select {
		case <-time.After(time.Duration(random.IntN(1400)) * time.Millisecond):
		case <-d.ended:
			t.Fatalf("the daemon ended by itself: %v\n%s", d.err, d.log)
		}
		d.stop(syscall.SIGKILL)
		d = s.serve()
		g.open(d)
	}
	stop()
	work.Wait()
	app.file.Close()

	want, maybe := db.events()
	for n := range app.lines {
		want[fmt.Sprintf("file line %07d ends", n)] = true
	}
	for n := range sent {
		want[fmt.Sprintf("sent line %07d ends", n)] = true
	}
	s.until("all has been taken in", func() bool {
		var aside penumbra.Unmapped
		s.penumbra("unmapped", "-o", "json").ends(0).into(&aside)
		events := strings.Count(s.penumbra("export").ends(0).out, `{"kind":"event"`)
		return int(aside.Records)+events >= len(want)
	})
	d.stop(syscall.SIGTERM)
	have := taken{}
	have.events(s)
	have.aside(s)
	// What was sent last may be stored and not acknowledged: it may be there, once.
	for n := sent; n < sent+sendBatch; n++ {
		maybe[fmt.Sprintf("sent line %07d ends", n)] = true
	}
	lost, twice, strange := 0, 0, 0
	for key := range want {
		switch have[key] {
		case 1:
		case 0:
			if lost++; lost <= 5 {
				t.Errorf("lost: %s", key)
			}
		default:
			if twice++; twice <= 5 {
				t.Errorf("%d times: %s", have[key], key)
			}
		}
	}
	for key, n := range have {
		if !want[key] && !(maybe[key] && n == 1) {
			if strange++; strange <= 5 {
				t.Errorf("nobody wrote %q, %d times: %s", key, n, s.eventOf(key))
			}
		}
	}
	t.Logf("seed %d: %d kills; %d lines of files in %d files, %d sent with %d requests repeated, %d lines of a server's log; lost %d, twice %d, strange %d",
		seed, ingestKills, app.lines, app.files+1, sent, repeated, db.next, lost, twice, strange)
	if repeated == 0 || app.files == 0 {
		t.Error("no request was hit by a kill, or no file was rotated")
	}
}
