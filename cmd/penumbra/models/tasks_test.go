package models

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// TestTasks asks a daemon's loop on a store of its own to judge and to train, and
// follows both to their ends.
func TestTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "penumbra.yaml")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(file, []byte("model: pooled\n"), 0o600))
	on := &console.Console{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Output: "human", Version: "test", ConfigName: file}
	c, err := on.Config()
	check(err)
	o := wire.Options{Log: slog.New(slog.DiscardHandler), Version: "test"}
	loop, err := wire.Open(t.Context(), c, o)
	check(err)
	defer func() { check(loop.Close(context.WithoutCancel(t.Context()))) }()
	ctx := penumbra.WithPrincipal(t.Context(), &penumbra.Principal{ID: "user:ann", Name: "ann", Kind: penumbra.PersonPrincipal, Grants: []penumbra.Grant{{Role: penumbra.Admin}}})

	if _, err := loop.Service().StartTask(ctx, penumbra.NewModelTask{Kind: penumbra.TrainTask}); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("where no daemon runs: %v", err)
	}
	tasks := NewTasks(on, loop.Unguarded(), o)
	loop.Tasks = tasks
	s := loop.Service()
	running, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	began := func(n penumbra.NewModelTask) penumbra.ModelTask {
		t.Helper()
		task, err := s.StartTask(ctx, n)
		check(err)
		return task
	}
	ended := func(id string) penumbra.ModelTask {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			list, err := s.ModelTasks(ctx)
			check(err)
			if list[0].ID == id && list[0].State != penumbra.TaskRunning {
				return list[0]
			}
		}
		t.Fatalf("task %s has not ended", id)
		return penumbra.ModelTask{}
	}
	for _, n := range []penumbra.NewModelTask{{}, {Kind: "dance"}, {Kind: penumbra.TrainTask, Families: []string{"oracle"}}, {Kind: penumbra.TrainTask, Window: 2}} {
		if _, err := s.StartTask(ctx, n); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%+v: %v", n, err)
		}
	}
	first := began(penumbra.NewModelTask{Kind: penumbra.TrainTask, Families: []string{"bayes"}, Seed: 7})
	if first.By != "ann" || first.State != penumbra.TaskRunning {
		t.Errorf("it begins as %+v", first)
	}
	if _, err := s.StartTask(ctx, penumbra.NewModelTask{Kind: penumbra.ReportTask}); penumbra.KindOf(err) != penumbra.Locked {
		t.Errorf("a second task beside the first: %v", err)
	}
	go func() { over <- tasks.Run(running) }()
	if got := ended(first.ID); got.State != penumbra.TaskDone || !strings.Contains(got.Sentence, "no past of your own yet") || got.Ended.IsZero() {
		t.Errorf("a training without a past: %+v", got)
	}

	// With a past there are figures.
	_, err = loop.Unguarded().Ingest(ctx, strings.NewReader(past()), "test")
	check(err)
	got := ended(began(penumbra.NewModelTask{Kind: penumbra.ReportTask, Sample: 1}).ID)
	var figures struct {
		Model  penumbra.ModelStatus `json:"model"`
		Report map[string]any       `json:"report"`
	}
	if got.State == penumbra.TaskDone {
		check(json.Unmarshal(got.Figures, &figures))
	}
	if got.State != penumbra.TaskDone || figures.Model.Family != "pooled" || len(figures.Report) == 0 || !strings.HasPrefix(got.Sentence, "The model that serves knows") {
		t.Errorf("a report: %+v", got)
	}

	// What is at work ends with the daemon.
	stop()
	check(<-over)
}

// past is a history of a year in which settings change now and then.
func past() string {
	var b strings.Builder
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := range 360 {
		for n := range 3 {
			value := "a"
			if day%(17+n) > 14 {
				value = "b"
			}
			line, _ := json.Marshal(map[string]any{
				"kind": "snapshot", "time": begin.AddDate(0, 0, day).Add(time.Duration(n) * time.Minute), "resource": "shop/vm." + string(rune('a'+n)), "type": "vm", "source": "test", "settings": map[string]any{"size": value, "zone": "x"},
			})
			b.Write(append(line, '\n'))
		}
	}
	return b.String()
}
