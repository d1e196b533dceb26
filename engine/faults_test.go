package engine_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/remediation"
)

// How tools fail in a run.
const (
	none         = "nothing"
	planLocked   = "the plan is locked"
	planFails    = "the plan fails"
	worldMoves   = "the world moves before the run"
	applyLocked  = "the apply is locked"
	applyFails   = "the apply fails at once"
	applyHalf    = "the apply fails half-way"
	applyLate    = "the apply fails when all is done"
	applyHangs   = "the apply hangs half-way"
	readFails    = "the world cannot be read after the apply"
	rival        = "somebody sets the value again"
	journalFull  = "the store is full once"
	halfWay      = 99 // the size that half an apply leaves
	usualPoints  = 36 // of a run at which a kill is drawn from; those beyond kill nothing
	startPoints  = 8  // of a start after a kill
	faultWorlds  = 16
	runsPerWorld = 20
)

var toolFaults = []string{none, none, none, none, none, none, none, none, planLocked, planFails, worldMoves, applyLocked, applyFails, applyHalf, applyLate, applyHangs, readFails, rival, journalFull}

// mishap is a process that may be killed at each step to a store or a tool, and
// tools that fail. What it does to the world, and what the store has acknowledged,
// it remembers across kills.
type mishap struct {
	*office
	random *rand.Rand
	kept   engine.Store // of the process that lives
	hands  *hands       // and its queue

	guard  sync.Mutex
	fault  string
	full   int    // saves of a run until one fails, 0 for none
	kill   int    // points until the process is killed, 0 for never
	sure   bool   // no kill while it starts
	dead   bool   // nothing gets through any more
	killed string // where
	points int

	attempts map[string]int            // applies, by run
	changed  map[string]bool           // whether the tool changed the world, by run
	runs     map[string]penumbra.Run   // acknowledged
	decided  map[string]bool           // decisions acknowledged
	stored   int64                     // observations acknowledged
	wants    map[string]penumbra.Value // what a run that is done has promised, by run
	held     map[string]bool           // runs that were looked at when they were the last
	counts   map[string]int
}

// point is where the process may be killed: the goroutine that comes by ends, with
// all that it would have done.
func (m *mishap) point(where string) {
	m.guard.Lock()
	m.points++
	if m.kill > 0 && !m.dead {
		if m.kill--; m.kill == 0 {
			m.dead, m.killed = true, where
		}
	}
	dead := m.dead
	m.guard.Unlock()
	if dead {
		runtime.Goexit()
	}
}

// live lets the process do something, and reports whether it is alive afterwards.
func (m *mishap) live(do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
	m.guard.Lock()
	defer m.guard.Unlock()
	return !m.dead
}

// mortal is the store as a process that can be killed sees it.
type mortal struct {
	engine.Store
	m *mishap
}

func (s mortal) write(what string, do, acknowledged func() error) error {
	s.m.point("before " + what)
	err := do()
	if err == nil && acknowledged != nil {
		s.m.guard.Lock()
		err = acknowledged()
		s.m.guard.Unlock()
	}
	s.m.point("after " + what)
	return err
}

func (s mortal) SaveRun(ctx context.Context, run penumbra.Run) error {
	s.m.guard.Lock()
	if s.m.full > 0 {
		if s.m.full--; s.m.full == 0 {
			s.m.guard.Unlock()
			return &penumbra.Error{Kind: penumbra.Full, What: "save run " + run.ID, Remedy: "make room"}
		}
	}
	s.m.guard.Unlock()
	return s.write("saving a run "+run.State.String(), func() error { return s.Store.SaveRun(ctx, run) }, func() error { s.m.runs[run.ID] = run; return nil })
}

func (s mortal) Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error {
	return s.write("deciding", func() error { return s.Store.Decide(ctx, d, p, run) }, func() error {
		s.m.decided[d.ID] = true
		if run != nil {
			s.m.runs[run.ID] = *run
		}
		return nil
	})
}

func (s mortal) Append(ctx context.Context, list []penumbra.Observation) (added []penumbra.Observation, err error) {
	err = s.write("appending", func() (err error) {
		added, err = s.Store.Append(ctx, list)
		return err
	}, func() (err error) {
		s.m.stored, err = s.Sequence(ctx)
		return err
	})
	return added, err
}

func (s mortal) SaveProposals(ctx context.Context, list []penumbra.Proposal) error {
	return s.write("saving proposals", func() error { return s.Store.SaveProposals(ctx, list) }, nil)
}

func (s mortal) SaveDrifts(ctx context.Context, list []penumbra.Drift) error {
	return s.write("saving drifts", func() error { return s.Store.SaveDrifts(ctx, list) }, nil)
}

