package mixture

import (
	"math"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

var dawn = time.Date(2025, 1, 1, 1, 0, 0, 0, time.UTC)

// brief plays part of a morning of one service, with or without a change by bob.
func brief(changed bool) (*Model, *penumbra.Resource) {
	m := New(Options{Seed: 1})
	r := &penumbra.Resource{Address: "e/dev|service.a", Type: "service", Actual: penumbra.NewSettings(penumbra.Setting{Path: "image", Value: penumbra.String("v1")})}
	see := func(after time.Duration, o penumbra.Observation) {
		o.Time, o.Resource, o.Type = dawn.Add(after), r.Address, r.Type
		m.Observe(&o)
	}
	image := func(v string) penumbra.Settings {
		return penumbra.NewSettings(penumbra.Setting{Path: "image", Value: penumbra.String(v)})
	}
	see(0, penumbra.Observation{Kind: penumbra.EventKind, Source: "git:0", Action: "create", Settings: image("v1")})
	see(time.Hour, penumbra.Observation{Kind: penumbra.MetricKind, Metrics: []penumbra.Metric{{Name: "cpu", Value: 0.5}}})
	if changed {
		see(3*time.Hour, penumbra.Observation{Kind: penumbra.EventKind, Source: "git:1", Action: "update", Actor: "bob", ActorKind: penumbra.User, Settings: image("v2")})
	}
	see(7*time.Hour, penumbra.Observation{Kind: penumbra.MetricKind, Metrics: []penumbra.Metric{{Name: "cpu", Value: 0.7}}})
	return m, r
}

// TestStepLeftOutIsNeverSeen holds the network's state, and all that is said, to
// those of a model that never saw the change.
func TestStepLeftOutIsNeverSeen(t *testing.T) {
	t.Parallel()
	m, r := brief(true)
	never, _ := brief(false)
	at := dawn.Add(8 * time.Hour)
	causes := m.Causes(r, "image", at)
	number := m.counts.Number(r.Address)
	state, want := m.stateWithout(number, r.Address, causes[:1]), never.stateOf(never.counts.Number(r.Address))
	moved := 0.0
	for i := range want {
		moved = max(moved, math.Abs(float64(m.stateOf(number)[i]-want[i])))
		if math.Abs(float64(state[i]-want[i])) > 1e-5 {
			t.Fatalf("without %v the state is %v, never seen %v", causes[0].Kind, state, want)
		}
	}
	if moved < 1e-3 {
		t.Errorf("the change moved the state by %v: nothing was tried", moved)
	}
	got := m.ForecastWithout(r, "image", at, causes[0])
	for k, p := range never.Forecast(r, at)[0].Leave {
		if math.Abs(got[k]-p) > 1e-5 {
			t.Errorf("the forecast without is %v, never seen %v", got, never.Forecast(r, at)[0].Leave)
			break
		}
	}
}

func TestNothingLeftOutChangesNothing(t *testing.T) {
	t.Parallel()
	m, r := brief(true)
	at := dawn.Add(9 * time.Hour)
	if got, want := m.ForecastWithout(r, "image", at), m.Forecast(r, at)[0].Leave; got != want {
		t.Errorf("%v, the forecast is %v", got, want)
	}
}
