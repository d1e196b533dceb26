package timeline

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

var start = at("2026-03-01T00:00:00Z")

// settings makes settings of path, value, path, value...; a nil is null.
func settings(pairs ...any) penumbra.Settings {
	var out []penumbra.Setting
	for i := 0; i < len(pairs); i += 2 {
		v := penumbra.Unknown()
		if pairs[i+1] != "?" {
			v = penumbra.Scalar(pairs[i+1])
		}
		out = append(out, penumbra.Setting{Path: pairs[i].(string), Value: v})
	}
	return penumbra.NewSettings(out...)
}

func template(pairs ...any) penumbra.Observation {
	return penumbra.Observation{Kind: penumbra.TemplateKind, Settings: settings(pairs...)}
}

func hinted(o penumbra.Observation, pairs ...any) penumbra.Observation {
	o.Applied = settings(pairs...)
	return o
}

func snapshot(pairs ...any) penumbra.Observation {
	return penumbra.Observation{Kind: penumbra.SnapshotKind, Full: true, Settings: settings(pairs...)}
}

func partial(pairs ...any) penumbra.Observation {
	return penumbra.Observation{Kind: penumbra.SnapshotKind, Settings: settings(pairs...)}
}

func event(source, action string, pairs ...any) penumbra.Observation {
	return penumbra.Observation{Kind: penumbra.EventKind, Source: source, Action: action, Settings: settings(pairs...)}
}

// foldAll folds the observations, a minute after each other.
func foldAll(obs ...penumbra.Observation) penumbra.Resource {
	var r penumbra.Resource
	for i := range obs {
		obs[i].Resource, obs[i].Time = "s/t.n", minute(i)
		Fold(&r, &obs[i])
	}
	return r
}

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

