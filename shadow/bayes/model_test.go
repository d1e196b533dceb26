package bayes_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/bayes"
	"pgregory.net/rapid"
)

var (
	start      = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	sameValues = cmp.AllowUnexported(penumbra.Value{})
)

const day = 24 * time.Hour

func settings(pairs ...any) penumbra.Settings {
	var out []penumbra.Setting
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, penumbra.Setting{Path: pairs[i].(string), Value: scalar(pairs[i+1])})
	}
	return penumbra.NewSettings(out...)
}

func scalar(x any) penumbra.Value {
	if n, ok := x.(int); ok {
		return penumbra.Number(float64(n))
	}
	return penumbra.Scalar(x)
}

func vm(i int) penumbra.Address { return penumbra.Address(fmt.Sprintf("shop/vm.%02d", i)) }

func template(m shadow.Model, at time.Time, a penumbra.Address, s penumbra.Settings) {
	m.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: at, Resource: a, Type: "vm", Settings: s})
}

func snapshot(m shadow.Model, at time.Time, a penumbra.Address, s penumbra.Settings) {
	m.Observe(&penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: a, Type: "vm", Settings: s, Full: true})
}

func measure(m shadow.Model, at time.Time, a penumbra.Address, name string, x float64) {
	m.Observe(&penumbra.Observation{Kind: penumbra.MetricKind, Time: at, Resource: a, Type: "vm", Metrics: []penumbra.Metric{{Name: name, Value: x}}})
}

// fleet is twelve machines of two classes, looked at and measured every hour
// for so many days. The code declares the class; the provider gives a disk by
// class. Throughput is about 100 with the large buffer and 80 with the small.
// drift, if not nil, changes what a machine is found to have.
func fleet(m shadow.Model, days int, drift func(i int, at time.Time, s map[string]any)) (end time.Time) {
	random := rand.New(rand.NewPCG(1, 2))
	for hour := range days * 24 {
		at := start.Add(time.Duration(hour) * time.Hour)
		end = at
		for i := range 12 {
			s := machine(i)
			if hour == 0 {
				template(m, at, vm(i), settings("buffer", s["buffer"], "class", s["class"]))
			}
			if drift != nil {
				drift(i, at, s)
			}
			snapshot(m, at, vm(i), settings("buffer", s["buffer"], "class", s["class"], "disk", s["disk"]))
			level := 100.0
			if s["buffer"] == "small" {
				level = 80
			}
			measure(m, at.Add(time.Minute), vm(i), "throughput", level+5*random.NormFloat64())
		}
	}
	return end
}

func machine(i int) map[string]any {
	s := map[string]any{"class": "m5", "disk": "gp3", "buffer": "large"}
	if i%2 == 1 {
		s["class"], s["disk"] = "t3", "gp2"
	}
	if i%12 == 11 {
		s["buffer"] = "small"
	}
	return s
}

func expectation(t testing.TB, m shadow.Model, r *penumbra.Resource, at time.Time, path string, confidence float64) penumbra.Expectation {
	t.Helper()
	for _, e := range m.Expect(r, at, confidence) {
		if e.Path == path {
			return e
		}
	}
	t.Fatalf("no expectation of %s", path)
	return penumbra.Expectation{}
}

