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
	"github.com/penumbra-iac/penumbra/shadow/mixture"
	"pgregory.net/rapid"
)

var (
	sameValues = cmp.AllowUnexported(penumbra.Value{})
	rounded    = cmpopts.EquateApprox(1e-9, 1e-12)
)

// drawHistory draws observations of a few resources, in the order of time.
func drawHistory(t *rapid.T) []penumbra.Observation {
	var out []penumbra.Observation
	at := start
	values := []any{1, 2, 3, 40, "a", "b", "512Mi", true, nil}
	draw := func() penumbra.Settings {
		var s []penumbra.Setting
		for _, path := range []string{"size", "tags.team", "ports.0.number", "ports.1.number"} {
			if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				s = append(s, penumbra.Setting{Path: path, Value: value(rapid.SampledFrom(values).Draw(t, "value"))})
			}
		}
		return penumbra.NewSettings(s...)
	}
	for range rapid.IntRange(1, 60).Draw(t, "observations") {
		at = at.Add(time.Duration(rapid.IntRange(0, 40*60).Draw(t, "minutes")) * time.Minute)
		o := penumbra.Observation{
			Time: at, Type: "vm", Resource: penumbra.Address(fmt.Sprint("s/vm.", rapid.IntRange(0, 3).Draw(t, "resource"))),
		}
		switch rapid.IntRange(0, 7).Draw(t, "kind") {
		case 0:
			o.Kind, o.Settings = penumbra.TemplateKind, draw()
		case 1:
			o.Kind, o.Settings, o.ActorKind = penumbra.EventKind, draw(), penumbra.Automation
		case 2:
			o.Kind, o.Settings = penumbra.EventKind, draw()
			o.Action = rapid.SampledFrom([]string{penumbra.ActionAccept, penumbra.ActionApply, penumbra.ActionDelete, "edit"}).Draw(t, "action")
		case 3:
			o.Kind, o.Settings, o.Source = penumbra.EventKind, draw(), "git:1"
			o.Action = rapid.SampledFrom([]string{"create", "update", "delete"}).Draw(t, "action")
		default:
			o.Kind, o.Settings, o.Full = penumbra.SnapshotKind, draw(), rapid.Bool().Draw(t, "full")
		}
		out = append(out, o)
	}
	return out
}

// shown is a resource that lists what the last template and snapshot did.
func shown(history []penumbra.Observation, a penumbra.Address) *penumbra.Resource {
	r := &penumbra.Resource{Address: a, Type: "vm"}
	for _, o := range history {
		switch {
		case o.Resource != a:
		case o.Kind == penumbra.TemplateKind:
			r.Template = penumbra.Settings(nil).Merge(o.Settings)
		case o.Kind == penumbra.SnapshotKind, o.Source != "":
			r.Actual = r.Actual.Merge(o.Settings)
		}
	}
	return r
}

// models are those that the laws below hold of.
var models = map[string]func() shadow.Model{
	"pooled":  func() shadow.Model { return shadow.NewPooled(shadow.Options{}) },
	"mixture": func() shadow.Model { return mixture.New(mixture.Options{Seed: 1, Looks: 50}) },
}

// ofEach holds a law of each model.
func ofEach(t *testing.T, law func(t *rapid.T, model func() shadow.Model)) {
	t.Parallel()
	for name, model := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { law(t, model) })
		})
	}
}

func TestAnswersAreProbabilities(t *testing.T) {
	ofEach(t, func(t *rapid.T, model func() shadow.Model) {
		m := model()
		history := drawHistory(t)
		for i := range history {
			m.Observe(&history[i])
		}
		at := history[len(history)-1].Time.Add(time.Duration(rapid.IntRange(0, 10000).Draw(t, "later")) * time.Minute)
		for i := range 4 {
			r := shown(history, penumbra.Address(fmt.Sprint("s/vm.", i)))
			confidence := rapid.Float64Range(0.5, 0.999).Draw(t, "confidence")
			expectations, forecasts := m.Expect(r, at, confidence), m.Forecast(r, at)
			if len(expectations) != len(forecasts) {
				t.Fatalf("%d expectations, %d forecasts", len(expectations), len(forecasts))
			}
			for k, f := range forecasts {
				checkForecast(t, &f)
				if expectations[k].Path != f.Path {
					t.Fatalf("expectation of %s beside forecast of %s", expectations[k].Path, f.Path)
				}
				checkExpectation(t, &expectations[k], r)
			}
			chooser := m.(shadow.Chooser)
			for _, s := range r.Actual {
				mass := 0.0
				for _, c := range chooser.Choose(r, s.Path, at) {
					mass += c.Probability
				}
				if set := chooser.ChooseSet(r, s.Path, at, confidence); mass > 1+1e-9 || math.Abs(mass+set.NovelProbability-1) > 1e-6 {
					t.Fatalf("%s: mass %v and %+v", s.Path, mass, set)
				}
			}
		}
	})
}

