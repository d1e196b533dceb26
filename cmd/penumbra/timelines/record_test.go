package timelines

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func TestValuesBecomeLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	value := func(resource penumbra.Address, metric string, second int, worse penumbra.Direction, value float64) penumbra.MetricValue {
		return penumbra.MetricValue{Resource: resource, Metric: metric, Worse: worse, Time: at.Add(time.Duration(second) * time.Second), Value: value}
	}
	r := &recording{types: map[penumbra.Address]string{"shop/db.a": "db"}, newest: map[penumbra.Address]time.Time{}}
	lines, err := encoded(r.observed([]penumbra.MetricValue{
		value("shop/db.b", "queue", 2, penumbra.Either, 2.5), value("shop/db.a", "latency", 1, penumbra.Up, .5), value("shop/db.a", "cpu", 1, penumbra.Up, .25),
		value("shop/db.a", "cpu", 2, penumbra.Up, .5),
	}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"metric","time":"2026-03-01T09:00:01Z","resource":"shop/db.a","type":"db","source":"live","metrics":{"cpu":0.25,"latency":0.5},"worse":{"cpu":"up","latency":"up"}}
{"kind":"metric","time":"2026-03-01T09:00:02Z","resource":"shop/db.b","source":"live","metrics":{"queue":2.5},"worse":{"queue":"either"}}
{"kind":"metric","time":"2026-03-01T09:00:02Z","resource":"shop/db.a","type":"db","source":"live","metrics":{"cpu":0.5},"worse":{"cpu":"up"}}
`
	if d := cmp.Diff(sorted(want), sorted(string(lines))); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	gaps := r.gaps([]penumbra.RecordingGap{{Resource: "shop/db.a", Values: 7, From: at, To: at.Add(time.Second)}})
	if len(gaps) != 1 || r.missed != 7 || !gaps[0].Time.Equal(at) || gaps[0].Resource != "shop/db.a" || !strings.Contains(gaps[0].Message, "7 values") {
		t.Errorf("what is missing is told as %+v, %d values", gaps, r.missed)
	}
}

// restarted is a daemon that is started again after the first page of values.
type restarted struct {
	api.Service
	recordings int
}

func (d *restarted) Reach(context.Context, penumbra.Act) error { return nil }

func (d *restarted) StartRecording(context.Context) (string, error) {
	d.recordings++
	return fmt.Sprint("v-", d.recordings), nil
}

func (d *restarted) RecordedValues(_ context.Context, id string, after int64) (penumbra.RecordedValues, error) {
	at := time.Date(2026, 3, 1, 9, d.recordings, int(after), 0, time.UTC)
	switch {
	case id != fmt.Sprint("v-", d.recordings):
		return penumbra.RecordedValues{}, &penumbra.Error{Kind: penumbra.NotFound, What: "no recording " + id}
	case after > 0:
		d.recordings = 10
		return penumbra.RecordedValues{}, &penumbra.Error{Kind: penumbra.NotFound, What: "no recording " + id}
	}
	return penumbra.RecordedValues{Page: after + 1, Values: []penumbra.MetricValue{{Resource: "shop/db.a", Metric: "cpu", Time: at, Value: 1}}}, nil
}

func TestRecordingGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "lab.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	daemon := &restarted{}
	const token = "of the test"
	r := &recording{
		Service: &console.Service{Client: api.InProcess(api.Handler(daemon, access.New(access.Config{Local: access.Owner("test"), LocalSecret: token}), "test"), token)}, file: file,
		to: time.Date(2026, 3, 1, 9, 20, 0, 0, time.UTC), newest: map[penumbra.Address]time.Time{},
	}
	if r.id, err = r.StartRecording(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 { // a page, the restart, a page
		if err := r.takeValues(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"metric","time":"2026-03-01T09:01:00Z","resource":"shop/db.a","source":"live","metrics":{"cpu":1},"worse":{"cpu":"either"}}
{"kind":"event","time":"2026-03-01T09:01:00Z","resource":"shop/db.a","source":"penumbra","actor_kind":"system","action":"penumbra.missed","message":"values of its metrics from 2026-03-01T09:01:00Z to 2026-03-01T09:20:00Z are missing: the daemon was started again or was not asked for too long"}
{"kind":"metric","time":"2026-03-01T09:11:00Z","resource":"shop/db.a","source":"live","metrics":{"cpu":1},"worse":{"cpu":"either"}}
`
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func sorted(lines string) []string { return slices.Sorted(strings.Lines(lines)) }