// TestDriftIsNeverLearnt leaves one machine with a drifted declared setting and
// a drifted undeclared one for sixty days. Both values are usual elsewhere in
// the fleet, so a network that learnt from them would come to expect them.
func TestDriftIsNeverLearnt(t *testing.T) {
	t.Parallel()
	m := bayes.NewModel(bayes.ModelOptions{})
	var first []penumbra.Expectation
	r := &penumbra.Resource{Address: vm(0), Type: "vm", Template: settings("buffer", "large", "class", "m5"), Actual: settings("buffer", "small", "class", "m5", "disk", "gp2")}
	opened := start.Add(10 * day)
	end := fleet(m, 70, func(i int, at time.Time, s map[string]any) {
		if i != 0 || at.Before(opened) {
			return
		}
		s["buffer"], s["disk"] = "small", "gp2"
		if first == nil && at.After(opened) {
			first = m.Expect(r, at, 0.95)
		}
	})
	if m.Network("vm") == nil {
		t.Fatal("no network was learnt")
	}
	for _, confidence := range []float64{0.5, 0.95, 0.99, 0.9999} {
		for path, want := range map[string][2]string{"buffer": {"large", "small"}, "disk": {"gp3", "gp2"}} {
			e := expectation(t, m, r, end, path, confidence)
			if !e.Contains(scalar(want[0])) || e.Contains(scalar(want[1])) {
				t.Errorf("at %v the set of %s is %+v", confidence, path, e)
			}
		}
	}
	last := m.Expect(r, end, 0.95)
	if d := cmp.Diff(first, last, cmpopts.IgnoreFields(penumbra.Expectation{}, "Support", "NovelProbability"),
		cmpopts.IgnoreFields(penumbra.Candidate{}, "Probability"), sameValues); d != "" {
		t.Errorf("the expectation moved in sixty days:\n%s", d)
	}
}

// TestDriftIsNotLearntByPeers asks of a machine never looked at. What its class
// usually has is expected, also where a machine of that class has been drifted
// for longer than it ever was not.
func TestDriftIsNotLearntByPeers(t *testing.T) {
	t.Parallel()
	likely := func(drift func(int, time.Time, map[string]any)) float64 {
		m := bayes.NewModel(bayes.ModelOptions{})
		end := fleet(m, 40, drift)
		r := &penumbra.Resource{Address: "shop/vm.new", Type: "vm", Template: settings("buffer", "large", "class", "m5"), Actual: penumbra.Settings{{Path: "disk"}}}
		e := expectation(t, m, r, end, "disk", 0.95)
		if e.Likely() != scalar("gp3") {
			t.Fatalf("expected of an m5: %+v", e)
		}
		return e.Values[0].Probability
	}
	calm := likely(nil)
	drifted := likely(func(i int, at time.Time, s map[string]any) {
		if i < 8 && i%2 == 0 && at.After(start.Add(5*day)) { // four of the six m5
			s["disk"] = "gp2"
		}
	})
	if calm < 0.7 || drifted < 0.7 {
		t.Errorf("the disk of an m5 is gp3 with %.3f, with four of six drifted %.3f", calm, drifted)
	}
}

// TestNetworkNarrowsWhatIsExpected has the network tell the disk of a new
// machine by its class, which the pooled model does not look at.
func TestNetworkNarrowsWhatIsExpected(t *testing.T) {
	t.Parallel()
	m, pooled := bayes.NewModel(bayes.ModelOptions{}), shadow.NewPooled(shadow.Options{})
	end := fleet(m, 30, nil)
	fleet(pooled, 30, nil)
	for class, disk := range map[string]string{"m5": "gp3", "t3": "gp2"} {
		r := &penumbra.Resource{Address: "shop/vm.new", Type: "vm", Template: settings("buffer", "large", "class", class), Actual: penumbra.Settings{{Path: "disk"}}}
		e, without := expectation(t, m, r, end, "disk", 0.9), expectation(t, pooled, r, end, "disk", 0.9)
		if e.Likely() != scalar(disk) || e.Values[0].Probability < 0.7 {
			t.Errorf("a %s: %+v", class, e)
		}
		if len(without.Values) != 2 || without.Values[0].Probability > 0.5 {
			t.Errorf("the pooled model tells as well: %+v", without)
		}
	}
}

