package proposal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestPart(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "log_level", "memory", "tags.team")
	ev.Drift.Findings[1].Sensitive = true
	for _, c := range []struct {
		name   string
		only   []string
		revert bool
		left   []string // what a plan with the patch still changes
		kind   penumbra.ProposalKind
		values string
		err    penumbra.ErrorKind
	}{
		{"one, the rest stays open", []string{"log_level"}, false, []string{"memory", "tags.team"}, penumbra.Adopt, "log_level", 0},
		{"all below a path", []string{"tags"}, false, []string{"log_level"}, penumbra.Adopt, "tags.team", 0},
		{"the rest is brought back", []string{"tags"}, true, []string{"log_level"}, penumbra.Custom, "log_level tags.team", 0},
		{"nothing to bring back", []string{"tags"}, true, nil, "", "", penumbra.Refused},
		{"the patch does not hold", []string{"tags"}, false, []string{"tags.team"}, "", "", penumbra.Refused},
		{"a path that has not drifted", []string{"tags", "port"}, false, nil, "", "", penumbra.Invalid},
		{"a secret", []string{"memory"}, false, nil, "", "", penumbra.Refused},
		{"nothing", nil, false, nil, "", "", penumbra.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ws := &workspace{}
			if c.left != nil {
				ws.patched = update(c.left...)
			}
			p, err := Part(context.Background(), c.only, c.revert, ev, ws)
			if c.err != 0 {
				if penumbra.KindOf(err) != c.err {
					t.Fatalf("got %v, want kind %v", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for _, v := range p.Values {
				paths = append(paths, v.Path)
			}
			if p.Kind != c.kind || strings.Join(paths, " ") != c.values || p.Hash != p.Digest() || p.Patch == nil {
				t.Errorf("%s sets %v, want %s %s: %+v", p.Kind, paths, c.kind, c.values, p)
			}
			for _, path := range c.left {
				if !strings.Contains(p.Impact, path) {
					t.Errorf("the impact does not tell of %s: %s", path, p.Impact)
				}
			}
		})
	}
}

// everywhere plans other changes without a patch than with one.
type everywhere struct {
	workspace
	before, after []penumbra.PlannedChange
}

func (w *everywhere) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	if targets != nil {
		return w.workspace.Plan(ctx, targets, patch)
	}
	plan := penumbra.Plan{Stack: "shop", Changes: w.before}
	if patch != nil {
		plan.Changes = w.after
	}
	return plan, nil
}

func TestAdoptAlike(t *testing.T) {
	t.Parallel()
	change := func(resource string, path string) penumbra.PlannedChange {
		c := update(path)
		c.Resource = penumbra.Address("shop/" + resource)
		return c
	}
	other, b := change("x.other", "size"), change(`conffile_service.web["b"]`, "log_level")
	for _, c := range []struct {
		name          string
		before, after []penumbra.PlannedChange
		want          string // why not
	}{
		{"nobody else moves", []penumbra.PlannedChange{b, other}, []penumbra.PlannedChange{other}, ""},
		{"somebody else moves", []penumbra.PlannedChange{b}, []penumbra.PlannedChange{other}, "would also update shop/x.other"},
		{"somebody else moves further", []penumbra.PlannedChange{other}, []penumbra.PlannedChange{change("x.other", "colour")}, "would also"},
		{"one does not follow", []penumbra.PlannedChange{b}, []penumbra.PlannedChange{b}, "would still update"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ev := evidence(penumbra.Drifted, "log_level")
			ev.Alike = []penumbra.Drift{{ID: "d-2", Resource: b.Resource, Verdict: penumbra.Drifted, Findings: ev.Drift.Findings}}
			list, omitted, err := For(context.Background(), ev, &everywhere{workspace{code: update("log_level")}, c.before, c.after})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return slices.Equal(p.Also, []string{"d-2"}) })
			o := slices.IndexFunc(omitted, func(o penumbra.Omitted) bool { return c.want != "" && strings.Contains(o.Reason, c.want) })
			if (i >= 0) != (c.want == "") || (o >= 0) != (c.want != "") {
				t.Errorf("proposals %v, left out %v; want %q", kinds(list), omitted, c.want)
			}
		})
	}
}

