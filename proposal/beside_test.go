package proposal

import (
	"context"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// capable is a technology that sets what its code leaves open, and prepares the
// way back with each plan.
type capable struct {
	workspace
	beside []penumbra.Setting
	backOf string
	none   bool // nothing tells of the resource
}

func (c *capable) Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error) {
	if c.none {
		return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.NotFound, What: "no task"}
	}
	return c.workspace.Plan(ctx, targets, patch)
}

func (c *capable) PlanSettings(_ context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Plan, error) {
	c.beside = settings
	return c.made(address, "beside"), nil
}

func (c *capable) PlanBack(_ context.Context, plan penumbra.Plan, _ *penumbra.Patch) (penumbra.Plan, error) {
	c.backOf = plan.File
	return c.made(queue, "back"), nil
}

func (c *capable) made(address penumbra.Address, name string) penumbra.Plan {
	change := update("log_level", "other")
	change.Resource = address
	return penumbra.Plan{
		Stack: "shop", File: name + ".plan", Hash: name, Evidence: name, Command: "ansible-playbook site.yml --limit db1",
		Changes: []penumbra.PlannedChange{change, {Resource: "shop/db1/command[Restart it]", Action: penumbra.Execute}},
		Notes:   []string{"Noted."}, Back: &penumbra.WayBack{Command: "ansible-playbook back.yml", Checked: "in check mode", Lost: []string{"a package: gone"}},
	}
}

// Where the code leaves a setting open, it is set to what was expected, if the
// technology can; what else that does is said and raises the risk.
func TestRevertBeside(t *testing.T) {
	t.Parallel()
	for name, ws := range map[string]*capable{"left open": {}, "unknown to the code": {none: true}} {
		ev := evidence(penumbra.Unexpected, "log_level")
		ev.Drift.Findings[0].Declared, ev.Drift.Findings[0].Template = false, penumbra.Null()
		found, omitted, err := For(t.Context(), ev, ws)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %+v", name, err, omitted)
		}
		var p penumbra.Proposal
		for _, x := range found {
			if x.Kind == penumbra.Revert {
				p = x
			}
		}
		if len(ws.beside) != 1 || ws.beside[0].Value != penumbra.String("info") || p.Values.Get("log_level") != penumbra.String("info") {
			t.Errorf("%s: set %+v, proposed %+v", name, ws.beside, p.Values)
		}
		for what, text := range map[string][2]string{
			"script":   {p.Script, "cd infra/shop\nansible-playbook site.yml --limit db1\n"},
			"impact":   {p.Impact, "Runs, and no plan foresees what it does: shop/db1/command[Restart it]"},
			"note":     {p.Impact, "Noted."},
			"way back": {p.WayBack, "CANNOT BE UNDONE: a package: gone."},
			"risk":     {strings.Join(p.ScoreReasons, "\n"), "1 setting of it beside the drift"},
			"restart":  {strings.Join(p.ScoreReasons, "\n"), "restart"},
		} {
			if !strings.Contains(text[0], text[1]) {
				t.Errorf("%s: the %s lacks %q:\n%s", name, what, text[1], text[0])
			}
		}
		if p.Scores.Risk <= disruptive*restartRisk || p.Scores.Risk >= disruptive {
			t.Errorf("%s: the risk is %v", name, p.Scores.Risk)
		}
	}
}

// The way back that was prepared with a plan is the one that is taken.
func TestRestoringPrepared(t *testing.T) {
	t.Parallel()
	ws := &capable{}
	ev := evidence(penumbra.Drifted, "log_level")
	ev.Resource.Actual = penumbra.NewSettings(penumbra.Setting{Path: "log_level", Value: penumbra.String("info")})
	run := penumbra.Run{ID: "r-1", Before: map[penumbra.Address]penumbra.Settings{queue: penumbra.NewSettings(penumbra.Setting{Path: "log_level", Value: penumbra.String("debug")})}}
	original := penumbra.Proposal{Kind: penumbra.Revert, Plan: &penumbra.Plan{File: "first.plan"}}
	p, err := Restoring(t.Context(), run, original, ev, ws)
	if err != nil {
		t.Fatal(err)
	}
	if ws.backOf != "first.plan" || p.Scratch != nil || p.Plan.File != "back.plan" || p.Values.Get("log_level") != penumbra.String("debug") {
		t.Errorf("taken back with %q: %+v", ws.backOf, p)
	}
	if len(ws.planned) > 0 {
		t.Error("it was planned anew")
	}
}