// TestImpactIsLearntFromDrifts has the small buffer drop the throughput. Nearly
// all that is known of it comes from excursions.
func TestImpactIsLearntFromDrifts(t *testing.T) {
	t.Parallel()
	m := bayes.NewModel(bayes.ModelOptions{})
	fleet(m, 40, func(i int, at time.Time, s map[string]any) {
		if i < 4 && at.Sub(start)/(6*time.Hour)%8 == time.Duration(i) {
			s["buffer"] = "small"
		}
	})
	impact := func(path, v string) bayes.Impact {
		found, err := m.Impacts("vm", path, penumbra.String(v))
		if err != nil || len(found) != 1 || found[0].Metric != "throughput" {
			t.Fatalf("%+v (%v)", found, err)
		}
		return found[0]
	}
	small, large := impact("buffer", "small"), impact("buffer", "large")
	if small.Drop.After < 0.9 || large.Drop.After > 0.1 || !small.Reaches || small.Drop.Low > small.Drop.After || small.Drop.High < small.Drop.After || small.Support < 100 {
		t.Errorf("small %+v, large %+v", small, large)
	}
	if x := impact("class", "t3"); math.Abs(x.Drop.After-x.Drop.Without) > 0.1 {
		t.Errorf("the class moves nothing: %+v", x)
	}
	causes, err := m.Causes("vm", "throughput", penumbra.Down)
	if err != nil || causes[0].Name != "buffer" || causes[0].Tier != bayes.Setting || causes[0].Raises != `"small"` || causes[0].Swing < 0.8 {
		t.Errorf("%+v (%v)", causes, err)
	}
	for _, ask := range []func() error{
		func() error { _, err := m.Impacts("disk", "buffer", scalar("small")); return err },
		func() error { _, err := m.Impacts("vm", "colour", scalar("red")); return err },
		func() error { _, err := m.Causes("vm", "latency", penumbra.Up); return err },
	} {
		if err := ask(); penumbra.KindOf(err) != penumbra.NotFound {
			t.Errorf("error %v", err)
		}
	}
}

// TestPatternsAreCauses has machines less idle at weekends and after people were
// at work on them, whatever their settings.
func TestPatternsAreCauses(t *testing.T) {
	t.Parallel()
	m := bayes.NewModel(bayes.ModelOptions{})
	random := rand.New(rand.NewPCG(3, 4))
	for hour := range 60 * 24 {
		at := start.Add(time.Duration(hour) * time.Hour)
		for i := range 4 {
			idle := 50.0
			if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
				idle -= 30
			}
			if (hour+7*i)%97 == 0 {
				m.Observe(&penumbra.Observation{Kind: penumbra.EventKind, Time: at, Resource: vm(i), Type: "vm", ActorKind: penumbra.User, Action: "login"})
			}
			if (hour+7*i)%97 < 5 {
				idle -= 30
			}
			snapshot(m, at, vm(i), settings("class", fmt.Sprint("c", i%2)))
			measure(m, at, vm(i), "idle", idle+random.NormFloat64())
		}
	}
	causes, err := m.Causes("vm", "idle", penumbra.Down)
	if err != nil || len(causes) < 2 {
		t.Fatalf("%+v (%v)", causes, err)
	}
	names := []string{causes[0].Name, causes[1].Name}
	slices.Sort(names)
	if !slices.Equal(names, []string{"day", "people"}) || causes[0].Tier != bayes.Pattern || causes[1].Swing < 0.1 {
		t.Errorf("%+v", causes)
	}
}

func TestSecretsAreNoVariables(t *testing.T) {
	t.Parallel()
	m := bayes.NewModel(bayes.ModelOptions{})
	key := penumbra.Key("k")
	for hour := range 200 {
		for i := range 4 {
			s := settings("class", fmt.Sprint("c", i%2))
			secret := key.Seal(penumbra.String(fmt.Sprint("hunter", i%2)))
			s = append(s, penumbra.Setting{Path: "password", Value: secret, Sensitive: true})
			snapshot(m, start.Add(time.Duration(hour)*time.Hour), vm(i), s)
			measure(m, start.Add(time.Duration(hour)*time.Hour), vm(i), "cpu", float64(i+hour%3))
		}
	}
	n := m.Network("vm")
	if n == nil || n.Index("setting class") < 0 {
		t.Fatal("no network of the class")
	}
	for _, v := range n.Variables() {
		if strings.Contains(v.Name, "password") || strings.Contains(fmt.Sprint(v.States), "hmac") {
			t.Errorf("%+v", v)
		}
	}
}

