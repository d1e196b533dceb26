//go:build unix

package e2e

// This file covers what a run does to performance after it is verified, with the
// real tool and metrics that are sent as an application would: a fix that is right
// by the code makes latency collapse, the watch puts it down to the run, and the way
// back is proposed, or taken by Penumbra itself where a policy permits it.

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const undo = `@id("undo-what-hurts")
permit (principal == Penumbra::System::"penumbra", action == Penumbra::Action::"roll_back", resource)
when { resource.risk < 60 };
`

// slow is a queue that is slow with the memory that its code gives it, and was given
// more by hand. It measures itself once a second, and has done so for half an hour.
type slow struct {
	*site
	gate gate
	n    atomic.Int64 // values so far
}

// latency is what the queue's answers take with the memory that it has now.
func (s *slow) latency() float64 {
	n := s.n.Add(1)
	mean := 0.010
	if strings.Contains(s.read("shop/etc/queue.conf"), "memory_mb = 768\n") {
		mean = 0.900
	}
	return mean * (1 + 0.02*float64(n*7919%11-5)) // no two are alike
}

// measured sends values as OpenTelemetry has them.
func (s *slow) measured(from, to time.Time) {
	s.t.Helper()
	var points []string
	for at := from; !at.After(to); at = at.Add(time.Second) {
		points = append(points, point(at, s.latency()))
	}
	s.send(points...)
}

// now measures once. The value is of a moment after it was taken, so that on a busy
// machine what a change did is not dated before the change.
func (s *slow) now() {
	value := s.latency()
	s.send(point(time.Now(), value))
}

func point(at time.Time, value float64) string {
	return fmt.Sprintf(`{"timeUnixNano":"%d","asDouble":%g}`, at.UnixNano(), value)
}

func (s *slow) send(points ...string) {
	s.t.Helper()
	body := `{"resourceMetrics":[{"resource":{"attributes":[]},"scopeMetrics":[{"metrics":[{"name":"latency","unit":"s","gauge":{"dataPoints":[` + strings.Join(points, ",") + `]}}]}]}]}`
	if status, answer := s.gate.send("apm/v1/metrics", []byte(body)); status != http.StatusOK {
		s.t.Errorf("metrics: %d %s", status, answer) // not Fatal: it is called by others too
	}
}

// reverted approves the revert, which the code asks for, and goes on measuring.
func reverted(t *testing.T, policy string) (*slow, penumbra.Run) {
	s := &slow{site: newSite(t)}
	s.write("rules.cedar", policy)
	s.write("penumbra.yaml", s.read("penumbra.yaml")+"policy: [rules.cedar]\nwatch_runs: 5m\ninputs:\n  - {name: apm, kind: otlp, resource: '"+queue+"'}\nmetrics:\n  - {from: latency, name: latency, worse: up}\n")
	d := s.watching()
	s.gate.open(d)
	s.byHand("etc/queue.conf", "memory_mb", "896")
	found := s.drift(queue, "memory_mb")
	now := time.Now().UTC().Truncate(time.Second)
	s.measured(now.Add(-30*time.Minute), now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every(ctx, time.Second, s.now)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	// The edit was made moments ago, and nobody expected it. What the run takes back is
	// no cause of what comes after it all the same.
	run := s.approve(s.proposal(found.ID, penumbra.Revert))
	s.holds("shop/etc/queue.conf", "memory_mb = 768")
	return s, run
}

func TestRunThatHurtIsTakenBackByAPerson(t *testing.T) {
	s, run := reverted(t, "")
	s.until("the run hurt", func() bool { run = s.runOf(run.ID); return run.Watch != nil && run.Watch.WayBack != "" })
	if h := run.Watch.Harm[0]; h.Resource != queue || h.Impact.Metric != "latency" || h.Impact.After < 20*h.Impact.Before {
		t.Errorf("the harm: %+v", h)
	}
	s.penumbra("run", "show", run.ID).ends(0).tells("hurt", "latency", "penumbra approve "+run.Watch.WayBack)
	if all := s.runs(); len(all) != 1 {
		t.Fatalf("somebody else acts: %+v", all)
	}
	s.penumbra("approve", run.Watch.WayBack, "--yes").ends(0)
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
	if run = s.runOf(run.ID); run.State != penumbra.RolledBack {
		t.Errorf("the run is %s", run.State)
	}
}

func TestRunThatHurtIsTakenBackByPolicy(t *testing.T) {
	s, run := reverted(t, undo)
	s.until("the run is taken back", func() bool { run = s.runOf(run.ID); return run.State == penumbra.RolledBack })
	s.holds("shop/etc/queue.conf", "memory_mb = 896")
	back := s.runOf(run.UndoneBy)
	if back.State != penumbra.Done || back.Kind != penumbra.Restore || !strings.Contains(back.Steps[0].Note, "policy:undo-what-hurts") {
		t.Errorf("the way back: %+v", back)
	}
	s.penumbra("decisions").ends(0).tells("policy:undo-what-hurts", "hurt")
}
