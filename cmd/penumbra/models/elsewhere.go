package models

import (
	"context"
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// askEvery is how often a task on another machine is asked for.
const askEvery = time.Second

// isElsewhere reports whether the daemon, and so the estate's past, is on another
// machine.
func (a *app) isElsewhere() (bool, error) {
	c, err := a.Config()
	return err == nil && c.Client.Server != "", err
}

// follow has a daemon elsewhere do a task, and shows what came of it.
func (a *app) follow(ctx context.Context, s *console.Service, n penumbra.NewModelTask) error {
	task, err := s.StartTask(ctx, n)
	if err != nil {
		return err
	}
	err = a.Waiting("task "+task.ID+" of the daemon", func() error {
		tick := time.NewTicker(askEvery)
		defer tick.Stop()
		for task.State == penumbra.TaskRunning {
			select {
			case <-ctx.Done():
				return ctx.Err() // the task goes on
			case <-tick.C:
			}
			if task, err = s.Task(ctx, task.ID); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case task.State == penumbra.TaskFailed:
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "task " + task.ID + " of the daemon failed: " + task.Error, Remedy: "see the daemon's log"}
	case a.Output == "json":
		return a.JSON(task.Figures)
	}
	fmt.Fprintln(a.Out, task.Sentence)
	switch {
	case task.Promoted:
		fmt.Fprintf(a.Out, "Version %d was promoted and serves. `penumbra model rollback` goes back.\n", task.Version)
	case task.Version != 0:
		fmt.Fprintf(a.Out, "Kept as version %d. `penumbra model promote %d` would let it serve.\n", task.Version, task.Version)
	}
	return nil
}

// asTask is what the flags ask for, of a daemon elsewhere. It returns an error of kind
// Invalid if they need files that are here.
func (f *trainFlags) asTask(files []string) (penumbra.NewModelTask, error) {
	if len(files)+len(f.git) > 0 || f.file != "" || !f.store {
		return penumbra.NewModelTask{}, &penumbra.Error{Kind: penumbra.Invalid, What: "a daemon elsewhere trains on its own timelines alone", Remedy: "leave histories, --git, --file and --store=false away, or train on the daemon's machine"}
	}
	return penumbra.NewModelTask{Kind: penumbra.TrainTask, Families: f.models, Seed: f.seed, Window: f.window, Sample: f.sample, Keep: f.keep}, f.check()
}
