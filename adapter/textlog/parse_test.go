package textlog_test

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/adapter/textlog"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func parser() *textlog.Parser {
	berlin := time.FixedZone("CET", 3600)
	return textlog.New("app", berlin, func() time.Time { return now })
}

func TestParse(t *testing.T) {
	utc := func(h, m, s, ns int) time.Time { return time.Date(2026, 3, 1, h, m, s, ns, time.UTC) }
	for name, x := range map[string]struct {
		line, message string
		at            time.Time
	}{
		"rfc 3339":          {"2026-03-01T09:12:44Z service started", "service started", utc(9, 12, 44, 0)},
		"fraction":          {"2026-03-01T09:12:44.250Z service started", "service started", utc(9, 12, 44, 250e6)},
		"offset":            {"2026-03-01T09:12:44+02:00 a", "a", utc(7, 12, 44, 0)},
		"comma, local":      {"2026-03-01 09:12:44,5 WARN pool full", "WARN pool full", utc(8, 12, 44, 500e6)},
		"nginx error":       {"2026/03/01 09:12:44 [error] 12#12: limiting requests", "[error] 12#12: limiting requests", utc(8, 12, 44, 0)},
		"nginx access":      {`10.0.0.7 - bob [01/Mar/2026:09:12:44 +0100] "GET / HTTP/1.1" 503`, `10.0.0.7 - bob "GET / HTTP/1.1" 503`, utc(8, 12, 44, 0)},
		"in brackets":       {"[2026-03-01 09:12:44] hello", "hello", utc(8, 12, 44, 0)},
		"no time":           {"hello world", "hello world", now},
		"a number, no time": {"2026 things happened", "2026 things happened", now},
		"nothing but time":  {"2026-03-01T09:12:44Z", "2026-03-01T09:12:44Z", utc(9, 12, 44, 0)},
		"impossible":        {"2026-13-41 09:12:44 x", "2026-13-41 09:12:44 x", now},
		"secret":            {"2026-03-01T09:12:44Z password=hunter2 set", "password=[redacted] set", utc(9, 12, 44, 0)},
	} {
		records, err := parser().Parse([]byte(x.line))
		if err != nil || len(records) != 1 {
			t.Errorf("%s: %d records, %v", name, len(records), err)
			continue
		}
		if r := records[0]; !r.Time.Equal(x.at) || r.Message != x.message || r.Check() != nil {
			t.Errorf("%s: got %v %q, want %v %q", name, r.Time, r.Message, x.at, x.message)
		}
	}
}

func TestNotText(t *testing.T) {
	for _, line := range []string{"\xff\xfe\x00", "a\x00b"} {
		if records, err := parser().Parse([]byte(line)); err == nil || records != nil {
			t.Errorf("%q gave %v", line, records)
		}
	}
	if records, err := parser().Parse([]byte(" \t")); err != nil || records != nil {
		t.Errorf("a blank line gave %v, %v", records, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-03-01T09:12:44.1Z a"))
	f.Add([]byte("a [01/Mar/2026:09:12:44 +0100] b"))
	f.Add([]byte("[2026/03/01 09:12:44,999999999"))
	f.Fuzz(func(t *testing.T, line []byte) {
		records, err := parser().Parse(line)
		if err != nil {
			return
		}
		for _, r := range records {
			if err := r.Check(); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	p := parser()
	line := []byte("2026-03-01 09:12:44,123 WARN worker 17 of pool orders waited 250 ms for a connection")
	for b.Loop() {
		if _, err := p.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
