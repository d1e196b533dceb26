package jsonlog

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func parser() *Parser {
	return NewParser("app", Fields{}, penumbra.Key("key"), func() time.Time { return now })
}

func TestLoggers(t *testing.T) {
	at := time.Date(2026, 11, 25, 11, 59, 58, 500e6, time.UTC)
	for name, c := range map[string]struct {
		line   string
		want   penumbra.Record
		attrib string // name=value
	}{
		"ecs": {`{"@timestamp":"2026-11-25T11:59:58.500Z","event":{"action":"user-update","id":"e1"},"user":{"name":"alice"},"message":"changed","log.level":"info"}`,
			penumbra.Record{ID: "e1", Actor: "alice", Action: "user-update", Message: "changed"}, "log.level=info"},
		"zap":    {`{"level":"info","ts":1795607998.5,"msg":"started","port":8080}`, penumbra.Record{Message: "started"}, "port=8080"},
		"pino":   {`{"level":30,"time":1795607998500,"pid":7,"hostname":"web1","msg":"started"}`, penumbra.Record{Message: "started"}, "hostname=web1"},
		"ns":     {`{"time":1795607998500000000,"msg":"started"}`, penumbra.Record{Message: "started"}, ""},
		"docker": {`{"log":"plain text\n","stream":"stdout","time":"2026-11-25T11:59:58.5Z"}`, penumbra.Record{Message: "plain text"}, "stream=stdout"},
		"docker with JSON inside": {`{"log":"{\"msg\":\"inner\",\"user\":\"bob\"}\n","stream":"stderr","time":"2026-11-25T11:59:58.5Z"}`,
			penumbra.Record{Message: "inner", Actor: "bob"}, ""},
		"targets": {`{"time":"2026-11-25T12:59:58.5+01:00","actor":"ci","action":"scale","targets":["a",{"id":"b"},"a"]}`,
			penumbra.Record{Actor: "ci", Action: "scale", Targets: []string{"a", "b"}}, ""},
	} {
		got, err := parser().Parse([]byte(c.line))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := got[0]
		if r.ID != c.want.ID || r.Actor != c.want.Actor || r.Action != c.want.Action || r.Message != c.want.Message || !slices.Equal(r.Targets, c.want.Targets) || !r.Time.Equal(at) {
			t.Errorf("%s: %+v", name, r)
		}
		if k, v, ok := strings.Cut(c.attrib, "="); ok && r.Attributes[k] != v {
			t.Errorf("%s: %s is %q", name, k, r.Attributes[k])
		}
	}
}

func TestSettingsAndSecrets(t *testing.T) {
	got, err := parser().Parse([]byte(`{"action":"set","api":{"token":"hunter2hunter2"},"settings":{"work_mem":{"old":"4MB","new":"64MB"},"ports":[80,443],"db_password":"hunter2"},"message":"password=hunter2"}`))
	if err != nil {
		t.Fatal(err)
	}
	r := got[0]
	want := penumbra.NewSettings(
		penumbra.Setting{Path: "work_mem", Value: penumbra.String("64MB")},
		penumbra.Setting{Path: "ports.0", Value: penumbra.Number(80)},
		penumbra.Setting{Path: "ports.1", Value: penumbra.Number(443)},
		penumbra.Setting{Path: "db_password", Value: penumbra.Key("key").Seal(penumbra.String("hunter2")), Sensitive: true})
	if !r.Settings.Equal(want) {
		t.Errorf("settings %v", r.Settings)
	}
	if text := fmt.Sprint(r); strings.Contains(text, "hunter2") {
		t.Errorf("a secret is left: %s", text)
	}
}

