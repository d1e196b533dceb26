package models

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// mostTasks bounds the tasks that are remembered.
const mostTasks = 20

// Tasks does the work on the model that a daemon is asked for, one task at a time, with
// what the verbs train and judge with. It is safe for concurrent use.
type Tasks struct {
	app   *app
	s     api.Modeller
	o     wire.Options
	queue chan string

	mu    sync.Mutex
	made  int
	tasks []penumbra.ModelTask // the latest first
}

var _ api.Tasker = (*Tasks)(nil)

// NewTasks returns the tasks of a daemon, which [Tasks.Run] does.
func NewTasks(on *console.Console, s api.Modeller, o wire.Options) *Tasks {
	quiet := new(*on)
	quiet.Output, quiet.Out, quiet.Err = "json", io.Discard, io.Discard // no bar
	return &Tasks{app: &app{quiet}, s: s, o: o, queue: make(chan string, 1)}
}

// StartTask implements [api.Tasker].
func (t *Tasks) StartTask(ctx context.Context, n penumbra.NewModelTask) (penumbra.ModelTask, error) {
	if _, err := flagsOf(&n, ""); err != nil {
		return penumbra.ModelTask{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.tasks) > 0 && t.tasks[0].State == penumbra.TaskRunning {
		return penumbra.ModelTask{}, &penumbra.Error{Kind: penumbra.Locked, What: "task " + t.tasks[0].ID + " on the model runs", Remedy: "wait until it has ended"}
	}
	t.made++
	task := penumbra.ModelTask{ID: "t-" + strconv.Itoa(t.made), Asked: n, State: penumbra.TaskRunning, Began: t.o.Clock()().UTC()}
	if p := penumbra.PrincipalOf(ctx); p != nil {
		task.By = p.Name
	}
	t.tasks = slices.Insert(t.tasks, 0, task)
	t.tasks = t.tasks[:min(mostTasks, len(t.tasks))]
	t.queue <- task.ID // there is room: no other runs
	return task, nil
}

// ModelTasks implements [api.Tasker].
func (t *Tasks) ModelTasks(context.Context) ([]penumbra.ModelTask, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.tasks), nil
}

// Run does what is asked for until ctx ends, which also ends what is at work: a training
// changes nothing before it is through.
func (t *Tasks) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.queue:
		}
		t.mu.Lock()
		task := t.tasks[0] // the only one that runs
		t.mu.Unlock()
		err := t.do(ctx, &task)
		task.State, task.Ended = penumbra.TaskDone, t.o.Clock()().UTC()
		if err != nil {
			task.State, task.Error = penumbra.TaskFailed, penumbra.Redact(err.Error())
			t.o.Log.Warn("a task on the model failed", "task", task.ID, "error", err)
		}
		t.mu.Lock()
		t.tasks[0] = task
		t.mu.Unlock()
	}
}

// flagsOf are the flags of the verb that does the same.
func flagsOf(n *penumbra.NewModelTask, by string) (*trainFlags, error) {
	f := &trainFlags{models: n.Families, store: true, seed: n.Seed, window: n.Window, sample: n.Sample, keep: n.Keep, by: by}
	if f.seed == 0 {
		f.seed = wire.ServedSeed
	}
	if f.window == 0 {
		f.window = servedWindow
	}
	if n.Kind != penumbra.TrainTask && n.Kind != penumbra.ReportTask {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("a task of the kind %q", n.Kind), Remedy: "use train or report"}
	}
	return f, f.check()
}

// do does a task and notes what came of it.
func (t *Tasks) do(ctx context.Context, task *penumbra.ModelTask) error {
	f, err := flagsOf(&task.Asked, task.By)
	if err != nil {
		return err
	}
	var figures any
	if task.Asked.Kind == penumbra.ReportTask {
		r, err := t.app.judged(ctx, t.s, backtest.Options{Seed: f.seed, Bootstrap: reportDraws, Sample: f.sample})
		if err != nil {
			return err
		}
		figures, task.Sentence = r, knows(r)
	} else {
		made, err := t.app.train(ctx, t.s, f, nil)
		if err != nil {
			return err
		}
		figures, task.Sentence, task.Promoted = made, made.Sentence, made.Promoted
		if made.Version != nil {
			task.Version = made.Version.Number
		}
	}
	task.Figures, err = json.Marshal(figures)
	return err
}

// knows says whether the model knows anything.
func knows(r *modelReport) string {
	if r.Known {
		return "The model that serves knows more than how often settings change at all."
	}
	return "The model that serves knows no more than how often settings change at all."
}