func TestFold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		obs  []penumbra.Observation
		want penumbra.Resource
	}{
		"template replaces, nulls are undeclared": {
			[]penumbra.Observation{template("a", 1, "b", 2), template("b", 3, "c", nil)},
			penumbra.Resource{Template: settings("b", 3), TemplateTime: minute(1)},
		},
		"full snapshot replaces": {
			[]penumbra.Observation{snapshot("a", 1, "b", 2), snapshot("b", 2, "c", nil)},
			penumbra.Resource{Actual: settings("b", 2), PriorSnapshot: minute(0), SnapshotTime: minute(1)},
		},
		"partial snapshot merges, null removes": {
			[]penumbra.Observation{snapshot("a", 1, "b", 2, "c", 3), partial("a", 9, "b", nil, "z", nil)},
			penumbra.Resource{Actual: settings("a", 9, "c", 3), PriorSnapshot: minute(0), SnapshotTime: minute(1)},
		},
		"not checked leaves what was there": {
			[]penumbra.Observation{snapshot("a", 1), {Kind: penumbra.SnapshotKind, NotChecked: "throttled"}},
			penumbra.Resource{Actual: settings("a", 1), SnapshotTime: minute(0), NotChecked: "throttled"},
		},
		"a read ends not checked": {
			[]penumbra.Observation{{Kind: penumbra.SnapshotKind, NotChecked: "throttled"}, snapshot("a", 1)},
			penumbra.Resource{Actual: settings("a", 1), SnapshotTime: minute(1)},
		},
		"settled, unknown agrees, undeclared does not count": {
			[]penumbra.Observation{template("a", 1, "arn", "?"), snapshot("a", 1, "arn", "x", "z", 1), snapshot("a", 2)},
			penumbra.Resource{Template: settings("a", 1, "arn", "?"), TemplateTime: minute(0),
				Actual: settings("a", 2), PriorSnapshot: minute(1), SnapshotTime: minute(2), Settled: minute(1)},
		},
		"the code moved on": {
			[]penumbra.Observation{template("a", 1, "b", 1), snapshot("a", 1, "b", 1), template("a", 2, "b", 1)},
			penumbra.Resource{Template: settings("a", 2, "b", 1), TemplateTime: minute(2),
				Actual: settings("a", 1, "b", 1), SnapshotTime: minute(1), Settled: minute(1), Applied: settings("a", 1)},
		},
		"the code moved on twice": {
			[]penumbra.Observation{template("a", 1), snapshot("a", 1), template("a", 2), template("a", 3), template("a", 3)},
			penumbra.Resource{Template: settings("a", 3), TemplateTime: minute(4),
				Actual: settings("a", 1), SnapshotTime: minute(1), Settled: minute(1), Applied: settings("a", 1)},
		},
		"the code went back": {
			[]penumbra.Observation{template("a", 1), snapshot("a", 1), template("a", 2), template("a", 1)},
			penumbra.Resource{Template: settings("a", 1), TemplateTime: minute(3),
				Actual: settings("a", 1), SnapshotTime: minute(1), Settled: minute(3)},
		},
		"applied at last": {
			[]penumbra.Observation{template("a", 1), snapshot("a", 1), template("a", 2), snapshot("a", 2)},
			penumbra.Resource{Template: settings("a", 2), TemplateTime: minute(2),
				Actual: settings("a", 2), PriorSnapshot: minute(1), SnapshotTime: minute(3), Settled: minute(3)},
		},
		"pending stays through a drift elsewhere": {
			[]penumbra.Observation{template("a", 1, "b", 1), snapshot("a", 1, "b", 1), template("a", 2, "b", 2), snapshot("a", 1, "b", 2), snapshot("a", 7, "b", 2)},
			penumbra.Resource{Template: settings("a", 2, "b", 2), TemplateTime: minute(2),
				Actual: settings("a", 7, "b", 2), PriorSnapshot: minute(3), SnapshotTime: minute(4), Settled: minute(1), Applied: settings("a", 1)},
		},
		"a drift is not pending when the code moves": {
			[]penumbra.Observation{template("a", 1), snapshot("a", 1), snapshot("a", 5), template("a", 2)},
			penumbra.Resource{Template: settings("a", 2), TemplateTime: minute(3),
				Actual: settings("a", 5), PriorSnapshot: minute(1), SnapshotTime: minute(2), Settled: minute(1)},
		},
		"newly declared": {
			[]penumbra.Observation{template("a", 1), snapshot("a", 1, "b", 5), template("a", 1, "b", 6, "c", 7, "d", "?")},
			penumbra.Resource{Template: settings("a", 1, "b", 6, "c", 7, "d", "?"), TemplateTime: minute(2),
				Actual: settings("a", 1, "b", 5), SnapshotTime: minute(1), Settled: minute(1), Applied: settings("b", 5, "c", nil)},
		},
		"the first template tells nothing of what was applied": {
			[]penumbra.Observation{snapshot("a", 1), template("a", 2)},
			penumbra.Resource{Template: settings("a", 2), TemplateTime: minute(1), Actual: settings("a", 1), SnapshotTime: minute(0)},
		},
		"hint with the first template": {
			[]penumbra.Observation{hinted(template("a", 2, "b", 1), "a", 1, "z", 1), snapshot("a", 1, "b", 1)},
			penumbra.Resource{Template: settings("a", 2, "b", 1), TemplateTime: minute(0),
				Actual: settings("a", 1, "b", 1), SnapshotTime: minute(1), Applied: settings("a", 1)},
		},
		"hint of a change before the first read": {
			[]penumbra.Observation{template("a", 1, "b", 1), hinted(template("a", 2, "b", 1), "a", 1, "b", 9)},
			penumbra.Resource{Template: settings("a", 2, "b", 1), TemplateTime: minute(1), Applied: settings("a", 1)},
		},
		"hint after a drift that a refresh wrote into the state": {
			[]penumbra.Observation{template("a", 1, "b", 1), snapshot("a", 1, "b", 9), snapshot("a", 5, "b", 9), hinted(template("a", 1, "b", 1), "a", 5)},
			penumbra.Resource{Template: settings("a", 1, "b", 1), TemplateTime: minute(3),
				Actual: settings("a", 5, "b", 9), PriorSnapshot: minute(1), SnapshotTime: minute(2)},
		},
		"hint that says nothing new": {
			[]penumbra.Observation{hinted(template("a", 1), "a", 1), snapshot("a", 1)},
			penumbra.Resource{Template: settings("a", 1), TemplateTime: minute(0),
				Actual: settings("a", 1), SnapshotTime: minute(1), Settled: minute(1)},
		},
		"code mined from a repository": {
			[]penumbra.Observation{event("git:1", "create", "a", 1, "b", 2), event("git:2", "update", "b", nil, "c", 3)},
			penumbra.Resource{Template: settings("a", 1, "c", 3), TemplateTime: minute(1)},
		},
		"code deleted and created again": {
			[]penumbra.Observation{event("git:1", "create", "a", 1), event("git:2", "delete"), event("git:3", "create", "b", 2)},
			penumbra.Resource{Template: settings("b", 2), TemplateTime: minute(2)},
		},
		"code deleted": {
			[]penumbra.Observation{event("git:1", "create", "a", 1), event("git:2", "delete")},
			penumbra.Resource{TemplateTime: minute(1), Deleted: true},
		},
		"a new life": {
			[]penumbra.Observation{template("a", 1), snapshot("a", 1, "b", 1), {Kind: penumbra.MetricKind}, template("a", 2), event("log", penumbra.ActionDelete), partial("c", 3)},
			penumbra.Resource{Template: settings("a", 2), TemplateTime: minute(3), Actual: settings("c", 3), SnapshotTime: minute(5),
				Recent: []penumbra.Touch{{Time: minute(4), Action: penumbra.ActionDelete, Source: "log"}}},
		},
	}
	ignoreIdentity := cmpopts.IgnoreFields(penumbra.Touch{}, "Event")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.want.Address = "s/t.n"
			if diff := cmp.Diff(tt.want, foldAll(tt.obs...), compareValues, cmpopts.EquateEmpty(), ignoreIdentity); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestFoldEvent(t *testing.T) {
	t.Parallel()
	obs := []penumbra.Observation{snapshot("a", 1)}
	for i := range penumbra.RecentEvents + 2 {
		e := event("log", fmt.Sprint("edit ", i), "a", 2+i)
		e.Actor, e.ActorKind = "alice", penumbra.User
		obs = append(obs, e)
	}
	r := foldAll(obs...)
	if got := r.Actual.Get("a"); got != penumbra.Number(1) {
		t.Errorf("an event changed the actual value to %v", got)
	}
	if len(r.Recent) != penumbra.RecentEvents {
		t.Fatalf("remembers %d events, want %d", len(r.Recent), penumbra.RecentEvents)
	}
	last := penumbra.Touch{
		Event: obs[len(obs)-1].Identity(), Time: minute(len(obs) - 1),
		Actor: "alice", ActorKind: penumbra.User, Action: "edit 9", Source: "log", Paths: []string{"a"},
	}
	if diff := cmp.Diff(last, r.Recent[len(r.Recent)-1]); diff != "" {
		t.Errorf("last event (-want +got)\n%s", diff)
	}
	if r.Recent[0].Action != "edit 2" {
		t.Errorf("first event is %q, want the third", r.Recent[0].Action)
	}
}

