package shadow_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"pgregory.net/rapid"
)

// codeHistory makes so many days of an estate of which only the code is known:
// services in three environments, each in a folder of its own, with three
// settings, of which one changes at a moment of its own.
func codeHistory(seed uint64, days, services int) []penumbra.Observation {
	random := rand.New(rand.NewPCG(seed, 1))
	var out []penumbra.Observation
	turns := map[string]int{}
	add := func(at time.Time, env string, i int, action string, pairs ...any) {
		out = append(out, penumbra.Observation{
			Kind: penumbra.EventKind, Time: at, Source: "git:0", Action: action, Type: "service", Actor: fmt.Sprint("person", i%3), ActorKind: penumbra.User,
			Resource: penumbra.Address(fmt.Sprintf("e/%s|service.s%d", env, i)), Settings: settings(pairs...),
		})
	}
	envs := []string{"dev", "staging", "prod"}
	for i := range services {
		for _, env := range envs {
			add(start, env, i, "create", "image", "v0", "replicas", "v0", "memory", "v0")
		}
	}
	at := start
	for at.Before(start.Add(time.Duration(days) * day)) {
		at = at.Add(time.Duration(random.ExpFloat64() * float64(day) / 2).Truncate(time.Second)).Add(time.Second)
		env, i, x := envs[random.IntN(3)], random.IntN(services), random.IntN(3)
		// Values go round, so that one left out makes no other a change to what is there.
		key := fmt.Sprint(env, i, x)
		turns[key]++
		add(at, env, i, "update", []string{"image", "replicas", "memory"}[x], fmt.Sprint("v", turns[key]%5))
	}
	return out
}

func learn(history []penumbra.Observation) *shadow.Pooled {
	m := shadow.NewPooled(shadow.Options{})
	for i := range history {
		m.Observe(&history[i])
	}
	return m
}

// lookAt returns what the model sees of one setting.
func lookAt(m *shadow.Pooled, r *penumbra.Resource, path string, at time.Time) shadow.Look {
	var out shadow.Look
	m.Visit(r, at, func(l *shadow.Look) {
		if l.Path == path {
			out = *l
		}
	})
	return out
}

func isMove(o *penumbra.Observation, m shadow.Move) bool {
	return o.Action == "update" && o.Time.Equal(m.Time) && o.Resource == m.Resource
}

// TestLeftOutIsNeverSeen leaves one event out by subtraction and holds the
// answer to that of a model that never saw it.
func TestLeftOutIsNeverSeen(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	kinds := map[penumbra.InfluenceKind]int{}
	for seed := range uint64(6) {
		history := codeHistory(seed, 60, 4)
		at := history[len(history)-1].Time.Add(7 * time.Hour)
		m := learn(history)
		for _, o := range history[:12] {
			r := &penumbra.Resource{Address: o.Resource, Type: o.Type, Actual: o.Settings}
			for _, path := range []string{"image", "replicas"} {
				for _, cause := range m.Causes(r, path, at) {
					for i, move := range cause.Moves {
						kinds[cause.Kind]++
						without := slices.DeleteFunc(slices.Clone(history), func(o penumbra.Observation) bool { return isMove(&o, move) })
						if len(without) != len(history)-1 {
							t.Fatalf("the move %+v is %d events", move, len(history)-len(without))
						}
						got, _ := m.LookWithout(r, path, at, cause.Only(i))
						want := lookAt(learn(without), r, path, at)
						compareLooks(t, fmt.Sprintf("seed %d: %s of %s without %v %+v", seed, path, r.Address, cause.Kind, move), &got, &want)
					}
				}
			}
		}
	}
	for _, kind := range []penumbra.InfluenceKind{penumbra.OwnChange, penumbra.PeerWave, penumbra.SiblingMove, penumbra.ResourceChanges} {
		if kinds[kind] < 20 {
			t.Errorf("%d of %v were tried", kinds[kind], kind)
		}
	}
}

func compareLooks(t *testing.T, what string, got, want *shadow.Look) {
	t.Helper()
	for k := range want.Survival {
		if math.Abs(got.Survival[k]-want.Survival[k]) > 1e-6 {
			t.Errorf("%s: survival %v, never seen %v", what, got.Survival, want.Survival)
			break
		}
	}
	for k := range want.Features {
		// When a folder changed before its last change is not remembered; the mean
		// rate is as of the estate's last change, which may be the one left out.
		off := math.Abs(float64(got.Features[k] - want.Features[k]))
		switch shadow.FeatureNames[k] {
		case "days since a change in its folder":
			continue
		case "changes of its peers since its own last":
			// A class remembers its last moves only: of those before them, since the
			// setting's change before the one left out, it knows at least so many.
			if got.Features[k] < want.Features[k] {
				continue
			}
		}
		if off > 5e-4 {
			t.Errorf("%s: %s is %v, never seen %v", what, shadow.FeatureNames[k], got.Features[k], want.Features[k])
		}
	}
	for k := range want.Recent {
		if math.Abs(float64(got.Recent[k]-want.Recent[k])) > 1e-4 {
			t.Errorf("%s: recent %d is %v, never seen %v", what, k, got.Recent[k], want.Recent[k])
		}
	}
}

