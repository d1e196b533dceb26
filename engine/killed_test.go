package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestRunsAmongFaults kills the process at any step of runs while tools fail. No
// decision is applied twice, no record is lost, and each run is verified, rolled
// back, failed without having changed anything, or halted for a person.
func TestRunsAmongFaults(t *testing.T) {
	t.Parallel()
	var sum sync.Mutex
	counts, where := map[string]int{}, map[string]int{}
	t.Run("worlds", func(t *testing.T) {
		for seed := range uint64(faultWorlds) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				m := newMishap(t, seed)
				killed := m.life()
				sum.Lock()
				defer sum.Unlock()
				for what, n := range m.counts {
					counts[what] += n
				}
				for what, n := range killed {
					where[what] += n
				}
			})
		}
	})
	total := 0
	for _, state := range []penumbra.RunState{penumbra.Done, penumbra.RolledBack, penumbra.Failed, penumbra.Halted} {
		total += counts[state.String()]
	}
	t.Logf("%d runs: %v; killed at %d places: %v", total, counts, len(where), where)
	if total < 200 {
		t.Errorf("%d runs, want 200 at least", total)
	}
	for _, what := range []string{"done", "rolled back", "failed", "halted", "killed", "killed while starting"} {
		if counts[what] == 0 {
			t.Errorf("nothing was %s: the faults do not reach far enough", what)
		}
	}
}

// life has vm.a drift and be brought back, and some of that be taken back, again
// and again. It returns where the process was killed, and how often.
func (m *mishap) life() map[string]int {
	killed := map[string]int{}
	act := func(do func()) {
		m.try(do)
		if m.killed != "" {
			killed[m.killed]++
		}
		if len(m.runs) > 0 {
			m.hold()
		}
	}
	for i := range runsPerWorld {
		m.advance(time.Hour)
		m.fault = none
		m.office.drift(2 + i%3)
		act(func() {
			d := m.drifts()
			if len(d) == 0 {
				return
			}
			list, _, err := m.engine.Proposals(m.t.Context(), d[0].ID)
			if err != nil || len(list) == 0 {
				return
			}
			if m.fault == worldMoves {
				m.mu.Lock()
				m.world["vm.a"] = m.sized(penumbra.Number(5))
				m.mu.Unlock()
			}
			if m.policy.automatic && i%4 != 0 {
				_ = m.engine.Due(m.t.Context())
				return
			}
			for _, p := range list {
				if p.Kind == penumbra.Revert {
					_, _ = m.engine.Approve(m.t.Context(), p.ID, p.Hash, "alice") // it may be refused
				}
			}
		})
		runs, err := m.store.Runs(m.t.Context(), penumbra.RunQuery{Limit: 1})
		if err != nil {
			m.t.Fatal(err)
		}
		if len(runs) > 0 && runs[0].State == penumbra.Done && runs[0].Kind != penumbra.Restore && m.random.IntN(2) == 0 {
			m.fault = none
			act(func() {
				p, err := m.engine.Rollback(m.t.Context(), runs[0].ID, "bob")
				if err == nil {
					_, _ = m.engine.Approve(m.t.Context(), p.ID, p.Hash, "bob")
				}
			})
		}
		// Somebody looks after what is left.
		m.fault = none
		m.office.drift(1)
	}
	runs, err := m.store.Runs(m.t.Context(), penumbra.RunQuery{})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, r := range runs {
		m.counts[r.State.String()]++
	}
	for _, n := range m.attempts {
		m.counts["applies"] += n
	}
	m.stop()
	return killed
}

// everywhere is some of where a run can be killed.
var everywhere = []string{
	"before saving a run checking", "in the plan", "before saving a run applying", "after saving a run applying", "before the apply",
	"half-way through the apply", "after the apply", "before saving a run verifying", "before saving a run done", "after saving a run done",
	"before deciding", "after deciding",
}

// TestKilledAtEachStep kills the process at every step of a run, of a way back from
// one, and of a rollback by policy of a run that hurt, one after the other.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	approve := func(m *mishap, p penumbra.Proposal, err error) {
		if err == nil {
			_, _ = m.engine.Approve(m.t.Context(), p.ID, p.Hash, "alice")
		}
	}
	acts := map[string]func(m *mishap, run func() penumbra.Run) func(){
		"a run": func(m *mishap, _ func() penumbra.Run) func() {
			return func() {
				list, _, err := m.engine.Proposals(m.t.Context(), m.drifts()[0].ID)
				if err == nil {
					approve(m, list[0], nil)
				}
			}
		},
		"a way back": func(m *mishap, run func() penumbra.Run) func() {
			r := run()
			return func() {
				p, err := m.engine.Rollback(m.t.Context(), r.ID, "bob")
				approve(m, p, err)
			}
		},
		"a rollback by policy": func(m *mishap, run func() penumbra.Run) func() {
			m.latency(time.Hour, 0.01)
			run()
			m.latency(2*time.Minute, 1)
			m.policy.rollsBack = true
			return func() { _ = m.engine.Due(m.t.Context()) }
		},
	}
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counts, where, again := map[string]int{}, map[string]bool{}, 5
			for kill := 1; ; kill++ {
				m := newMishap(t, 2, watched)
				m.sure = true
				do := act(m, func() penumbra.Run {
					r := m.approve(m.revert(), "alice").Run
					return m.run(r.ID)
				})
				m.guard.Lock()
				m.kill = kill
				m.guard.Unlock()
				alive := m.live(func() {
					do()
					m.engine.Wait()
				})
				m.revive()
				if len(m.runs) > 0 {
					m.hold()
				}
				for range 2 { // what a policy had begun goes on
					m.advance(20 * time.Second)
					m.due()
				}
				counts[m.ends(name, alive)]++
				where[m.killed] = true
				m.stop()
				if !alive {
					continue
				}
				t.Logf("killed at %d steps: %v", kill-1, counts)
				missed := slices.DeleteFunc(slices.Clone(everywhere), func(what string) bool { return where[what] })
				if len(missed) == 0 {
					return
				}
				// Steps of the run and of who decided on it come in any order: a count may
				// always have met the other's.
				if kill = 0; again == 0 {
					t.Fatalf("nothing was killed %s", strings.Join(missed, ", "))
				}
				again--
			}
		})
	}
}

// ends says how the runs have ended, and fails if one is not as it must be.
func (m *mishap) ends(what string, alive bool) string {
	m.t.Helper()
	if len(m.runs) > 0 {
		m.hold()
	}
	runs, err := m.store.Runs(m.t.Context(), penumbra.RunQuery{})
	if err != nil {
		m.t.Fatal(err)
	}
	var states []string
	backs := 0
	for _, r := range slices.Backward(runs) {
		states = append(states, r.State.String())
		if r.Kind == penumbra.Restore {
			backs++
		}
	}
	said := strings.Join(states, ", then ")
	switch {
	case backs > 1:
		m.t.Errorf("killed %q: taken back %d times", m.killed, backs)
	case what == "a rollback by policy" && (!runs[len(runs)-1].Hurt() || backs != 1):
		m.t.Errorf("killed %q: a run that hurt has %d ways back carried out: %s\n%s", m.killed, backs, said, m.log.String())
	case alive && slices.ContainsFunc(runs, func(r penumbra.Run) bool { return r.State != penumbra.Done && r.State != penumbra.RolledBack }):
		m.t.Errorf("never killed: %s", said)
	case said == "":
		return "nothing decided"
	}
	return said
}
