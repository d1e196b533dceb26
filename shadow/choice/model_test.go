package choice

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"pgregory.net/rapid"
)

var (
	start  = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	values = cmp.AllowUnexported(penumbra.Value{})
)

const day = 24 * time.Hour

// estate is code that commits change.
type estate struct {
	*beside
	commits int
	live    map[string]*penumbra.Resource
}

func newEstate() *estate {
	return &estate{beside: newBeside(Options{}), live: map[string]*penumbra.Resource{}}
}

func value(x any) penumbra.Value {
	switch x := x.(type) {
	case bool:
		return penumbra.Bool(x)
	case int:
		return penumbra.Number(float64(x))
	case string:
		return penumbra.String(x)
	}
	return penumbra.Null()
}

// code sets a path of resources in one commit.
func (e *estate) code(at time.Time, path string, x any, names ...string) {
	e.commits++
	for _, name := range names {
		action := "update"
		r := e.live[name]
		if r == nil {
			action = "create"
			r = &penumbra.Resource{Address: penumbra.Address("live/" + name + "/vm.main"), Type: "vm"}
			e.live[name] = r
		}
		s := penumbra.NewSettings(penumbra.Setting{Path: path, Value: value(x)})
		r.Actual = r.Actual.Merge(s)
		e.Observe(&penumbra.Observation{
			Kind: penumbra.EventKind, Time: at, Source: fmt.Sprint("git:", e.commits), Action: action,
			Resource: r.Address, Type: r.Type, Settings: s,
		})
	}
}

// likeliest returns the value that the setting would most likely take.
func (e *estate) likeliest(at time.Time, name, path string) string {
	c := e.values.Choose(e.live[name], path, at)
	if len(c) == 0 {
		return ""
	}
	return c[0].Value.Text()
}

func names(prefix string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

func TestLikeliest(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		path  string
		past  func(e *estate)
		asked string
		want  string
	}{
		"where peers went that had its value": {"tier", func(e *estate) {
			e.code(start, "tier", "bronze", names("a", 6)...)
			e.code(start, "tier", "tin", names("b", 3)...)
			for i, n := range names("a", 4) {
				e.code(start.Add(time.Duration(i+1)*day), "tier", "silver", n)
			}
			for i, n := range names("b", 2) {
				e.code(start.Add(time.Duration(i+9)*day), "tier", "lead", n)
			}
		}, "a5", "silver"},
		"a switch flips": {"on", func(e *estate) { e.code(start, "on", true, "a") }, "a", "false"},
		"the edit of a peer": {"image", func(e *estate) {
			for i, n := range names("r", 3) {
				e.code(start, "image", n+":1.2-slim", n)
				e.code(start.Add(time.Duration(i+1)*day), "image", n+":1.3-slim", n)
			}
			e.code(start, "image", "other:1.2-slim", "x")
		}, "x", "other:1.3-slim"},
		"an element that peers added": {"zones", func(e *estate) {
			e.code(start, "zones", "[a, z]", "x")
			for i, n := range names("p", 4) {
				e.code(start, "zones", "[a, "+n+"]", n)
				e.code(start.Add(time.Duration(i+1)*day), "zones", "[a, "+n+", c]", n)
			}
		}, "x", "[a, z, c]"},
		"the next version": {"version", func(e *estate) {
			e.code(start, "version", "1.4.0", names("p", 4)...)
			for i := range 6 {
				e.code(start.Add(time.Duration(i+1)*day), "version", fmt.Sprintf("1.4.%d", i+1), names("p", 4)...)
			}
		}, "p1", "1.4.7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEstate()
			x.past(e)
			if got := e.likeliest(start.Add(30*day), x.asked, x.path); got != x.want {
				t.Errorf("chose %q, want %q of %v", got, x.want, e.values.Choose(e.live[x.asked], x.path, start.Add(30*day)))
			}
		})
	}
}

// TestCommitIsLearntTogether holds a model against one that is told the same
// commit in another order.
func TestCommitIsLearntTogether(t *testing.T) {
	t.Parallel()
	a, b := newEstate(), newEstate()
	for i := range 8 {
		at := start.Add(time.Duration(i) * day)
		a.code(at, "tier", fmt.Sprint("v", i/2), "x", "y", "z")
		b.code(at, "tier", fmt.Sprint("v", i/2), "z", "x", "y")
	}
	at := start.Add(20 * day)
	near := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })
	if d := cmp.Diff(a.Choose(a.live["x"], "tier", at), b.Choose(b.live["x"], "tier", at), values, near); d != "" {
		t.Error(d)
	}
}