func TestFoldLate(t *testing.T) {
	t.Parallel()
	r := foldAll(template("a", 1), snapshot("a", 1), event("log", "zero"), event("log", "first"), template("a", 2), snapshot("a", 2), event("log", "last"))
	want := r
	for _, o := range []penumbra.Observation{template("a", 9), snapshot("a", 9), event("git:0", "delete"), {Kind: penumbra.SnapshotKind, NotChecked: "throttled"}} {
		o.Time, o.Resource = start.Add(-time.Minute), "s/t.n"
		Fold(&r, &o)
	}
	if diff := cmp.Diff(want, r, compareValues); diff != "" {
		t.Errorf("what came late changed the resource (-want +got)\n%s", diff)
	}
	forks := []penumbra.Resource{r, r}
	for i, want := range [][]string{{"zero", "first", "between", "last"}, {"zero", "first", "last", "after"}} {
		e := event("log", want[i+2])
		e.Time = minute(5 + 4*i)
		Fold(&forks[i], &e)
	}
	for i, want := range [][]string{{"zero", "first", "between", "last"}, {"zero", "first", "last", "after"}} {
		var actions []string
		for _, x := range forks[i].Recent {
			actions = append(actions, x.Action)
		}
		if !slices.Equal(actions, want) {
			t.Errorf("events are remembered as %q, want %q", actions, want)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	metric := penumbra.Observation{Kind: penumbra.MetricKind, Metrics: []penumbra.Metric{{Name: "cpu", Value: 1}}}
	obs := []penumbra.Observation{metric, snapshot("a", 2), event("log", "edit", "a", 2), template("a", 1)}
	for i := range obs {
		obs[i].Time, obs[i].Resource = start, "s/t.n"
	}
	early := obs[0]
	early.Time = start.Add(-time.Second)
	given := append(slices.Clone(obs), early, obs[1])
	before := slices.Clone(given)
	want := []penumbra.Observation{early, obs[3], obs[2], obs[1], obs[0]}
	if diff := cmp.Diff(want, Order(given), compareValues); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(before, given, compareValues); diff != "" {
		t.Errorf("Order changed what it was given\n%s", diff)
	}
}

// TestOrderOfRepeats takes observations with one identity that differ in what
// the identity leaves out: the same one stays, whichever came first.
func TestOrderOfRepeats(t *testing.T) {
	t.Parallel()
	o := event("log", "edit", "a", 1)
	o.Time, o.Seen, o.Resource, o.ID = start, start, "s/t.n", "e-1"
	marked, seenLater, other := o, o, o
	marked.Settings = penumbra.Settings{{Path: "a", Value: penumbra.Number(1), Sensitive: true}}
	seenLater.Seen = start.Add(time.Second)
	other.Message = "other words"
	for name, tt := range map[string]struct {
		repeat penumbra.Observation
		keep   *penumbra.Observation // nil if either may stay
	}{
		"marked as sensitive": {marked, &marked},
		"seen later":          {seenLater, &o},
		"other words":         {other, nil},
	} {
		got, turned := Order([]penumbra.Observation{o, tt.repeat}), Order([]penumbra.Observation{tt.repeat, o})
		if diff := cmp.Diff(got, turned, compareValues); diff != "" || len(got) != 1 {
			t.Fatalf("%s: %d observations stay, and it matters which came first\n%s", name, len(got), diff)
		}
		if tt.keep != nil {
			if diff := cmp.Diff(*tt.keep, got[0], compareValues); diff != "" {
				t.Errorf("%s: the wrong one stays (-want +got)\n%s", name, diff)
			}
		}
	}
}

// drawHistory draws observations of few resources, paths, values and times, so
// that they meet often; some share an identifier and differ all the same.
func drawHistory(t *rapid.T) []penumbra.Observation {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) penumbra.Observation {
		o := penumbra.Observation{
			Kind:     penumbra.ObservationKind(rapid.IntRange(1, 4).Draw(t, "kind")),
			Time:     minute(rapid.IntRange(0, 8).Draw(t, "minute")),
			Seen:     minute(rapid.IntRange(0, 3).Draw(t, "seen")),
			Resource: rapid.SampledFrom([]penumbra.Address{"s/t.a", "s/t.b"}).Draw(t, "resource"),
			Type:     rapid.SampledFrom([]string{"", "t", "u"}).Draw(t, "type"),
			Source:   rapid.SampledFrom([]string{"log", "git:1"}).Draw(t, "source"),
			ID:       rapid.SampledFrom([]string{"", "", "", "x", "y"}).Draw(t, "id"),
			Action:   rapid.SampledFrom([]string{"create", "update", "edit", "delete"}).Draw(t, "action"),
			Full:     rapid.Bool().Draw(t, "full"),
		}
		for _, to := range []*penumbra.Settings{&o.Settings, &o.Applied} {
			for _, path := range []string{"a", "b", "c"} {
				v := rapid.SampledFrom([]penumbra.Value{penumbra.Null(), penumbra.Number(1), penumbra.Number(2), penumbra.Unknown()}).Draw(t, "value")
				if rapid.Bool().Draw(t, "there") {
					*to = append(*to, penumbra.Setting{Path: path, Value: v, Sensitive: rapid.Bool().Draw(t, "sensitive")})
				}
			}
		}
		if o.Kind == penumbra.MetricKind {
			o.Metrics = []penumbra.Metric{{Name: "cpu", Value: 1}}
		}
		if o.Kind == penumbra.SnapshotKind && rapid.IntRange(0, 4).Draw(t, "not checked") == 0 {
			o.Settings, o.NotChecked = nil, "throttled"
		}
		return o
	}), 0, 30).Draw(t, "history")
}