func TestImportAgain(t *testing.T) {
	t.Parallel()
	imported := penumbra.PlannedChange{Action: penumbra.NoChange, Import: "etc/queue.conf"}
	for _, c := range []struct {
		name    string
		was     penumbra.Settings
		patched penumbra.PlannedChange
		planErr error
		want    bool
		told    string
	}{
		{"still there", penumbra.NewSettings(penumbra.Setting{Path: "id", Value: penumbra.String("etc/queue.conf")}), imported, nil, true, "still there"},
		{"no identity is known", nil, imported, nil, false, ""},
		{"not there", penumbra.NewSettings(penumbra.Setting{Path: "id", Value: penumbra.String("x")}), imported, errors.New("no such object"), false, "no such object"},
		{"it would be replaced", penumbra.NewSettings(penumbra.Setting{Path: "id", Value: penumbra.String("x")}), penumbra.PlannedChange{Action: penumbra.Replace, Import: "x"}, nil, false, "would not import"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ev := evidence(penumbra.Drifted, "")
			ev.Resource.Actual, ev.Was = nil, c.was
			ws := &workspace{code: penumbra.PlannedChange{Action: penumbra.Create}, patched: c.patched, planErr: c.planErr}
			list, omitted, err := For(context.Background(), ev, ws)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(list) > 0 && list[0].Kind == penumbra.Import; got != c.want {
				t.Errorf("proposals %v, left out %v", kinds(list), omitted)
			}
			if c.want && slices.Contains(kinds(list), penumbra.Revert) {
				t.Error("a second one would be created")
			}
			if !strings.Contains(joined(omitted), c.told) {
				t.Errorf("left out: %v, want %q", omitted, c.told)
			}
		})
	}
}

func joined(omitted []penumbra.Omitted) string {
	var b strings.Builder
	for _, o := range omitted {
		b.WriteString(string(o.Kind) + ": " + o.Reason + "\n")
	}
	return b.String()
}

func TestRenames(t *testing.T) {
	t.Parallel()
	one := func(action penumbra.PlanAction, address string, settings ...string) penumbra.PlannedChange {
		c := penumbra.PlannedChange{Resource: penumbra.Address("shop/" + address), Type: "t", Action: action}
		for i := 0; i < len(settings); i += 2 {
			x := penumbra.PathChange{Path: settings[i]}
			switch {
			case action == penumbra.Destroy:
				x.Before = penumbra.String(settings[i+1])
			case settings[i+1] == "":
				x.After, x.Unknown = penumbra.Unknown(), true
			default:
				x.After = penumbra.String(settings[i+1])
			}
			c.Changes = append(c.Changes, x)
		}
		return c
	}
	for _, c := range []struct {
		name string
		plan []penumbra.PlannedChange
		want []Rename
	}{
		{"renamed", []penumbra.PlannedChange{one(penumbra.Destroy, "t.a", "name", "x", "id", "7"), one(penumbra.Create, "t.b", "name", "x", "id", "")}, []Rename{{"shop/t.a", "shop/t.b"}}},
		{"another value", []penumbra.PlannedChange{one(penumbra.Destroy, "t.a", "name", "x"), one(penumbra.Create, "t.b", "name", "y")}, nil},
		{"two fit", []penumbra.PlannedChange{one(penumbra.Destroy, "t.a", "name", "x"), one(penumbra.Create, "t.b", "name", "x"), one(penumbra.Create, "t.c", "name", "x")}, nil},
		{"two are taken", []penumbra.PlannedChange{one(penumbra.Destroy, "t.a", "name", "x"), one(penumbra.Destroy, "t.c", "name", "x"), one(penumbra.Create, "t.b", "name", "x")}, nil},
		{"nothing known", []penumbra.PlannedChange{one(penumbra.Destroy, "t.a", "id", "7"), one(penumbra.Create, "t.b", "id", "")}, nil},
		{"a block with its instances", []penumbra.PlannedChange{
			one(penumbra.Destroy, `t.a["x]"]`, "name", "x"), one(penumbra.Destroy, `t.a["y"]`, "name", "y"),
			one(penumbra.Create, `t.b["x]"]`, "name", "x"), one(penumbra.Create, `t.b["y"]`, "name", "y"),
		}, []Rename{{"shop/t.a", "shop/t.b"}}},
		{"from count to for_each", []penumbra.PlannedChange{one(penumbra.Destroy, "t.a[0]", "name", "x"), one(penumbra.Create, `t.a["x"]`, "name", "x")}, []Rename{{"shop/t.a[0]", `shop/t.a["x"]`}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Renames(&penumbra.Plan{Changes: c.plan}); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// A habit is told where the code ignores it.
func TestHabitIsWrittenIntoTheCode(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Tolerated, "log_level")
	ev.Drift.Findings[0].Expectation.Habit = true
	ev.Drift.Cause = penumbra.Cause{Actor: "autoscaler", ActorKind: penumbra.Automation}
	list, _, err := For(context.Background(), ev, &workspace{code: update("log_level")})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return p.Kind == penumbra.IgnoreChanges })
	if i < 0 || !strings.Contains(list[i].Patch.Files[0].After, `# log_level: set by autoscaler as a habit, to "info"`) {
		t.Fatalf("the proposals: %+v", list)
	}
}

// alikeWorkspace plans each target as it is told to.
type alikeWorkspace struct {
	*workspace
	others []penumbra.PlannedChange // beside that of the drifted resource, in a plan of several
}

func (w *alikeWorkspace) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	plan, err := w.workspace.Plan(ctx, targets, patch)
	if len(targets) > 1 && patch == nil {
		plan.Changes = append(plan.Changes, w.others...)
	}
	return plan, err
}