// drawHistory draws observations of a few resources, in the order of time, after
// those of checkpoint.
func drawHistory(t *rapid.T) []penumbra.Observation {
	var out []penumbra.Observation
	at := start.Add(5 * day)
	values := []any{"m5", "t3", "gp2", "gp3", "large", "small", 6000, "512Mi", true, nil}
	draw := func() penumbra.Settings {
		var s []penumbra.Setting
		for _, path := range []string{"class", "disk", "buffer", "zone"} {
			if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				s = append(s, penumbra.Setting{Path: path, Value: scalar(rapid.SampledFrom(values).Draw(t, "value"))})
			}
		}
		return penumbra.NewSettings(s...)
	}
	for range rapid.IntRange(1, 100).Draw(t, "observations") {
		at = at.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "minutes")) * time.Minute)
		o := penumbra.Observation{Time: at, Type: "vm", Resource: vm(rapid.IntRange(0, 3).Draw(t, "resource"))}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			o.Kind, o.Settings = penumbra.TemplateKind, draw()
		case 1:
			o.Kind, o.Settings, o.ActorKind = penumbra.EventKind, draw(), penumbra.Automation
			o.Action = rapid.SampledFrom([]string{penumbra.ActionAccept, penumbra.ActionApply, penumbra.ActionDelete, "edit"}).Draw(t, "action")
		case 2:
			o.Kind, o.Settings, o.Source = penumbra.EventKind, draw(), "git:1"
			o.Action = rapid.SampledFrom([]string{"create", "update", "delete"}).Draw(t, "action")
		case 3, 4:
			o.Kind, o.Metrics = penumbra.MetricKind, []penumbra.Metric{{Name: "cpu", Value: rapid.Float64().Draw(t, "cpu")}}
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

func TestAnswersAreProbabilities(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	good, _ := checkpoint(t)
	var other bytes.Buffer
	fleetOnly := shadow.NewPooled(shadow.Options{})
	fleet(fleetOnly, 5, nil)
	if _, err := fleetOnly.WriteTo(&other); err != nil {
		t.Fatal(err)
	}
	weighed := 0
	rapid.Check(t, func(t *rapid.T) {
		m, pooled := bayes.NewModel(bayes.ModelOptions{}), shadow.NewPooled(shadow.Options{})
		if _, err := m.ReadFrom(bytes.NewReader(good)); err != nil {
			t.Fatal(err)
		}
		if _, err := pooled.ReadFrom(bytes.NewReader(other.Bytes())); err != nil {
			t.Fatal(err)
		}
		history := drawHistory(t)
		for i := range history {
			m.Observe(&history[i])
			pooled.Observe(&history[i])
		}
		at := history[len(history)-1].Time.Add(time.Duration(rapid.IntRange(0, 10000).Draw(t, "later")) * time.Minute)
		confidence := rapid.Float64Range(0.5, 0.999).Draw(t, "confidence")
		for i := range 5 {
			r := shown(history, vm(i))
			if i == 4 {
				r = shown(history, vm(0))
				r.Address = "shop/vm.new"
			}
			forecasts, before := m.Forecast(r, at), pooled.Expect(r, at, confidence)
			for k, e := range m.Expect(r, at, confidence) {
				mass := 0.0
				for j, c := range e.Values {
					if !(c.Probability >= 0 && c.Probability <= 1) || j > 0 && c.Probability > e.Values[j-1].Probability {
						t.Fatalf("%s: candidates %+v", e.Path, e.Values)
					}
					mass += c.Probability
				}
				if e.Novel {
					mass += e.NovelProbability
				}
				if cmp.Equal(e, before[k], sameValues) {
					continue // the pooled model's answer is for its own tests
				}
				weighed++
				if mass > 1+1e-9 || e.NovelProbability < 0 || forecasts[k].Path != e.Path {
					t.Fatalf("mass %v: %+v beside the forecast of %s", mass, e, forecasts[k].Path)
				}
			}
		}
	})
	if weighed < 10 {
		t.Errorf("the network had a say in %d answers only", weighed)
	}
}