func foldHistory(obs []penumbra.Observation) map[penumbra.Address]penumbra.Resource {
	resources := make(map[penumbra.Address]penumbra.Resource)
	for _, o := range Order(obs) {
		r := resources[o.Resource]
		Fold(&r, &o)
		resources[o.Resource] = r
	}
	return resources
}

func TestArrivalChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		obs := drawHistory(t)
		want := foldHistory(obs)
		arrived := slices.Clone(obs)
		if len(obs) > 0 {
			arrived = append(arrived, rapid.SliceOf(rapid.SampledFrom(obs)).Draw(t, "repeats")...)
		}
		arrived = rapid.Permutation(arrived).Draw(t, "arrival")
		if diff := cmp.Diff(Order(obs), Order(arrived), compareValues); diff != "" {
			t.Fatalf("another order (-want +got)\n%s", diff)
		}
		if diff := cmp.Diff(want, foldHistory(arrived), compareValues); diff != "" {
			t.Fatalf("other resources (-want +got)\n%s", diff)
		}
	})
}

// TestFoldKeepsItsInvariants checks what must hold of a resource after every
// step, and that no step writes into what earlier ones handed out.
func TestFoldKeepsItsInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type step struct{ resource, copied penumbra.Resource }
		var steps []step
		var r penumbra.Resource
		for _, o := range Order(drawHistory(t)) {
			Fold(&r, &o)
			c := r
			c.Template, c.Actual, c.Applied = slices.Clone(r.Template), slices.Clone(r.Actual), slices.Clone(r.Applied)
			c.Recent = slices.Clone(r.Recent)
			steps = append(steps, step{r, c})

			for _, x := range r.Applied {
				template, declared := r.Template.Find(x.Path)
				if !declared || template.Value == x.Value || !r.SnapshotTime.IsZero() && template.Value.Agrees(r.Actual.Get(x.Path)) {
					t.Fatalf("%s is held as not applied though the template has %v and the resource %v", x.Path, template.Value, r.Actual.Get(x.Path))
				}
			}
			for _, s := range []penumbra.Settings{r.Template, r.Actual} {
				if slices.ContainsFunc(s, func(x penumbra.Setting) bool { return x.Value.IsNull() }) {
					t.Fatalf("keeps a null: %v", s)
				}
			}
		}
		for i, s := range steps {
			if diff := cmp.Diff(s.copied, s.resource, compareValues, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("a step after %d wrote into the past (-was +is)\n%s", i, diff)
			}
		}
	})
}