func checkForecast(t *rapid.T, f *penumbra.Forecast) {
	before := 0.0
	for _, p := range f.Leave {
		if !(p >= before && p <= 1) {
			t.Fatalf("%s: not a rising probability: %v", f.Path, f.Leave)
		}
		before = p
	}
	if f.Support < 0 || (f.TimeToDrift > 0) != (f.Leave[4] >= 0.5) {
		t.Fatalf("%s: %+v", f.Path, f)
	}
}

func checkExpectation(t *rapid.T, e *penumbra.Expectation, r *penumbra.Resource) {
	mass := 0.0
	for i, c := range e.Values {
		if !(c.Probability >= 0 && c.Probability <= 1) || i > 0 && c.Probability > e.Values[i-1].Probability {
			t.Fatalf("%s: candidates %+v", e.Path, e.Values)
		}
		mass += c.Probability
	}
	if e.Novel {
		mass += e.NovelProbability
	}
	if mass > 1+1e-9 || e.NovelProbability < 0 {
		t.Fatalf("%s: mass %v: %+v", e.Path, mass, e)
	}
	if r.Declared(e.Path) && len(e.Values) == 0 {
		t.Fatalf("%s is declared and nothing is expected", e.Path)
	}
}

// TestOpenDriftEntersNoSet drifts some of a calm fleet to values that it never
// had, by turns: no set of any member names one of them, and that of a member that
// has drifted has no room for it either.
func TestOpenDriftEntersNoSet(t *testing.T) {
	ofEach(t, func(t *rapid.T, model func() shadow.Model) {
		const members = 8
		m, at := model(), start
		look := func(i int, zone, size any) *penumbra.Resource {
			r := &penumbra.Resource{
				Address: penumbra.Address(fmt.Sprint("s/vm.", i)), Type: "vm", SnapshotTime: at, Template: settings("size", 1), Actual: settings("size", size, "zone", zone),
			}
			m.Observe(&penumbra.Observation{Kind: penumbra.SnapshotKind, Full: true, Time: at, Resource: r.Address, Type: "vm", Settings: r.Actual})
			return r
		}
		for i := range members {
			m.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: at, Resource: penumbra.Address(fmt.Sprint("s/vm.", i)), Type: "vm", Settings: settings("size", 1)})
		}
		for range rapid.IntRange(40, 70).Draw(t, "calm days") {
			at = at.Add(day)
			for i := range members {
				look(i, "a", 1)
			}
		}
		var drifted [members]bool
		for range rapid.IntRange(1, 40).Draw(t, "days") {
			at = at.Add(day)
			span := time.Duration(rapid.IntRange(0, 60).Draw(t, "span")) * day
			for i := range members {
				var zone, size any = "a", 1
				if drifted[i] || rapid.IntRange(0, 9).Draw(t, "drifts") == 0 {
					drifted[i] = true
					zone, size = rapid.SampledFrom([]any{"x", "y"}).Draw(t, "zone"), rapid.SampledFrom([]any{7, 8}).Draw(t, "size")
				}
				r := look(i, zone, size)
				for _, e := range m.Expect(r, at.Add(span), rapid.Float64Range(0.5, 0.99).Draw(t, "confidence")) {
					for _, never := range []any{"x", "y", 7, 8} {
						named := slices.ContainsFunc(e.Values, func(c penumbra.Candidate) bool { return c.Value == value(never) })
						if named || drifted[i] && e.Contains(value(never)) {
							t.Fatalf("%d, drifted %v, %v later: the set of %s has %v: %+v", i, drifted[i], span, e.Path, never, e)
						}
					}
				}
			}
		}
	})
}