// Replan plans against the world as it is, or fails.
func (m *mishap) Replan(ctx context.Context, plan penumbra.Plan, patch *penumbra.Patch) (penumbra.Plan, error) {
	m.point("in the plan")
	switch m.fault {
	case planLocked:
		return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Locked, What: "plan", Remedy: "wait for who holds the lock"}
	case planFails:
		return penumbra.Plan{}, fmt.Errorf("the tool exits with 1")
	}
	return m.office.Replan(ctx, plan, patch)
}

// Apply changes the world: all of it, half of it or nothing, as the fault will have
// it.
func (m *mishap) Apply(ctx context.Context, plan penumbra.Plan, log io.Writer) error {
	id := m.applying(plan)
	m.guard.Lock()
	m.attempts[id]++
	m.guard.Unlock()
	m.point("before the apply")
	fmt.Fprintln(log, "applying", plan.Hash)
	set := func(size penumbra.Value) {
		m.mu.Lock()
		m.world["vm.a"] = m.sized(size)
		m.mu.Unlock()
		m.guard.Lock()
		m.changed[id] = true
		m.guard.Unlock()
	}
	switch m.fault {
	case applyLocked:
		return &penumbra.Error{Kind: penumbra.Locked, What: "apply", Remedy: "wait for who holds the lock"}
	case applyFails:
		return fmt.Errorf("the tool cannot be started")
	}
	set(penumbra.Number(halfWay))
	m.point("half-way through the apply")
	switch m.fault {
	case applyHalf:
		return fmt.Errorf("the provider answers with 500")
	case applyHangs:
		<-ctx.Done()
		return ctx.Err()
	}
	set(wanted(plan))
	m.mu.Lock()
	switch m.fault {
	case rival:
		m.world["vm.a"] = m.sized(penumbra.Number(7))
	case readFails:
		m.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "read shop"}
	}
	m.mu.Unlock()
	m.point("after the apply")
	if m.fault == applyLate {
		return fmt.Errorf("the connection is lost")
	}
	return nil
}

// applying is the run that applies a plan, by what is stored.
func (m *mishap) applying(plan penumbra.Plan) string {
	unended, err := m.kept.Runs(context.Background(), penumbra.RunQuery{Unended: true})
	if err != nil || len(unended) != 1 || unended[0].State != penumbra.Applying {
		m.t.Errorf("plan %s is applied while the runs under way are %+v, %v", plan.Hash, unended, err)
		return ""
	}
	m.guard.Lock()
	defer m.guard.Unlock()
	m.wants[unended[0].ID] = wanted(plan)
	return unended[0].ID
}

func newMishap(t *testing.T, seed uint64, changes ...func(*office)) *mishap {
	m := &mishap{
		random: rand.New(rand.NewPCG(seed, 17)), attempts: map[string]int{}, changed: map[string]bool{}, runs: map[string]penumbra.Run{},
		decided: map[string]bool{}, held: map[string]bool{}, wants: map[string]penumbra.Value{}, counts: map[string]int{},
	}
	newOffice(t, append(changes, func(o *office) {
		m.office = o
		o.policy.automatic = seed%2 == 1
		also := o.also
		o.also = func(cfg *engine.Config) {
			if also != nil {
				also(cfg)
			}
			m.kept = cfg.Store
			m.employ(cfg)
			cfg.Store = mortal{cfg.Store, m}
		}
		o.machine = func(x *remediation.Machine) {
			x.Workspace, x.Watch = m, 10*time.Minute
			if m.fault == applyHangs {
				x.WorkTimeout = time.Millisecond
			}
		}
	})...)
	m.fault = none
	return m
}

// revive starts the process again after kills, as often as it takes.
func (m *mishap) revive() {
	for {
		// What is left of it must not note anything any more when it is alive again.
		if err := m.kept.Close(); err != nil {
			m.t.Error(err)
		}
		m.hands.bury()
		m.guard.Lock()
		m.dead, m.full, m.kill = false, 0, 0
		if m.random.IntN(4) == 0 {
			m.kill = 1 + m.random.IntN(startPoints)
		}
		m.guard.Unlock()
		if m.sure {
			m.kill = 0
		}
		m.mu.Lock()
		if m.fault != readFails || m.random.IntN(2) == 0 {
			m.err = nil
		}
		m.mu.Unlock()
		if m.live(func() {
			m.start()
			m.hands.await()
		}) {
			break
		}
		m.counts["killed while starting"]++
	}
	m.guard.Lock()
	m.kill = 0
	m.guard.Unlock()
}

