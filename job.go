package penumbra

import "time"

// JobKind says what a job does.
type JobKind string

// The kinds of jobs.
const (
	// CarryOutRun carries out the run with the job's ID, or ends it if it was begun
	// before.
	CarryOutRun JobKind = "carry_out_run"
	// StartScheduled starts the run of the scheduled proposal with the job's ID.
	StartScheduled JobKind = "start_scheduled"
)

// Job is work that is put off, and outlives the process that put it off. It says what
// is to be looked at, never what is to be done about it: that follows from what is
// stored by then, so that a job that is done twice does nothing the second time.
type Job struct {
	Kind JobKind
	ID   string    // of a run or a proposal
	Due  time.Time // it is not begun before; zero for at once
}