// TestSetReachesConfidence holds where no excursion is open: nothing but code.
func TestSetReachesConfidence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := shadow.NewPooled(shadow.Options{})
		at, r := start, &penumbra.Resource{Address: "s/vm.1", Type: "vm"}
		for i := range rapid.IntRange(1, 30).Draw(t, "changes") {
			at = at.Add(time.Duration(rapid.IntRange(1, 3000).Draw(t, "minutes")) * time.Minute)
			action := "update"
			if i == 0 {
				action = "create"
			}
			r.Actual = settings("size", rapid.IntRange(1, 5).Draw(t, "size"))
			m.Observe(&penumbra.Observation{Kind: penumbra.EventKind, Source: "git:1", Action: action, Time: at, Resource: r.Address, Type: "vm", Settings: r.Actual})
		}
		confidence := rapid.Float64Range(0.5, 0.999).Draw(t, "confidence")
		e := m.Expect(r, at.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "days"))*day), confidence)[0]
		mass := 0.0
		for _, c := range e.Values {
			mass += c.Probability
		}
		if e.Novel {
			mass += e.NovelProbability
		}
		if mass < confidence-1e-9 {
			t.Fatalf("mass %v at %v: %+v", mass, confidence, e)
		}
	})
}

func TestOrderOfPeersDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Observations of one moment, of different resources, in two orders.
		models := [2]*shadow.Pooled{shadow.NewPooled(shadow.Options{}), shadow.NewPooled(shadow.Options{})}
		var at time.Time
		for i := range rapid.IntRange(1, 20).Draw(t, "rounds") {
			at = start.Add(time.Duration(i) * 6 * time.Hour)
			var round []penumbra.Observation
			for k := range 6 {
				a := penumbra.Address(fmt.Sprint("s/vm.", k))
				if i == 0 {
					round = append(round, penumbra.Observation{Kind: penumbra.TemplateKind, Time: at, Resource: a, Type: "vm", Settings: settings("size", 1)})
					continue
				}
				round = append(round, penumbra.Observation{Kind: penumbra.SnapshotKind, Full: true, Time: at, Resource: a, Type: "vm",
					Settings: settings("size", rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "size"), "disk", 1)})
			}
			for _, k := range [...]int{0, 1, 2, 3, 4, 5} {
				models[0].Observe(&round[k])
			}
			for _, k := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "order") {
				models[1].Observe(&round[k])
			}
		}
		for k := range 6 {
			r := &penumbra.Resource{Address: penumbra.Address(fmt.Sprint("s/vm.", k)), Type: "vm", Template: settings("size", 1), Actual: settings("disk", 1, "size", 1)}
			if d := cmp.Diff(models[0].Expect(r, at, 0.95), models[1].Expect(r, at, 0.95), sameValues, rounded); d != "" {
				t.Fatal(d)
			}
			if d := cmp.Diff(models[0].Forecast(r, at), models[1].Forecast(r, at), sameValues, rounded); d != "" {
				t.Fatal(d)
			}
		}
	})
}

func TestCheckpointGivesTheSameAnswers(t *testing.T) {
	ofEach(t, func(t *rapid.T, model func() shadow.Model) {
		a, b := model(), model()
		history := drawHistory(t)
		half := rapid.IntRange(0, len(history)).Draw(t, "half")
		for i := range history[:half] {
			a.Observe(&history[i])
		}
		var saved bytes.Buffer
		if _, err := a.WriteTo(&saved); err != nil {
			t.Fatal(err)
		}
		if n, err := b.ReadFrom(bytes.NewReader(saved.Bytes())); err != nil || n != int64(saved.Len()) {
			t.Fatal(n, err)
		}
		for i := half; i < len(history); i++ {
			a.Observe(&history[i])
			b.Observe(&history[i])
		}
		at := history[len(history)-1].Time.Add(time.Hour)
		for i := range 4 {
			r := shown(history, penumbra.Address(fmt.Sprint("s/vm.", i)))
			if d := cmp.Diff(a.Expect(r, at, 0.95), b.Expect(r, at, 0.95), sameValues); d != "" {
				t.Fatal(d)
			}
			if d := cmp.Diff(a.Forecast(r, at), b.Forecast(r, at), sameValues); d != "" {
				t.Fatal(d)
			}
		}
		var one, two bytes.Buffer
		_, _ = a.WriteTo(&one)
		_, _ = b.WriteTo(&two)
		if !bytes.Equal(one.Bytes(), two.Bytes()) {
			t.Fatal("the same state gave different bytes")
		}
	})
}