// drawHistory draws a history of code and, with drifts, of snapshots.
func drawHistory(t *rapid.T) []penumbra.Observation {
	var out []penumbra.Observation
	at := start
	kinds := []any{1, 2, 40, "a", "b:1.2", "b:1.3", "512Mi", true, false, "[a, b]", "[a]", "module.x.y", nil}
	for i := range rapid.IntRange(1, 50).Draw(t, "observations") {
		at = at.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "minutes")) * time.Minute)
		var s []penumbra.Setting
		for _, path := range []string{"size", "tags.team", "ports.0.number", "ports.1.number"} {
			if rapid.IntRange(0, 2).Draw(t, "there") > 0 {
				s = append(s, penumbra.Setting{Path: path, Value: value(rapid.SampledFrom(kinds).Draw(t, "value"))})
			}
		}
		o := penumbra.Observation{Time: at, Type: "vm", Resource: penumbra.Address(fmt.Sprint("live/vm.", rapid.IntRange(0, 3).Draw(t, "resource"))), Settings: penumbra.NewSettings(s...)}
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			o.Kind = penumbra.TemplateKind
		case 1, 2:
			o.Kind, o.Full = penumbra.SnapshotKind, rapid.Bool().Draw(t, "full")
		default:
			o.Kind, o.Source, o.Action = penumbra.EventKind, fmt.Sprint("git:", i), rapid.SampledFrom([]string{"create", "update"}).Draw(t, "action")
		}
		out = append(out, o)
	}
	return out
}

func resources(history []penumbra.Observation) []*penumbra.Resource {
	var out []*penumbra.Resource
	for i := range 4 {
		r := &penumbra.Resource{Address: penumbra.Address(fmt.Sprint("live/vm.", i)), Type: "vm"}
		for _, o := range history {
			switch {
			case o.Resource != r.Address:
			case o.Kind == penumbra.TemplateKind:
				r.Template = penumbra.Settings(nil).Merge(o.Settings)
			default:
				r.Actual = r.Actual.Merge(o.Settings)
			}
		}
		out = append(out, r)
	}
	return out
}

func half(string) (float64, bool) { return 0.4, true }

func TestAnswersAreProbabilities(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newBeside(Options{})
		history := drawHistory(t)
		for i := range history {
			m.Observe(&history[i])
		}
		at := history[len(history)-1].Time.Add(time.Hour)
		confidence := rapid.Float64Range(0.5, 0.999).Draw(t, "confidence")
		q := half
		if rapid.Bool().Draw(t, "own rates") {
			q = nil
		}
		for _, r := range resources(history) {
			for _, x := range r.Actual {
				mass := 0.0
				for _, c := range m.Choose(r, x.Path, at) {
					mass += c.Probability
				}
				set := m.ChooseSet(r, x.Path, at, confidence)
				if mass > 1+1e-9 || !set.Novel && len(set.Values) == 0 || set.NovelProbability < 0 || set.NovelProbability > 1 {
					t.Fatalf("%s: mass %v, set %+v", x.Path, mass, set)
				}
			}
			for _, e := range m.values.Expect(r, at, confidence, q) {
				mass := 0.0
				for i, c := range e.Values {
					if !(c.Probability >= 0) || i > 0 && c.Probability > e.Values[i-1].Probability {
						t.Fatalf("%+v", e)
					}
					mass += c.Probability
				}
				if e.Novel {
					mass += e.NovelProbability
				}
				if mass > 1+1e-6 {
					t.Fatalf("mass %v: %+v", mass, e)
				}
			}
		}
	})
}

