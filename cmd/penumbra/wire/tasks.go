package wire

import (
	"context"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
)

// noTasks is where no daemon runs: a verb ends before a task would.
type noTasks struct{}

var _ api.Tasker = noTasks{}

// StartTask implements [api.Tasker].
func (noTasks) StartTask(context.Context, penumbra.NewModelTask) (penumbra.ModelTask, error) {
	return penumbra.ModelTask{}, &penumbra.Error{Kind: penumbra.Refused, What: "no daemon runs that a task could go on in", Remedy: "start `penumbra serve`, or run `penumbra train` or `penumbra model report` here"}
}

// ModelTasks implements [api.Tasker].
func (noTasks) ModelTasks(context.Context) ([]penumbra.ModelTask, error) { return nil, nil }