func TestNothingLeftOutChangesNothing(t *testing.T) {
	t.Parallel()
	history := codeHistory(1, 60, 4)
	at := history[len(history)-1].Time.Add(7 * time.Hour)
	m := learn(history)
	for _, o := range history[:12] {
		r := &penumbra.Resource{Address: o.Resource, Type: o.Type, Actual: o.Settings}
		for i, f := range m.Forecast(r, at) {
			path := o.Settings[i].Path
			if got := m.ForecastWithout(r, path, at); got != f.Leave {
				t.Errorf("%s: %v, the forecast is %v", path, got, f.Leave)
			}
			got, ok := m.LookWithout(r, path, at)
			if want := lookAt(m, r, path, at); !ok || got != want {
				t.Errorf("%s: %s", path, cmp.Diff(got, want, cmp.AllowUnexported(penumbra.Value{})))
			}
		}
	}
}

// excursions plays so many days of eight machines that are looked at every six
// hours, and by chance leave their template and come back; held are machines
// whose departures nobody saw, by name and day.
func excursions(t *testing.T, seed uint64, held string) (*world, time.Time) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(seed, 2))
	for i := range 8 {
		w.template(start, fmt.Sprint("n", i), "memory", 1024, "disk", 10)
	}
	var away [8]string // which departure it is in
	at := start
	for k := range 160 {
		at = start.Add(time.Duration(k)*6*time.Hour + time.Second)
		for i := range away {
			switch p := random.Float64(); {
			case away[i] == "" && p < 0.04:
				away[i] = fmt.Sprint("n", i, " ", at.Unix())
			case away[i] != "" && p < 0.3:
				away[i] = ""
			}
			memory := 1024
			if away[i] != "" && away[i] != held {
				memory = 2048
			}
			w.snapshot(at.Add(time.Duration(i)*time.Second), fmt.Sprint("n", i), "memory", memory, "disk", 10)
		}
	}
	return w, at.Add(time.Hour)
}

// TestDepartureLeftOutIsNeverSeen does for departures what TestLeftOutIsNeverSeen
// does for changes.
func TestDepartureLeftOutIsNeverSeen(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	tried := 0
	for seed := range uint64(4) {
		w, at := excursions(t, seed, "")
		for _, name := range []string{"n0", "n5"} {
			for _, cause := range w.model.Causes(w.resource(name), "memory", at) {
				for i, move := range cause.Moves {
					machine := string(move.Resource)[len("shop/vm."):]
					held := fmt.Sprint(machine, " ", move.Time.Unix()-int64(machine[1]-'0'))
					without, _ := excursions(t, seed, held)
					r := w.resource(name)
					if name == machine {
						r = without.resource(name)
					}
					got := w.model.ForecastWithout(r, "memory", at, cause.Only(i))
					want := without.forecast(at, name, "memory").Leave
					tried++
					for k := range got {
						if math.Abs(got[k]-want[k]) > 1e-6 {
							t.Errorf("seed %d: %s without %v %+v: %v, never seen %v", seed, name, cause.Kind, move, got, want)
							break
						}
					}
				}
			}
		}
	}
	if tried < 40 {
		t.Errorf("%d departures were tried", tried)
	}
}

// TestCausesSurviveACheckpoint asks a model that was written and read back.
func TestCausesSurviveACheckpoint(t *testing.T) {
	t.Parallel()
	history := codeHistory(3, 60, 4)
	at := history[len(history)-1].Time.Add(7 * time.Hour)
	m, again := learn(history), shadow.NewPooled(shadow.Options{})
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := again.ReadFrom(&b); err != nil {
		t.Fatal(err)
	}
	for _, o := range history[:12] {
		r := &penumbra.Resource{Address: o.Resource, Type: o.Type, Actual: o.Settings}
		want, got := m.Causes(r, "image", at), again.Causes(r, "image", at)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(penumbra.Value{}), cmpopts.IgnoreUnexported(shadow.Cause{})); d != "" {
			t.Errorf("causes differ after a checkpoint:\n%s", d)
		}
		for i := range want {
			if a, b := m.ForecastWithout(r, "image", at, want[i]), again.ForecastWithout(r, "image", at, got[i]); a != b {
				t.Errorf("without %v: %v, after a checkpoint %v", want[i].Kind, a, b)
			}
		}
	}
}

// TestWithoutAnythingIsAProbability leaves out every cause, and all, whatever
// the history.
func TestWithoutAnythingIsAProbability(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := shadow.NewPooled(shadow.Options{})
		history := drawHistory(t)
		for i := range history {
			m.Observe(&history[i])
		}
		at := history[len(history)-1].Time.Add(time.Duration(rapid.IntRange(0, 10000).Draw(t, "later")) * time.Minute)
		r := shown(history, history[rapid.IntRange(0, len(history)-1).Draw(t, "asked")].Resource)
		before := m.Forecast(r, at)
		for _, f := range before {
			causes := m.Causes(r, f.Path, at)
			for i := range causes {
				checkLeave(t, f.Path, m.ForecastWithout(r, f.Path, at, causes[i]))
			}
			checkLeave(t, f.Path, m.ForecastWithout(r, f.Path, at, causes...))
			m.Evidence(r, f.Path, at, penumbra.Number(1))
			if l, ok := m.LookWithout(r, f.Path, at, causes...); !ok || slices.ContainsFunc(l.Features[:], func(x float32) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }) {
				t.Fatalf("%s: a feature is not finite: %+v", f.Path, l)
			}
		}
		for i, f := range m.Forecast(r, at) {
			if f.Leave != before[i].Leave {
				t.Fatalf("%s: asking changed the forecast from %v to %v", f.Path, before[i].Leave, f.Leave)
			}
		}
	})
}

func checkLeave(t *rapid.T, path string, leave [len(penumbra.Horizons)]float64) {
	before := 0.0
	for _, p := range leave {
		if !(p >= before && p <= 1) {
			t.Fatalf("%s: not a rising probability: %v", path, leave)
		}
		before = p
	}
}