func TestConfiguredFields(t *testing.T) {
	p := NewParser("app", Fields{Actor: []string{"who.login"}, Action: []string{"what"}}, nil, nil)
	got, err := p.Parse([]byte(`{"who":{"login":"eve"},"what":"drop"}`))
	if err != nil || got[0].Actor != "eve" || got[0].Action != "drop" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestBadLines(t *testing.T) {
	for _, line := range []string{"x", "[1]", "3", "{", `{"msg":"a"} {"msg":"b"}`, `{}`, `{"level":"info"}`, `{"time":"yesterday","msg":"x"}`,
		`{"time":-1,"msg":"x"}`, `{"time":1e300,"msg":"x"}`, `{"msg":"` + strings.Repeat("x", MaxLine) + `"}`, "\x00\xff", strings.Repeat(`{"a":`, 100_000)} {
		if got, err := parser().Parse([]byte(line)); err == nil {
			t.Errorf("%.30q: no error, %+v", line, got)
		}
	}
}

func post(h http.Handler, body []byte, encoding string) (*http.Response, Report) {
	req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	req.Header.Set("Content-Encoding", encoding)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	var rep Report
	_ = json.Unmarshal(w.Body.Bytes(), &rep)
	return w.Result(), rep
}

func zip(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.Bytes()
}

func TestHandler(t *testing.T) {
	good := `{"msg":"a"}` + "\n"
	for name, c := range map[string]struct {
		body          []byte
		encoding      string
		sink          error
		status        int
		accepted, bad int
	}{
		"all":         {[]byte(good + good), "", nil, 200, 2, 0},
		"no last end": {[]byte(`{"msg":"a"}`), "", nil, 200, 1, 0},
		"empty":       {nil, "", nil, 200, 0, 0},
		"gzip":        {zip(strings.Repeat(good, 5000)), "gzip", nil, 200, 5000, 0},
		"some":        {[]byte(good + "x\n\n" + good), "", nil, 207, 2, 1},
		"none":        {[]byte("x\ny\n"), "", nil, 400, 0, 2},
		"giant line":  {[]byte(good + strings.Repeat("x", 3*MaxLine) + "\n" + good), "", nil, 207, 2, 1},
		"no gzip":     {[]byte(good), "gzip", nil, 400, 0, 0},
		"broken gzip": {zip(good)[:20], "gzip", nil, 400, 0, 0},
		"bomb":        {zip(strings.Repeat("\n", MaxBody+2)), "gzip", nil, 413, 0, 0},
		"other":       {[]byte(good), "br", nil, 415, 0, 0},
		"full":        {[]byte(good), "", &penumbra.Error{Kind: penumbra.Full}, 429, 0, 0},
		"unavailable": {[]byte(good), "", &penumbra.Error{Kind: penumbra.Unavailable}, 503, 0, 0},
		"broken":      {[]byte(good), "", errors.New("x"), 500, 0, 0},
	} {
		kept, bad := 0, 0
		h := parser().Handler(func(_ context.Context, records []penumbra.Record, b []BadLine) error {
			if c.sink == nil {
				kept += len(records)
				bad += len(b)
			}
			return c.sink
		})
		res, rep := post(h, c.body, c.encoding)
		if res.StatusCode != c.status || rep.Accepted != c.accepted || rep.BadTotal != c.bad || kept != c.accepted || bad != c.bad {
			t.Errorf("%s: status %d, %+v, %d kept", name, res.StatusCode, rep, kept)
		}
		if retry := res.Header.Get("Retry-After") != ""; retry != (c.status == 429 || c.status == 503) {
			t.Errorf("%s: Retry-After %v", name, retry)
		}
		if c.status == 207 && rep.Bad[0].Line != 2 {
			t.Errorf("%s: bad line %d, want 2", name, rep.Bad[0].Line)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"@timestamp":"2026-11-25T11:59:58.500Z","event":{"action":"u"},"settings":{"a":[{"b":null}]}}`))
	f.Add([]byte(`{"log":"{\"msg\":\"inner\"}\n","stream":"stderr","time":1e18}`))
	p := parser()
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := p.Parse(line)
		if err != nil && len(got) > 0 {
			t.Fatal("both records and an error")
		}
		for i := range got {
			if err := got[i].Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

var benchLine = []byte(`{"level":"info","ts":1795607998.5,"logger":"http","caller":"server/handler.go:123","msg":"request served","method":"GET","path":"/orders/1234","status":200,"duration_ms":12.5,"user":"alice"}`)

// BenchmarkParse uses all cores, as several requests at a time do.
func BenchmarkParse(b *testing.B) {
	p := parser()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Parse(benchLine); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
