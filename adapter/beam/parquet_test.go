package beam_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/timeline"
)

// everyField are observations that between them have every field of the format.
const everyField = `{"kind":"template","time":"2026-03-01T00:00:00Z","resource":"shop/db.main","type":"db","source":"git:3fa2c1d","settings":{"class":"small\nor \"big\"","tags.team":"pay","size":null,"arn":null},"unknown":["arn"],"applied":{"class":"tiny"}}
{"kind":"snapshot","time":"2026-03-01T00:05:00.123456789Z","resource":"shop/db.main","type":"db","source":"tofu","full":true,"settings":{"class":"small","multi_az":true,"password":"hmac-sha256:00112233445566778899aabbccddeeff"},"sensitive":["password"],"seen":"2026-03-01T00:06:00Z"}
{"kind":"snapshot","time":"2026-03-02T00:05:00Z","resource":"shop/db.main","type":"db","source":"tofu","not_checked":"no answer"}
{"kind":"event","time":"2026-03-01T09:12:44Z","resource":"shop/db.main","type":"db","source":"http","actor":"Zo\u00eb","actor_kind":"user","action":"Modify","message":"a\tb","settings":{"class":"large"},"id":"e-91"}
{"kind":"metric","time":"2026-03-01T09:15:00Z","resource":"shop/db.main","type":"db","source":"http","metrics":{"cpu":0.83,"jobs":12},"worse":{"jobs":"down"}}
{"kind":"metric","time":"2026-03-01T09:15:01Z","resource":"shop/db.main","type":"db","source":"live","metrics":{"cpu":0.85}}
`

// TestParquetRoundTrip writes lines as Parquet and back, and wants the same lines.
func TestParquetRoundTrip(t *testing.T) {
	folder := t.TempDir()
	var want bytes.Buffer // as the encoder writes them
	to := timeline.NewEncoder(&want)
	for d := timeline.NewDecoder(strings.NewReader(everyField), ""); ; {
		o, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Encode(&o); err != nil {
			t.Fatal(err)
		}
	}
	all := moving(3, 60, 400) // several pages
	for i := range all {
		if err := to.Encode(&all[i]); err != nil {
			t.Fatal(err)
		}
	}
	lines, rows, back := filepath.Join(folder, "a.jsonl"), filepath.Join(folder, "a.parquet"), filepath.Join(folder, "b.jsonl")
	if err := os.WriteFile(lines, want.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{{lines, rows}, {rows, back}} {
		result, err := beam.Convert(step[:1], step[1])
		if err != nil || result.LinesLeftOut > 0 || result.Observations != int64(len(all))+6 {
			t.Fatalf("%v: %+v, %v", step, result, err)
		}
	}
	got, err := os.ReadFile(back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want.String(), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("-lines +by Parquet\n%s", diff)
	}
}

// foreign is a row as another program may write it: the time in microseconds, other
// columns, among them a nested one.
type foreign struct {
	Resource string   `parquet:"resource"`
	Kind     string   `parquet:"kind"`
	Time     int64    `parquet:"time,timestamp(microsecond)"`
	Settings string   `parquet:"settings"`
	Action   string   `parquet:"action"`
	Source   string   `parquet:"source"`
	Tags     []string `parquet:"tags,list"`
	Cost     float64  `parquet:"cost"`
}

// TestParquetOfOthers reads a file that another program wrote, with rows that are
// no observations: they are kept aside without what they say.
func TestParquetOfOthers(t *testing.T) {
	folder := t.TempDir()
	name, out := filepath.Join(folder, "theirs.parquet"), filepath.Join(folder, "out.jsonl")
	at := time.Date(2026, 3, 1, 0, 0, 0, 123456000, time.UTC)
	rows := []foreign{
		{"shop/vm.a", "event", at.UnixMicro(), "{\n \"size\": \"m\"}", "create", "git:1", []string{"x", "y"}, 1.5},
		{"shop/vm.b", "event", at.UnixMicro(), `{"password": "hunter2hunter2"`, "create", "git:1", nil, 0},
		{"shop/vm.c", "wish", at.UnixMicro(), "{}", "create", "git:1", nil, 0},
	}
	if err := parquet.WriteFile(name, rows); err != nil {
		t.Fatal(err)
	}
	result, err := beam.Convert([]string{name}, out)
	if err != nil || result.Observations != 1 || result.LinesLeftOut != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
	got, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(got), `"time":"2026-03-01T00:00:00.123456Z"`) || !strings.Contains(string(got), `"size":"m"`) {
		t.Errorf("read %s, %v", got, err)
	}
	aside, err := os.ReadFile(result.LeftOut)
	if err != nil || !strings.Contains(string(aside), `"line":2`) || !strings.Contains(string(aside), `"line":3`) || !strings.Contains(string(aside), "theirs.parquet") || strings.Contains(string(aside), "hunter2") {
		t.Errorf("kept aside %s, %v", aside, err)
	}
}

