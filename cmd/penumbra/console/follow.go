package console

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Follow waits for a run to end, and shows what its tools write meanwhile.
func (a *Console) Follow(ctx context.Context, s *Service, run penumbra.Run, limit time.Duration) (penumbra.Run, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	state, shown := run.State, ""
	a.progress("run %s: %s", run.ID, state)
	for !run.State.Ended() {
		select {
		case <-ctx.Done():
			return run, &penumbra.Error{Kind: penumbra.Unavailable, What: "not waiting any longer; the run goes on", Remedy: "see `penumbra run show " + run.ID + "`"}
		case <-deadline.C:
			return run, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("run %s has not ended after %s; it goes on", run.ID, limit), Remedy: "see `penumbra run show " + run.ID + "`"}
		case <-tick.C:
		}
		runs, err := s.Runs(ctx, penumbra.RunQuery{ID: run.ID})
		if err != nil {
			return run, err
		}
		run = runs[0]
		if run.State != state {
			state = run.State
			a.progress("run %s: %s", run.ID, state)
		}
		if more, goesOn := strings.CutPrefix(run.Log, shown); goesOn && more != "" {
			a.progress("%s", a.Paint(Faint, strings.TrimRight(more, "\n")))
			shown = run.Log
		}
	}
	return run, nil
}

func (a *Console) progress(format string, args ...any) {
	if a.Output == "human" {
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
}