func TestCheckpointGivesTheSameAnswers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	good, _ := checkpoint(t)
	rapid.Check(t, func(t *rapid.T) {
		opts := bayes.ModelOptions{Cases: 200}
		a, b := bayes.NewModel(opts), bayes.NewModel(opts)
		if _, err := a.ReadFrom(bytes.NewReader(good)); err != nil {
			t.Fatal(err)
		}
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
			r := shown(history, vm(i))
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

func checkpoint(t testing.TB) ([]byte, *bayes.Model) {
	m := bayes.NewModel(bayes.ModelOptions{})
	fleet(m, 5, nil)
	if m.Network("vm") == nil {
		t.Fatal("no network was learnt")
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

func TestDamagedCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	good, m := checkpoint(t)
	newer := bytes.Clone(good)
	newer[17]++
	var pooled bytes.Buffer
	if _, err := shadow.NewPooled(shadow.Options{}).WriteTo(&pooled); err != nil {
		t.Fatal(err)
	}
	bad := map[string][]byte{
		"empty": nil, "foreign": []byte("{}"), "another model's": pooled.Bytes(),
		"short": good[:len(good)-1], "long": append(bytes.Clone(good), 0), "newer": newer,
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		i := random.IntN(len(good))
		b := bytes.Clone(good)
		b[i] ^= 1 << random.IntN(8)
		bad[fmt.Sprint("bit of byte ", i)] = b
	}
	for name, data := range bad {
		if _, err := m.ReadFrom(bytes.NewReader(data)); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
	}
	var after bytes.Buffer
	if _, err := m.WriteTo(&after); err != nil || !bytes.Equal(after.Bytes(), good) {
		t.Fatalf("the state did not stay as it was (%v)", err)
	}
}

// FuzzReadFrom reads anything: an error or a state that can be written again.
func FuzzReadFrom(f *testing.F) {
	good, _ := checkpoint(f)
	f.Add(good)
	f.Add([]byte("penumbra bayes 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := bayes.NewModel(bayes.ModelOptions{})
		if _, err := m.ReadFrom(bytes.NewReader(data)); err == nil {
			if _, err := m.WriteTo(&bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
		} else if penumbra.KindOf(err) != penumbra.Damaged {
			t.Fatal(err)
		}
	})
}

func TestScale(t *testing.T) {
	t.Parallel()
	tallies := func(values ...any) (out []bayes.Tally) {
		for i, v := range values {
			out = append(out, bayes.Tally{Value: scalar(v), Weight: float64(100 - i)})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		values []any
		states []string
		equal  [][2]any // values that share a state
		apart  [][2]any
	}{
		{"few numbers are categories", []any{1, 2, 3}, []string{"1", "2", "3", "other"}, [][2]any{{7, 8}}, [][2]any{{1, 2}, {1, 7}}},
		{"rare categories are one", []any{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"},
			[]string{`"a"`, `"b"`, `"c"`, `"d"`, `"e"`, `"f"`, `"g"`, `"h"`, "other"}, [][2]any{{"i", "j"}, {"j", "never seen"}}, [][2]any{{"a", "i"}}},
		{"amounts are ranges by factors", []any{"1Mi", "4Mi", "16Mi", "64Mi", "256Mi", "1Gi", "4Gi", "16Gi", "64Gi", "256Gi"}, nil,
			[][2]any{{"1Mi", "4Mi"}, {"1Mi", "1Ki"}, {"256Gi", "1Ti"}, {"1024Mi", "1Gi"}}, [][2]any{{"4Mi", "16Mi"}, {"1Mi", "1Gi"}}},
		{"a millicore is a thousandth", []any{"100m", "200m", "500m", "1000m", "2000m", "4000m"}, nil, [][2]any{{"500m", "0.5k"}}[:0], [][2]any{{"100m", "4000m"}}},
	} {
		s := bayes.NewScale(tallies(c.values...))
		if c.states != nil && !slices.Equal(s.States(), c.states) {
			t.Errorf("%s: %q", c.name, s.States())
		}
		if c.states == nil && (s.Kind == 0 || len(s.States()) != bayes.MaxBins) {
			t.Errorf("%s: %+v", c.name, s)
		}
		for _, p := range c.equal {
			if s.State(scalar(p[0])) != s.State(scalar(p[1])) {
				t.Errorf("%s: %v and %v are in different states", c.name, p[0], p[1])
			}
		}
		for _, p := range c.apart {
			if s.State(scalar(p[0])) == s.State(scalar(p[1])) {
				t.Errorf("%s: %v and %v share a state", c.name, p[0], p[1])
			}
		}
	}
}

// TestScaleHasAStateForEverything draws values of all kinds.
func TestScaleHasAStateForEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.Map(rapid.Float64(), penumbra.Number),
			rapid.Map(rapid.IntRange(0, 20), func(i int) penumbra.Value { return scalar(i) }),
			rapid.Map(rapid.StringMatching(`[0-9]{1,3}(Mi|Gi|m|k)?|[a-z]{1,2}`), penumbra.String),
		)
		seen := map[penumbra.Value]bool{}
		var tallies []bayes.Tally
		for _, v := range rapid.SliceOfN(value, 1, 40).Draw(t, "values") {
			if !seen[v] {
				seen[v] = true
				tallies = append(tallies, bayes.Tally{Value: v, Weight: rapid.Float64Range(0.1, 10).Draw(t, "weight")})
			}
		}
		s := bayes.NewScale(tallies)
		names := map[string]bool{}
		for _, name := range s.States() {
			if names[name] {
				t.Fatalf("two states are called %s: %+v", name, s)
			}
			names[name] = true
		}
		if v := value.Draw(t, "another"); s.State(v) != bayes.Missing && int(s.State(v)) >= len(names) {
			t.Fatalf("%v has state %d of %d", v, s.State(v), len(names))
		}
		if !slices.IsSorted(s.Edges) {
			t.Fatalf("edges %v", s.Edges)
		}
	})
}

func TestLevels(t *testing.T) {
	t.Parallel()
	var values []float64
	for i := range 101 {
		values = append(values, float64(i))
	}
	l := bayes.NewLevels(values)
	for x, want := range map[float64]uint8{0: bayes.Drop, 9.9: bayes.Drop, 10: bayes.Lower, 49: bayes.Lower, 50: bayes.Upper, 90: bayes.Upper, 91: bayes.High} {
		if got := l.State(x); got != want {
			t.Errorf("%v is in state %d, want %d", x, got, want)
		}
	}
	still := bayes.NewLevels([]float64{7, 7, 7})
	if still.State(7) != bayes.Upper || still.State(6) != bayes.Drop || still.State(8) != bayes.High || still.State(math.NaN()) != bayes.Missing {
		t.Errorf("%v", still)
	}
}

func BenchmarkObserve(b *testing.B) {
	m := bayes.NewModel(bayes.ModelOptions{})
	fleet(m, 30, nil)
	at := start.Add(30 * day)
	o := penumbra.Observation{Kind: penumbra.SnapshotKind, Resource: vm(0), Type: "vm", Settings: settings("buffer", "large", "class", "m5", "disk", "gp3"), Full: true}
	for i := 0; b.Loop(); i++ {
		o.Time = at.Add(time.Duration(i) * 5 * time.Minute)
		m.Observe(&o)
	}
}

func BenchmarkExpect(b *testing.B) {
	m := bayes.NewModel(bayes.ModelOptions{})
	end := fleet(m, 30, nil)
	r := &penumbra.Resource{Address: vm(0), Type: "vm", Template: settings("buffer", "large", "class", "m5"), Actual: settings("buffer", "large", "class", "m5", "disk", "gp3")}
	for b.Loop() {
		m.Expect(r, end, 0.95)
	}
}
