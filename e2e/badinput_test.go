//go:build unix

package e2e

// This file covers logs and metrics that are broken, through the daemon: a
// gzip file that breaks off, a clock that is wrong, a giant line, bytes that are
// no text, labels without end. The daemon stays up, counts and names what it
// could not read, and loses nothing else. It needs no other tool.

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penumbra-iac/penumbra"
)

// inputs returns the state of each input by its name.
func (s *site) inputs() map[string]penumbra.InputStatus {
	s.t.Helper()
	var list []penumbra.InputStatus
	s.penumbra("inputs", "-o", "json").ends(0).into(&list)
	out := map[string]penumbra.InputStatus{}
	for _, x := range list {
		out[x.Name] = x
	}
	return out
}

func TestBadInput(t *testing.T) {
	s := newBareSite(t, `
  - {name: app, kind: json, paths: [logs/app.log]}
  - {name: trail, kind: cloudtrail, paths: [trail]}
  - {name: sent, kind: json}
  - {name: written, kind: remote-write}
metrics:
  - {from: "*"}
`)
	s.known()
	for _, dir := range []string{"logs", "trail"} {
		if err := os.Mkdir(s.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(5, 0))
	noise := make([]byte, 3000)
	for i := range noise {
		noise[i] = byte(random.UintN(256))
	}
	binary := bytes.ReplaceAll(noise, []byte("\n"), []byte{0})
	giant := `{"time":"2026-03-01T00:00:00Z","action":"edit","message":"` + strings.Repeat("giant ", 400_000) + `"}`
	ahead := strings.ReplaceAll(logLine("file", 3), time.Now().UTC().Format("2006-"), "2199-")
	s.write("logs/app.log", logLine("file", 0)+"\n"+string(binary)+"\n"+logLine("file", 1)+"\n"+giant+"\n"+logLine("file", 2)+"\n{\"no\":\"time\n"+ahead+"\n"+logLine("file", 4)+"\n")

	// Two whole events of CloudTrail, and a file that breaks off after it began.
	whole := trailFile(t, 0, 2)
	s.write("trail/a-whole.json.gz", string(whole))
	s.write("trail/b-broken.json.gz", string(trailFile(t, 100, 400)[:2000]))
	s.write("trail/c-none.json.gz", string(noise))
	s.write("trail/d-whole.json.gz", string(trailFile(t, 1000, 3)))

	var g gate
	d := s.serve()
	g.open(d)
	status, answer := g.send("sent", []byte(logLine("sent", 0)+"\n"+string(binary)+"\n"+strings.Repeat("x", 2<<20)+"\n"+logLine("sent", 1)+"\n"))
	if status != 207 || !strings.Contains(strings.ReplaceAll(string(answer), " ", ""), `"accepted":2,`) {
		t.Errorf("a request with bad lines is answered %d %s", status, answer)
	}
	if status, answer = g.send("sent", noise); status != 400 {
		t.Errorf("nothing but noise is answered %d %s", status, answer)
	}
	if status, answer = g.send("written/write", noise); status/100 != 4 {
		t.Errorf("remote write of noise is answered %d %s", status, answer)
	}
	// A label that is another one each time, in 60 requests.
	points := 0
	for i := range 60 {
		body := written("the one that was first", float64(i))
		for j := range 2000 {
			body = append(body, written(fmt.Sprint(i, "/", j), 1)...)
		}
		if status, answer := g.send("written/write", snappy.Encode(nil, body)); status != 204 && status != 400 {
			t.Fatalf("request %d of remote write is answered %d %s", i, status, answer)
		}
		points++
	}

	s.until("all files are read", func() bool {
		in := s.inputs()
		return in["app"].Records >= 5 && in["trail"].Records >= 5 && in["trail"].Bad >= 2
	})
	in := s.inputs()
	if x := in["app"]; x.Records != 5 || x.Bad != 3 {
		t.Errorf("of the file: %+v, want 5 records and 3 bad lines", x)
	}
	if x := in["sent"]; x.Records != 2 || x.Bad < 2 {
		t.Errorf("of what was sent: %+v, want 2 records and the bad lines", x)
	}
	if x := in["written"]; x.Points < int64(points)-1 || x.Series != 1 || x.Unnamed == 0 {
		t.Errorf("of remote write: %+v, want one series with %d values", x, points)
	}
	select {
	case <-d.ended:
		t.Fatalf("the daemon ended: %v\n%s", d.err, d.log)
	default:
	}
	d.stop(syscall.SIGTERM)
	if d.err != nil {
		t.Errorf("the daemon ended with %v\n%s", d.err, d.log)
	}
	have := taken{}
	have.events(s)
	have.aside(s)
	for _, key := range []string{"file line 0000000 ends", "file line 0000001 ends", "file line 0000002 ends", "file line 0000003 ends", "file line 0000004 ends", "sent line 0000000 ends", "sent line 0000001 ends"} {
		if have[key] != 1 {
			t.Errorf("%s is there %d times", key, have[key])
		}
	}
	for line := range strings.Lines(s.penumbra("export").ends(0).out) {
		var raw struct{ Time time.Time }
		if err := json.Unmarshal([]byte(line), &raw); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if raw.Time.After(time.Now().Add(time.Hour)) {
			t.Errorf("dated by the wrong clock: %s", line)
		}
	}
	if strings.Contains(d.log.String(), "panic") {
		t.Errorf("a panic: %s", d.log)
	}
}

// written is one series of a remote write with one value of now
// (prometheus.WriteRequest: timeseries 1; of one, labels 1 and samples 2).
func written(request string, v float64) []byte {
	text := func(b []byte, field protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
	}
	var series []byte
	for _, l := range [][2]string{{"__name__", "latency"}, {"instance", "site/service.web"}, {"request", request}} {
		series = text(series, 1, string(text(text(nil, 1, l[0]), 2, l[1])))
	}
	sample := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(v))
	sample = protowire.AppendVarint(protowire.AppendTag(sample, 2, protowire.VarintType), uint64(time.Now().UnixMilli()))
	return text(nil, 1, string(text(series, 2, string(sample))))
}

// trailFile is a file of CloudTrail with so many events.
func trailFile(t *testing.T, first, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	fmt.Fprint(w, `{"Records":[`)
	for i := range n {
		if i > 0 {
			fmt.Fprint(w, ",")
		}
		fmt.Fprintf(w, `{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","userName":"alice","accountId":"123456789012"},"eventTime":"2026-03-01T00:00:00Z","eventSource":"rds.amazonaws.com","eventName":"ModifyDBInstance","awsRegion":"eu-central-1","requestParameters":{"dBInstanceIdentifier":"orders-%x","dBInstanceClass":"db.t3.medium"},"eventID":"%036d","readOnly":false,"recipientAccountId":"123456789012"}`, first+i, first+i)
	}
	fmt.Fprint(w, "]}")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