func BenchmarkFold(b *testing.B) {
	values := make([][]any, 2)
	for i := range values {
		for k := range 15 {
			values[i] = append(values[i], fmt.Sprintf("block.%02d.name", k), k+i*(k%3))
		}
	}
	obs := []penumbra.Observation{template(values[0]...), snapshot(values[0]...), event("log", "edit", "block.00.name", 1), snapshot(values[1]...), template(values[1]...)}
	b.ReportAllocs()
	for b.Loop() {
		foldAll(obs...)
	}
	b.ReportMetric(float64(len(obs))*float64(b.N)/b.Elapsed().Seconds(), "observations/s")
}

func BenchmarkOrder(b *testing.B) {
	var obs []penumbra.Observation
	for i := range 10000 {
		o := snapshot("a", i, "b", "x", "c", true)
		o.Time, o.Resource = minute(i*7919%10000), "s/t.n"
		obs = append(obs, o)
	}
	for b.Loop() {
		Order(obs)
	}
	b.ReportMetric(float64(len(obs))*float64(b.N)/b.Elapsed().Seconds(), "observations/s")
}

// A commit that a live input tells of says who moved the code, apart from what
// touched the resource, and changes nothing itself.
func TestFoldCommit(t *testing.T) {
	t.Parallel()
	r := penumbra.Resource{}
	fold := func(minute int, o penumbra.Observation) {
		o.Time, o.Resource = start.Add(time.Duration(minute)*time.Minute), "shop/vm.a"
		Fold(&r, &o)
	}
	by := func(actor string, o penumbra.Observation) penumbra.Observation {
		o.Actor, o.ActorKind = actor, penumbra.User
		return o
	}
	fold(0, template("size", 1, "load", 1))
	fold(1, snapshot("size", 1, "load", 1))
	fold(3, by("bob", event("git:2", penumbra.ActionCommit, "size", 2)))
	fold(2, by("ann", event("git:1", penumbra.ActionCommit))) // comes late, and may be about anything
	fold(4, by("eve", event("log", "edit", "size", 3)))
	if len(r.Recent) != 1 || r.Recent[0].Actor != "eve" || len(r.Commits) != 2 || r.Commits[0].Actor != "ann" {
		t.Errorf("touched by %+v, the code by %+v", r.Recent, r.Commits)
	}
	if !r.Template.Equal(settings("size", 1, "load", 1)) || len(r.Applied) != 0 || r.Deleted {
		t.Errorf("a commit changed %+v", r)
	}
	for path, want := range map[string]string{"size": "bob", "load": "ann", "size.0": "bob", "": "bob"} {
		if c := r.Mover(path); c == nil || c.Actor != want {
			t.Errorf("%q was moved by %+v, want %s", path, c, want)
		}
	}
	for i := range 3 * penumbra.RecentEvents {
		fold(5+i, event("log", "edit"))
	}
	if r.Mover("size") == nil || len(r.Recent) != penumbra.RecentEvents {
		t.Error("events pushed the commit out")
	}
}