// TestBrokenParquet wants the name of a file that cannot be read in the error, of a
// conversion and of a job.
func TestBrokenParquet(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, data []byte) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	lines := write("lines.jsonl", []byte(everyField))
	if _, err := beam.Convert([]string{lines}, filepath.Join(folder, "whole.parquet")); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(folder, "whole.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	hole := bytes.Clone(whole)
	for i := 4; i < len(hole)/2; i++ { // the pages, not the footer
		hole[i] ^= 0xff
	}
	if err := parquet.WriteFile(filepath.Join(folder, "without.parquet"), []struct {
		Kind string `parquet:"kind"`
	}{{"event"}}); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]penumbra.ErrorKind{
		write("cut.parquet", whole[:len(whole)/2]):        penumbra.Damaged,
		write("hole.parquet", hole):                       penumbra.Damaged,
		write("text.parquet", []byte(everyField)):         penumbra.Damaged,
		write("empty.parquet", nil):                       penumbra.Damaged,
		filepath.Join(folder, "without.parquet"):          penumbra.Invalid,
		filepath.Join(folder, "there-is-no-such.parquet"): penumbra.Missing,
	} {
		_, err := beam.Convert([]string{name}, filepath.Join(folder, "out.jsonl"))
		if penumbra.KindOf(err) != kind || !strings.Contains(err.Error(), filepath.Base(name)) {
			t.Errorf("%s: %v, want %v", filepath.Base(name), err, kind)
		}
	}
	m := checkpoint(t, shadow.NewPooled(shadow.Options{}))
	_, err = beam.Score(context.Background(), beam.Scoring{Files: []string{lines, filepath.Join(folder, "cut.parquet")}, Checkpoint: m, At: time.Now(), Out: t.TempDir()}, prism)
	if err == nil || !strings.Contains(err.Error(), "cut.parquet") {
		t.Errorf("a job: %v", err)
	}
}

// TestParquetInAndOut scores and trains from Parquet as from lines, and holds scores
// in Parquet to those in lines.
func TestParquetInAndOut(t *testing.T) {
	all := moving(5, 12, 90)
	files := write(t, all)
	rows := []string{filepath.Join(t.TempDir(), "a.parquet")}
	if _, err := beam.Convert(files, rows[0]); err != nil {
		t.Fatal(err)
	}
	training := beam.Training{Files: files, Shards: 2, Seed: 1}
	ofLines := trainedThere(t, training, prism)
	training.Files = rows
	if !bytes.Equal(ofLines, trainedThere(t, training, prism)) {
		t.Error("another model was trained from Parquet than from lines")
	}
	score := func(files []string, format string) (string, beam.Result) {
		folder := t.TempDir()
		result, err := beam.Score(context.Background(), beam.Scoring{
			Files: files, Checkpoint: checkpoint(t, learnt(shadow.NewPooled(shadow.Options{}), all)), Out: folder,
			At: all[len(all)-1].Time.Add(time.Hour), Shards: 2, Format: format, Top: 5,
		}, prism)
		if err != nil {
			t.Fatal(err)
		}
		return folder, result
	}
	plain, x := score(files, "")
	packed, y := score(rows, "parquet")
	if diff := cmp.Diff(x.Scores, y.Scores); diff != "" || x.Scores.Resources != 24 || len(x.Scores.Likeliest) != 5 {
		t.Errorf("-of lines +of Parquet\n%s", diff)
	}
	aside, err := os.ReadFile(x.LeftOut)
	if err != nil || !strings.Contains(string(aside), `a.jsonl","line":`) || strings.Count(string(aside), "\n") != 1 || y.LeftOut != "" {
		t.Errorf("kept aside %q, %v; of Parquet %q", aside, err, y.LeftOut)
	}
	names, err := filepath.Glob(filepath.Join(packed, "scores-*.parquet"))
	if err != nil || len(names) != 2 {
		t.Fatalf("%v, %v", names, err)
	}
	want := scores(t, plain)
	for _, name := range names {
		read, err := parquet.ReadFile[struct {
			Resource  string    `parquet:"resource"`
			Type      string    `parquet:"type"`
			Time      time.Time `parquet:"time,timestamp(nanosecond)"`
			Leave7d   float64   `parquet:"leave_7d"`
			Forecasts string    `parquet:"forecasts"`
		}](name)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range read {
			s := want[penumbra.Address(r.Resource)]
			delete(want, s.Resource)
			var forecasts []penumbra.Forecast
			if err := json.Unmarshal([]byte(r.Forecasts), &forecasts); err != nil {
				t.Fatal(err)
			}
			if s.Leave[3] != r.Leave7d || s.Type != r.Type || !s.Time.Equal(r.Time) || !reflect.DeepEqual(forecasts, s.Forecasts) {
				t.Errorf("%s: Parquet has %+v, lines %+v", r.Resource, r, s)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("Parquet lacks %d resources", len(want))
	}
}
