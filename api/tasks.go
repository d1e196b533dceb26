package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

// A Tasker does work on the model that takes long, on the timelines of the store.
type Tasker interface {
	// StartTask begins a task and returns at once. It returns an error of kind Locked
	// while another runs, and of kind Invalid if the task makes no sense.
	StartTask(ctx context.Context, n penumbra.NewModelTask) (penumbra.ModelTask, error)
	// ModelTasks returns the tasks since the daemon started, the latest first.
	ModelTasks(ctx context.Context) ([]penumbra.ModelTask, error)
}

type taskList struct {
	Tasks []penumbra.ModelTask `json:"tasks"`
}

type newTask struct {
	Body struct {
		Kind     string   `json:"kind" enum:"train,report" doc:"Train candidates and keep the best as a version, or judge the model that serves."`
		Families []string `json:"families,omitempty" nullable:"false" doc:"Of a training: the families; all, or the one that the configuration fixes, without any." example:"pooled"`
		Seed     uint64   `json:"seed,omitempty" doc:"Of all that is drawn; the one that serves without it."`
		Window   float64  `json:"window,omitempty" minimum:"0" exclusiveMaximum:"1" doc:"Of a training: the share of the time span, the latest, to score on; 0.2 without it." example:"0.2"`
		Sample   uint32   `json:"sample,omitempty" doc:"Ask about one resource in so many."`
		Keep     bool     `json:"keep,omitempty" doc:"Of a training: keep the version that serves, also if the new one beats it."`
	}
}

type taskPath struct {
	ID string `path:"id" doc:"The task's id." example:"t-1"`
}

func addTasks(a huma.API, s Tasker) {
	start := func(ctx context.Context, in *newTask) (penumbra.ModelTask, error) {
		return s.StartTask(ctx, penumbra.NewModelTask{
			Kind: penumbra.ModelTaskKind(in.Body.Kind), Families: in.Body.Families, Seed: in.Body.Seed, Window: in.Body.Window, Sample: in.Body.Sample, Keep: in.Body.Keep,
		})
	}
	answer(a, route{http.MethodPost, "/v1/model/tasks", "start-model-task", "resolve",
		"Train the model, or judge it", "Starts a task on the timelines that the daemon holds, and answers at once: ask for it by its id until it has ended. One runs at a time. Tasks are known as long as the daemon runs; the version that a training has made stays.",
		exampleTask(),
	}, start)
	answer(a, route{http.MethodGet, "/v1/model/tasks", "list-model-tasks", "watch",
		"Tasks on the model", "Those since the daemon started, the latest first.",
		taskList{[]penumbra.ModelTask{exampleTask()}},
	}, func(ctx context.Context, _ *none) (taskList, error) {
		tasks, err := s.ModelTasks(ctx)
		return taskList{orEmpty(tasks)}, err
	})
	answer(a, route{http.MethodGet, "/v1/model/tasks/{id}", "get-model-task", "watch",
		"One task on the model", "How far it is, and what came of it, with the figures as the command line has them.",
		exampleTask(),
	}, func(ctx context.Context, in *taskPath) (penumbra.ModelTask, error) {
		tasks, err := s.ModelTasks(ctx)
		for i := range tasks {
			if err == nil && tasks[i].ID == in.ID {
				return tasks[i], nil
			}
		}
		return only[penumbra.ModelTask](nil, err, "task", in.ID)
	})
}

func exampleTask() penumbra.ModelTask {
	return penumbra.ModelTask{
		ID: "t-1", Asked: penumbra.NewModelTask{Kind: penumbra.TrainTask}, By: "alice", State: penumbra.TaskDone, Began: exampleTime, Ended: exampleTime,
		Sentence: "mixture is better than what serves: its log loss is lower by 0.0077.", Version: 3, Promoted: true,
	}
}

// StartTask implements [Tasker].
func (c *Client) StartTask(ctx context.Context, n penumbra.NewModelTask) (penumbra.ModelTask, error) {
	var t penumbra.ModelTask
	return t, c.call(ctx, http.MethodPost, "/v1/model/tasks", n, &t)
}

// Task returns one of the tasks.
func (c *Client) Task(ctx context.Context, id string) (penumbra.ModelTask, error) {
	var t penumbra.ModelTask
	return t, c.callOn(ctx, http.MethodGet, "task", "/v1/model/tasks/", id, "", nil, &t)
}

// ModelTasks implements [Tasker].
func (c *Client) ModelTasks(ctx context.Context) ([]penumbra.ModelTask, error) {
	var list taskList
	err := c.get(ctx, "/v1/model/tasks", nil, &list)
	return list.Tasks, err
}