// try lets the process do something in which tools fail and it is killed, both at
// random, and brings it back.
func (m *mishap) try(do func()) {
	m.guard.Lock()
	m.fault, m.killed, m.points = toolFaults[m.random.IntN(len(toolFaults))], "", 0
	if m.fault == journalFull {
		m.full = 1 + m.random.IntN(4)
	}
	if m.random.IntN(3) > 0 {
		m.kill = 1 + m.random.IntN(usualPoints)
	}
	m.guard.Unlock()
	if m.fault == applyHangs { // its limit is the process's
		m.stop()
		m.start()
	}
	alive := m.live(func() {
		do()
		m.engine.Wait()
	})
	if !alive {
		m.counts["killed"]++
	}
	unended, err := m.store.Runs(context.Background(), penumbra.RunQuery{Unended: true})
	if err != nil {
		m.t.Fatal(err)
	}
	// A run whose end could not be recorded is ended at the next start too.
	if !alive || len(unended) > 0 || m.fault == applyHangs {
		m.revive()
	}
	m.mu.Lock()
	m.err = nil
	m.mu.Unlock()
	m.guard.Lock()
	m.full, m.kill = 0, 0
	m.guard.Unlock()
}

// hold holds what is stored against what was acknowledged and what became of the
// world.
func (m *mishap) hold() {
	t := m.t
	t.Helper()
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("with %q, killed %q: "+format+"\n%s", slices.Concat([]any{m.fault, m.killed}, args, []any{m.log.String()})...)
	}
	runs, err := m.store.Runs(t.Context(), penumbra.RunQuery{})
	if err != nil {
		t.Fatal(err)
	}
	byID, byDecision := map[string]penumbra.Run{}, map[string]string{}
	for _, r := range runs {
		byID[r.ID] = r
		if other, twice := byDecision[r.Decision]; twice {
			wrong("decision %s has the runs %s and %s", r.Decision, r.ID, other)
		}
		byDecision[r.Decision] = r.ID
		if m.attempts[r.ID] > 1 {
			wrong("run %s applied %d times", r.ID, m.attempts[r.ID])
		}
		switch {
		case !r.State.Ended():
			wrong("run %s is left %s", r.ID, r.State)
		case r.State == penumbra.Failed && m.changed[r.ID]:
			wrong("run %s says that nothing was changed: %s", r.ID, r.Outcome)
		case r.State == penumbra.Failed && !strings.Contains(r.Outcome, "nothing was changed"),
			r.State == penumbra.Halted && !strings.Contains(r.Outcome, "a person must look"),
			r.State == penumbra.Done && !strings.Contains(r.Outcome, "verified"):
			wrong("run %s is %s and says %q", r.ID, r.State, r.Outcome)
		}
	}
	for id, r := range m.runs {
		now, there := byID[id]
		if !there || len(now.Steps) < len(r.Steps) || !slices.Equal(now.Steps[:len(r.Steps)], r.Steps) {
			wrong("run %s was recorded with %+v, and is %+v", id, r.Steps, now.Steps)
		}
	}
	decisions, err := m.store.Decisions(t.Context(), penumbra.DecisionQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for id := range m.decided {
		if !slices.ContainsFunc(decisions, func(d penumbra.Decision) bool { return d.ID == id }) {
			wrong("decision %s is lost", id)
		}
	}
	if n, err := m.store.Sequence(t.Context()); err != nil || n < m.stored {
		wrong("%d of %d observations are left, %v", n, m.stored, err)
	}
	if last := runs[0]; !m.held[last.ID] {
		m.held[last.ID] = true
		m.holdLast(last, byID, wrong)
	}
}

// holdLast looks at the run that started last.
func (m *mishap) holdLast(last penumbra.Run, byID map[string]penumbra.Run, wrong func(string, ...any)) {
	p, err := m.engine.Proposal(m.t.Context(), last.Proposal)
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	size := m.world["vm.a"].Get("size")
	m.mu.Unlock()
	switch {
	case last.State == penumbra.Done && m.attempts[last.ID] == 1 && size != m.wants[last.ID]:
		wrong("run %s is verified, and the size is %s, not %s", last.ID, size, m.wants[last.ID])
	case last.State == penumbra.Failed && p.State == penumbra.Approved && !m.proposed(&p):
		wrong("run %s failed, and nothing like its proposal can be approved", last.ID)
	case last.State == penumbra.Done && p.Undoes != "" && (byID[p.Undoes].State != penumbra.RolledBack && byID[p.Undoes].State != penumbra.Halted || byID[p.Undoes].UndoneBy != last.ID):
		wrong("run %s has taken back %s, which is %s, by %q", last.ID, p.Undoes, byID[p.Undoes].State, byID[p.Undoes].UndoneBy)
	}
}

// proposed reports whether there is an open proposal to do the same.
func (m *mishap) proposed(p *penumbra.Proposal) bool {
	open, err := m.store.Proposals(m.t.Context(), penumbra.ProposalQuery{Drift: p.Drift, States: []penumbra.ProposalStatus{penumbra.Proposed}})
	if err != nil {
		m.t.Fatal(err)
	}
	return slices.ContainsFunc(open, func(x penumbra.Proposal) bool { return x.Kind == p.Kind })
}