// TestDriftIsNeverLearnt compares an estate in which a setting departs with one
// in which it does not: what is expected of any setting is the same, whatever
// else the estate has seen.
func TestDriftIsNeverLearnt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		stays, drifts := newBeside(Options{}), newBeside(Options{})
		see := func(at time.Time, name, x string, both bool) {
			o := &penumbra.Observation{Kind: penumbra.SnapshotKind, Full: true, Time: at, Type: "vm", Resource: penumbra.Address("live/vm." + name), Settings: penumbra.NewSettings(
				penumbra.Setting{Path: "tier", Value: penumbra.String(x)})}
			drifts.Observe(o)
			if both {
				stays.Observe(o)
			}
		}
		at := start
		for range 6 {
			for _, name := range names("p", 5) {
				see(at, name, "bronze", true)
			}
			at = at.Add(day)
		}
		drift := rapid.SampledFrom([]string{"gold", "bronze2", "[x]", "1.2.3"}).Draw(t, "drift")
		gone := map[string]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "drifts") {
			name := rapid.SampledFrom(names("p", 5)[:4]).Draw(t, "which")
			at = at.Add(time.Hour)
			gone[name] = true
			see(at, name, drift, false)
		}
		confidence := rapid.Float64Range(0.5, 0.9999).Draw(t, "confidence")
		for _, name := range names("p", 5) {
			r := &penumbra.Resource{Address: penumbra.Address("live/vm." + name), Type: "vm", Actual: penumbra.NewSettings(penumbra.Setting{Path: "tier", Value: penumbra.String("bronze")})}
			for _, e := range drifts.values.Expect(r, at.Add(day), confidence, half) {
				for _, c := range e.Values {
					if c.Value.Text() == drift {
						t.Fatalf("%s: the drift is in %+v", name, e)
					}
				}
				if gone[name] && (e.Novel || e.Likely().Text() != "bronze") {
					t.Fatalf("%s is away and %+v is expected", name, e)
				}
			}
		}
		// Where nothing departed the answers are as if nothing had anywhere.
		r := &penumbra.Resource{Address: "live/vm.p4", Type: "vm", Actual: penumbra.NewSettings(penumbra.Setting{Path: "tier", Value: penumbra.String("bronze")})}
		one, other := stays.values.Expect(r, at.Add(day), confidence, half), drifts.values.Expect(r, at.Add(day), confidence, half)
		for i := range one {
			one[i].Support, other[i].Support = 0, 0
		}
		if d := cmp.Diff(one, other, values); d != "" {
			t.Fatal(d)
		}
	})
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		history := drawHistory(t)
		a := newBeside(Options{})
		for i := range history {
			a.Observe(&history[i])
		}
		data, err := a.values.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		b := New(a.Pooled, Options{})
		if err := b.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		at := history[len(history)-1].Time.Add(time.Hour)
		for _, r := range resources(history) {
			for _, x := range r.Actual {
				if d := cmp.Diff(a.Choose(r, x.Path, at), b.Choose(r, x.Path, at), values); d != "" {
					t.Fatal(d)
				}
				if d := cmp.Diff(a.ChooseSet(r, x.Path, at, 0.9), b.ChooseSet(r, x.Path, at, 0.9), values); d != "" {
					t.Fatal(d)
				}
			}
		}
		again, err := b.MarshalBinary()
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("the same state gave %d and %d bytes (%v)", len(data), len(again), err)
		}
	})
}

func TestDamagedCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	e := newEstate()
	e.code(start, "tier", "a", names("x", 3)...)
	e.code(start.Add(day), "tier", "b", names("x", 2)...)
	good, err := e.values.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 1 + len(good)/97 {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if err := e.values.UnmarshalBinary(bad); penumbra.KindOf(err) != penumbra.Damaged {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if err := e.values.UnmarshalBinary(good[:len(good)/2]); penumbra.KindOf(err) != penumbra.Damaged {
		t.Fatal(err)
	}
	if after, _ := e.values.MarshalBinary(); !bytes.Equal(good, after) {
		t.Error("a refused checkpoint changed the state")
	}
}

// TestSetsHold asks for the next value on a made stream in which a part of the
// changes goes to something new, and holds the coverage to what was asked for.
func TestSetsHold(t *testing.T) {
	t.Parallel()
	e := newEstate()
	all := names("x", 12)
	e.code(start, "tier", "v0", all...)
	var held [3]float64
	confidences := [...]float64{0.9, 0.95, 0.99}
	n := 0.0
	for i := range 3000 {
		at := start.Add(time.Duration(i+1) * 6 * time.Hour)
		name := all[(i*7)%len(all)]
		x := fmt.Sprint("v", (i*i+i/3)%4)
		if (i*31)%17 < 3 {
			x = fmt.Sprint("new", i)
		}
		if now := e.live[name].Actual.Get("tier"); now.Text() == x {
			continue
		}
		if i > 300 {
			n++
			for k, confidence := range confidences {
				set := e.values.ChooseSet(e.live[name], "tier", at, confidence)
				if set.Contains(value(x)) {
					held[k]++
				}
			}
		}
		e.code(at, "tier", x, name)
	}
	for k, confidence := range confidences {
		if got := held[k] / n; got < confidence-0.03 || got > confidence+0.03 {
			t.Errorf("covers %.3f at %v of %v", got, confidence, n)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ text, patch, minor string }{
		{"1.2.3", "1.2.4", "1.3.0"}, {"v1.9", "v1.10", "v2.0"}, {"repo:4.10.1", "repo:4.10.2", "repo:4.11.0"}, {"postgres14", "postgres15", ""},
	} {
		v := penumbra.String(x.text)
		n, ok := parse(v)
		if !ok {
			t.Fatalf("%s is no version", x.text)
		}
		if got, _ := n.raised(n.n-1, v); got.Text() != x.patch {
			t.Errorf("after %s comes %s, want %s", x.text, got.Text(), x.patch)
		}
		if x.minor != "" {
			if got, _ := n.raised(n.n-2, v); got.Text() != x.minor {
				t.Errorf("after %s comes %s, want %s", x.text, got.Text(), x.minor)
			}
		}
	}
	a, _ := parse(penumbra.String("1.10"))
	b, _ := parse(penumbra.String("1.9.3"))
	if a.compare(&b) <= 0 {
		t.Error("1.10 is not newer than 1.9.3")
	}
	for _, text := range []string{"", "main", "v1.2@sha256:ab", "1.02", "1.2.3.4.5"} {
		if x, ok := parse(penumbra.String(text)); ok {
			t.Errorf("%q is %+v", text, x)
		}
	}
	number := penumbra.Number(14.9)
	n, _ := parse(number)
	if v, ok := n.raised(1, number); ok {
		t.Errorf("no number is %v: its last zero is lost", v)
	}
}

func TestEdited(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ from, to, own, want string }{
		{"repo:1.2", "repo:1.3", "other:1.2", "other:1.3"},
		{"a.old.io", "a.new.io", "b.old.io/x", "b.new.io/x"},
		{"[a, b]", "[a]", "[b, c]", "[c]"},
		{"[a]", "[a, d]", "[c]", "[c, d]"},
		{"db.t3.small", "db.t4g.small", "db.t3.large", "db.t4g.large"},
		{"1.2.0", "1.3.0", "1.2.5", ""},
		{"x", "y", "z", ""},
	} {
		v, _ := edited(penumbra.String(x.from), penumbra.String(x.to), penumbra.String(x.own))
		if v.Text() != x.want && !(x.want == "" && v.Text() == x.own) {
			t.Errorf("%s to %s makes of %s %q, want %q", x.from, x.to, x.own, v.Text(), x.want)
		}
	}
	if v, ok := scaled(penumbra.String("512Mi"), penumbra.String("1024Mi"), penumbra.String("2Gi")); !ok || v.Text() != "4Gi" {
		t.Errorf("twice 2Gi is %v", v)
	}
}

func BenchmarkChoose(b *testing.B) {
	e := newEstate()
	all := names("x", 50)
	e.code(start, "tier", "v0", all...)
	for i := range 400 {
		e.code(start.Add(time.Duration(i)*time.Hour), "tier", fmt.Sprint("v", i%14), all[i%50])
	}
	at := start.Add(100 * day)
	for i := 0; b.Loop(); i++ {
		e.values.Choose(e.live[all[i%50]], "tier", at)
	}
}

// BenchmarkExpect asks for ten settings of which most stay.
func BenchmarkExpect(b *testing.B) {
	e := newEstate()
	all := names("x", 20)
	for i := range 10 {
		e.code(start, fmt.Sprint("path", i), fmt.Sprint("v", i), all...)
	}
	e.code(start.Add(day), "path3", "w", all[:4]...)
	at := start.Add(100 * day)
	rare := func(string) (float64, bool) { return 0.003, true }
	for i := 0; b.Loop(); i++ {
		e.values.Expect(e.live[all[i%20]], at, 0.95, rare)
	}
}

// TestShippedPriorFits holds that what is shipped is of this program's origins
// and features: another would be left aside without a word.
func TestShippedPriorFits(t *testing.T) {
	t.Parallel()
	fresh, generic := newState(Options{}), newWeights()
	changed := 0
	for i, w := range fresh.weights.W {
		if w != generic.W[i] {
			changed++
		}
	}
	if changed < features || fresh.estate.Asked[latest] == 0 {
		t.Errorf("the shipped prior sets %d weights and %v rates of the latest: write it anew with TestRefit", changed, fresh.estate.Asked[latest])
	}
}

var _ shadow.Chooser = (*estate)(nil)