func TestRevertAlike(t *testing.T) {
	t.Parallel()
	const other = penumbra.Address(`shop/conffile_service.web["b"]`)
	back := update("log_level")
	back.Resource = other
	beyond := update("port")
	beyond.Resource = "shop/conffile_service.queue"
	for name, c := range map[string]struct {
		others []penumbra.PlannedChange
		why    string // "" if it is proposed
	}{
		"all come back":          {[]penumbra.PlannedChange{back}, ""},
		"one would stay":         {nil, `would not bring all of conffile_service.web["b"] back`},
		"somebody else would go": {[]penumbra.PlannedChange{back, beyond}, "would also update shop/conffile_service.queue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev := evidence(penumbra.Drifted, "log_level")
			ev.Alike = []penumbra.Drift{{ID: "d-2", Resource: other, Verdict: penumbra.Drifted, Findings: ev.Drift.Findings}}
			ws := &alikeWorkspace{&workspace{code: update("log_level")}, c.others}
			list, omitted, err := For(t.Context(), ev, ws)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return p.Kind == penumbra.Revert && len(p.Also) > 0 })
			told := slices.ContainsFunc(omitted, func(o penumbra.Omitted) bool {
				return o.Kind == penumbra.Revert && strings.Contains(o.Reason, c.why) && strings.HasPrefix(o.Reason, "of all 2 resources at once")
			})
			if (i >= 0) != (c.why == "") || told != (c.why != "") {
				t.Fatalf("proposed at %d; %+v", i, omitted)
			}
			if i < 0 {
				return
			}
			p := list[i]
			if p.Also[0] != "d-2" || len(p.Plan.Targets) != 2 || !strings.Contains(p.Explanation, "resolves 1 drift that left alike too: d-2") {
				t.Errorf("%+v", p)
			}

			// The way back sets the values of before on all of them.
			run := penumbra.Run{ID: "r-1", Before: map[penumbra.Address]penumbra.Settings{queue: {{Path: "log_level", Value: penumbra.String("debug")}}, other: {{Path: "log_level", Value: penumbra.String("debug")}}}}
			ev.Resource.Actual = penumbra.Settings{{Path: "log_level", Value: penumbra.String("info")}}
			ws.patched = update("log_level")
			restore, err := Restoring(t.Context(), run, p, ev, ws)
			if err != nil || len(restore.Plan.Targets) != 2 || len(restore.Also) != 1 || restore.Scratch == nil {
				t.Errorf("the way back: %+v, %v", restore, err)
			}
		})
	}
}