// checkpoint returns that of a model that has seen everything there is.
func checkpoint(t testing.TB) ([]byte, *world) {
	w := newWorld(&testing.T{})
	at := nights(w, 6, penumbra.Automation)
	w.snapshot(at, "b", "memory", "512Mi", "zone", "x")
	w.snapshot(at.Add(day), "b", "memory", "1Gi", "zone", "y")
	w.event(at.Add(day), "b", penumbra.ActionAccept, penumbra.User, "zone", "y")
	var b bytes.Buffer
	if _, err := w.model.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w
}

func TestDamagedCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	good, w := checkpoint(t)
	newer := bytes.Clone(good)
	newer[16]++
	bad := map[string][]byte{
		"empty": nil, "foreign": []byte("{}"), "short": good[:len(good)-1], "long": append(bytes.Clone(good), 0), "newer": newer,
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		i := random.IntN(len(good))
		b := bytes.Clone(good)
		b[i] ^= 1 << random.IntN(8)
		bad[fmt.Sprint("bit of byte ", i)] = b
	}
	for name, data := range bad {
		if _, err := w.model.ReadFrom(bytes.NewReader(data)); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
		var after bytes.Buffer
		if _, err := w.model.WriteTo(&after); err != nil || !bytes.Equal(after.Bytes(), good) {
			t.Fatalf("%s: the state did not stay as it was (%v)", name, err)
		}
	}
}

func TestLateObservationsChangeNoValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.template(start, "a", "size", 1)
	w.snapshot(start.Add(2*day), "a", "size", 1)
	w.snapshot(start.Add(day), "a", "size", 9)
	w.holds(start.Add(2*day), "a", "size", 1, true)
	if f := w.forecast(start.Add(2*day), "a", "size"); f.Leave[2] > 0.01 || w.model.Late() != 1 {
		t.Errorf("late %d, forecast %+v", w.model.Late(), f)
	}
}

func TestNothingKnown(t *testing.T) {
	t.Parallel()
	m := shadow.NewPooled(shadow.Options{})
	r := &penumbra.Resource{Address: "s/vm.new", Type: "vm", Template: settings("size", 1), Actual: settings("size", 2, "zone", "x")}
	for _, e := range m.Expect(r, start, 0.95) {
		if e.Support != 0 || e.Novel != (e.Path == "zone") {
			t.Errorf("%+v", e)
		}
	}
	for _, f := range m.Forecast(r, start) {
		if f.Support != 0 || f.Leave[4] > 0.2 || f.Leave[4] == 0 || f.Reason != "" || !f.Next.IsNull() {
			t.Errorf("%+v", f)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := penumbra.Key("k")
	seal := func(s string) penumbra.Settings {
		return penumbra.Settings{{Path: "password", Value: key.Seal(penumbra.String(s)), Sensitive: true}}
	}
	see := func(at time.Time, name, s string) {
		r := w.resource(name)
		r.Actual = seal(s)
		w.model.Observe(&penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: r.Address, Type: "vm", Settings: r.Actual})
	}
	for i := range 6 {
		see(start, fmt.Sprint(i), "old")
		see(start.Add(day), fmt.Sprint(i), "old")
	}
	for i := range 5 {
		see(start.Add(2*day), fmt.Sprint(i), "new")
	}
	f := w.forecast(start.Add(2*day), "5", "password")
	if want := "5 of 5 peers left their template in the last 7 days, last to (sensitive)"; f.Reason != want {
		t.Errorf("reason %q, want %q", f.Reason, want)
	}
}

// FuzzReadFrom reads anything: an error or a state that can be written again.
func FuzzReadFrom(f *testing.F) {
	good, _ := checkpoint(f)
	f.Add(good)
	f.Add([]byte("penumbra pooled\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := shadow.NewPooled(shadow.Options{})
		if _, err := m.ReadFrom(bytes.NewReader(data)); err == nil {
			if _, err := m.WriteTo(&bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
		} else if penumbra.KindOf(err) != penumbra.Damaged {
			t.Fatal(err)
		}
	})
}
