package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/remediation"
)

// jobs is a queue in memory on the clock of the test: what is due is done at once, what
// is not when the test says that it may be by now. It forgets with the process, so that
// what an engine finds at its start is what the store has.
type jobs struct {
	now func() time.Time

	mu      sync.Mutex
	do      func(context.Context, penumbra.Job) (time.Time, error)
	waiting []penumbra.Job
	stopped bool
	full    bool // nothing can be put in
	working sync.WaitGroup
}

func (q *jobs) Add(_ context.Context, job penumbra.Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.full {
		return &penumbra.Error{Kind: penumbra.Full, What: "put in a job"}
	}
	if !slices.ContainsFunc(q.waiting, func(x penumbra.Job) bool { return x.ID == job.ID }) {
		q.waiting = append(q.waiting, job)
	}
	q.begin()
	return nil
}

// begin begins what is due. q.mu is held.
func (q *jobs) begin() {
	if q.do == nil || q.stopped {
		return
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(job penumbra.Job) bool {
		if q.now().Before(job.Due) {
			return false
		}
		q.working.Go(func() {
			again, err := q.do(context.Background(), job)
			if err != nil { // a person's next step, or the next start, tries again
				return
			}
			if !again.IsZero() {
				job.Due = again
				q.mu.Lock()
				defer q.mu.Unlock()
				q.waiting = append(q.waiting, job)
			}
		})
		return true
	})
}

// due has all done that is due by now.
func (q *jobs) due() {
	q.mu.Lock()
	q.begin()
	q.mu.Unlock()
	q.working.Wait()
}

func (q *jobs) Start(_ context.Context, do func(context.Context, penumbra.Job) (time.Time, error)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.do = do
	q.begin()
	return nil
}

func (q *jobs) Stop(context.Context) error {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.working.Wait()
	return nil
}

// TestRunWithoutAJob shows that a run whose job was never put in, or was lost, is
// carried out at the next start if that is soon, and otherwise ended for its people to
// approve again; it is ended too if it may not start any more.
func TestRunWithoutAJob(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		meanwhile func(o *office)
		state     penumbra.RunState
		applied   int
	}{
		"soon": {func(o *office) { o.advance(time.Minute) }, penumbra.Done, 1},
		"late": {func(o *office) { o.advance(time.Hour) }, penumbra.Failed, 0},
		"frozen": {func(o *office) {
			o.freezes = []penumbra.Freeze{{ID: "f-1", By: "olga", Reason: "the sale", From: day0}}
		}, penumbra.Failed, 0},
		"resolved": {func(o *office) { o.drift(1) }, penumbra.Failed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			o.jobs.full = true
			a := o.approve(o.revert(), "alice")
			if run := o.run(a.Run.ID); run.State != penumbra.Planned {
				t.Fatalf("the run is %s, and no job was put in", run.State)
			}
			x.meanwhile(o)
			o.stop()
			o.start()
			run := o.run(a.Run.ID)
			if run.State != x.state {
				t.Errorf("the run is %s (%s), want %s", run.State, run.Outcome, x.state)
			}
			o.wantApplied(x.applied)
		})
	}
}

// TestHaltedTakenBack shows that a run that was halted says who has taken it back, and
// stays halted.
func TestHaltedTakenBack(t *testing.T) {
	t.Parallel()
	unread := true
	o := newOffice(t, func(o *office) {
		o.machine = func(m *remediation.Machine) {
			verify := m.Verify
			m.Verify = func(ctx context.Context, run penumbra.Run, p penumbra.Proposal) ([]penumbra.Finding, error) {
				if unread {
					return nil, errors.New("the provider answers with 500")
				}
				return verify(ctx, run, p)
			}
		}
	})
	halted := o.run(o.approve(o.revert(), "alice").Run.ID)
	if halted.State != penumbra.Halted || halted.UndoneBy != "" {
		t.Fatalf("the run is %s, taken back by %q", halted.State, halted.UndoneBy)
	}
	unread = false
	p, err := o.engine.Rollback(t.Context(), halted.ID, "bob")
	if err != nil {
		t.Fatal(err)
	}
	back := o.run(o.approve(p, "bob").Run.ID)
	if now := o.run(halted.ID); back.State != penumbra.Done || now.State != penumbra.Halted || now.UndoneBy != back.ID {
		t.Errorf("the way back %s is %s, and the run %s, taken back by %q", back.ID, back.State, now.State, now.UndoneBy)
	}
	if _, err := o.engine.Rollback(t.Context(), halted.ID, "bob"); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("it is taken back a second time: %v", err)
	}
}