// Where a technology has hosts, what the plan of the drifted one alone does on its host
// may be done on those of the others; nothing else, and on no other host.
func TestRevertAlikeOnHosts(t *testing.T) {
	t.Parallel()
	on := func(host, what string, action penumbra.PlanAction, paths ...string) penumbra.PlannedChange {
		c := penumbra.PlannedChange{Resource: penumbra.NewAddress("shop", host+"/"+what), Action: action}
		if len(paths) > 0 {
			c.Changes = update(paths...).Changes
		}
		return c
	}
	const file, reload = "file[/etc/a/b.conf]", "command[Reload]"
	for name, c := range map[string]struct {
		beyond penumbra.PlannedChange
		why    string // "" if it is proposed
	}{
		"the same handler":         {on("web2", reload, penumbra.Execute), ""},
		"another handler":          {on("web2", "command[Restart]", penumbra.Execute), "would also"},
		"on another host":          {on("web3", reload, penumbra.Execute), "would also"},
		"another change of a file": {on("web2", "file[/etc/c.conf]", penumbra.Update, "mode"), "would also"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ev := evidence(penumbra.Drifted, "log_level")
			ev.Drift.Resource = penumbra.NewAddress("shop", "web1/"+file)
			ev.Resource.Address = ev.Drift.Resource
			ev.Alike = []penumbra.Drift{{ID: "d-2", Resource: penumbra.NewAddress("shop", "web2/"+file), Verdict: penumbra.Drifted, Findings: ev.Drift.Findings}}
			one := []penumbra.PlannedChange{on("web1", file, penumbra.Update, "log_level"), on("web1", reload, penumbra.Execute), on("web1", "file[/etc/c.conf]", penumbra.Update, "owner")}
			both := append(slices.Clone(one), on("web2", file, penumbra.Update, "log_level"), c.beyond)
			ws := &hosts{&workspace{}, one, both}
			list, omitted, err := For(t.Context(), ev, ws)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return p.Kind == penumbra.Revert && len(p.Also) > 0 })
			told := slices.ContainsFunc(omitted, func(o penumbra.Omitted) bool { return c.why != "" && strings.Contains(o.Reason, c.why) })
			if (i >= 0) != (c.why == "") || told != (c.why != "") {
				t.Fatalf("proposed at %d; %+v", i, omitted)
			}
			if i < 0 {
				return
			}

			// The way back was kept with the plan, and takes in whom it can set back.
			run := penumbra.Run{ID: "r-1", Before: map[penumbra.Address]penumbra.Settings{ev.Drift.Resource: {{Path: "log_level", Value: penumbra.String("debug")}}}}
			ev.Resource.Actual = penumbra.Settings{{Path: "log_level", Value: penumbra.String("info")}}
			for _, back := range [][]penumbra.PlannedChange{one, both} {
				ws.back = back
				restore, err := Restoring(t.Context(), run, list[i], ev, ws)
				if err != nil || len(restore.Also) != len(back)/len(both) {
					t.Errorf("with %d changes the way back is %+v, %v", len(back), restore, err)
				}
			}
		})
	}
}

// hosts is a workspace that plans one resource, or several, and keeps ways back.
type hosts struct {
	*workspace
	one, back []penumbra.PlannedChange
}

func (w *hosts) Plan(_ context.Context, targets []penumbra.Address, _ *penumbra.Patch) (penumbra.Plan, error) {
	if len(targets) == 1 {
		return penumbra.Plan{Targets: targets, Changes: w.one}, nil
	}
	return penumbra.Plan{Targets: targets, Changes: w.back}, nil
}

func (w *hosts) PlanBack(_ context.Context, plan penumbra.Plan, _ *penumbra.Patch) (penumbra.Plan, error) {
	return penumbra.Plan{Targets: plan.Targets, Changes: w.back}, nil
}
