package proposal

import (
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// laws keeps what it was asked, and writes a file.
type laws struct {
	err    error
	asked  penumbra.Drift
	paths  []string
	prefix string
}

func (l *laws) Guarding(d *penumbra.Drift, paths []string) (penumbra.PolicyFile, error) {
	l.asked, l.paths = *d, paths
	return penumbra.PolicyFile{Folder: "policy/", Name: "guard-" + d.ID + ".cedar", Text: l.prefix + "forbid (principal, action, resource);\n", Resource: d.Resource, Paths: paths}, l.err
}

func TestGuardPolicyOfWhatIsForeseen(t *testing.T) {
	t.Parallel()
	l := &laws{}
	ev := creeping()
	ev.Policies = l
	made, left := proposeIn(t, ev, &guarding{workspace: &workspace{code: update("memory_mb")}})
	p, ok := made[penumbra.GuardPolicy]
	if !ok || p.Policy == nil || p.Applies() || p.Touches() || p.Hash != p.Digest() || len(p.ScoreReasons) != 3 {
		t.Fatalf("%+v: %q", p, left[penumbra.GuardPolicy])
	}
	f, _ := l.asked.Finding("memory_mb")
	if len(l.paths) != 1 || f.Actual != penumbra.Number(2048) || l.asked.Verdict != penumbra.Drifted {
		t.Errorf("tried with %+v, %v", f, l.paths)
	}
	if ev.Drift.Findings[0].Actual != penumbra.Number(1024) {
		t.Error("the drift itself was changed")
	}
	for what, c := range map[string][2]string{
		"script":      {p.Script, "cat > policy/guard-d-1.cedar <<'POLICY'\nforbid (principal, action, resource);\nPOLICY\npenumbra policy check\n"},
		"explanation": {p.Explanation, "two people decide on whatever takes memory_mb of conffile_service.web[\"a\"] off what the code says"},
		"impact":      {p.Impact, "Adds the policies of policy/guard-d-1.cedar"},
		"way back":    {p.WayBack, "takes the file away again"},
		"risk":        {p.ScoreReasons[1], "how many people decide"},
	} {
		if !strings.Contains(c[0], c[1]) {
			t.Errorf("the %s does not say %q:\n%s", what, c[1], c[0])
		}
	}

	// The hash names the exact text, and the way back the same file.
	l.prefix = "// other\n"
	again, _ := proposeIn(t, ev, &guarding{workspace: &workspace{code: update("memory_mb")}})
	if again[penumbra.GuardPolicy].Hash == p.Hash {
		t.Error("another text has the same hash")
	}
	back, err := Restoring(t.Context(), penumbra.Run{ID: "r-1", State: penumbra.Done}, p, ev, &workspace{})
	if err != nil || back.Policy == nil || back.Policy.Text != p.Policy.Text || back.Hash == p.Hash || !strings.Contains(back.Script, "rm policy/guard-d-1.cedar") || !strings.Contains(back.Impact, "Takes away the policies") {
		t.Errorf("the way back: %+v, %v", back, err)
	}
}

func TestGuardPolicyOfWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*penumbra.Finding){
		"the value":  func(f *penumbra.Finding) { f.Forecast.Next = penumbra.Null() },
		"the secret": func(f *penumbra.Finding) { f.Sensitive = true },
		"what is beyond a limit": func(f *penumbra.Finding) {
			f.Declared, f.Template = false, penumbra.String("a lot")
			f.Expectation.Limit = &penumbra.Limit{Max: penumbra.String("a lot"), Bound: penumbra.String("a lot")}
		},
	} {
		l := &laws{}
		ev := creeping()
		ev.Policies = l
		edit(&ev.Drift.Findings[0])
		made, left := proposeIn(t, ev, &guarding{workspace: &workspace{code: update("memory_mb")}})
		if p, ok := made[penumbra.GuardPolicy]; !ok || len(l.asked.OffTemplate()) != 1 {
			t.Errorf("%s: %+v: %q; %+v", name, p, left[penumbra.GuardPolicy], l.asked.Findings)
		}
	}
}

func TestGuardPolicyIsLeftOutWithTheReason(t *testing.T) {
	t.Parallel()
	ws := func() *guarding { return &guarding{workspace: &workspace{code: update("memory_mb")}} }
	ev := creeping()
	if made, left := proposeIn(t, ev, ws()); made[penumbra.GuardPolicy].ID != "" || left[penumbra.GuardPolicy] == "" {
		t.Errorf("without policies: %q", left[penumbra.GuardPolicy])
	}
	ev.Policies = &laws{err: &penumbra.Error{Kind: penumbra.Missing, What: "no folder of policies is configured"}}
	if made, left := proposeIn(t, ev, ws()); made[penumbra.GuardPolicy].ID != "" || !strings.Contains(left[penumbra.GuardPolicy], "no folder") {
		t.Errorf("without a folder: %q", left[penumbra.GuardPolicy])
	}
}

// What has drifted is guarded only once it keeps coming back.
func TestGuardPolicyOfWhatComesBack(t *testing.T) {
	t.Parallel()
	for returns, want := range map[int]bool{0: false, 1: false, 2: true, 5: true} {
		ev := evidence(penumbra.Drifted, "log_level")
		l := &laws{}
		ev.Policies, ev.Returns = l, returns
		made, left := proposeIn(t, ev, &workspace{code: update("log_level")})
		if _, ok := made[penumbra.GuardPolicy]; ok != want || left[penumbra.GuardPolicy] != "" {
			t.Errorf("after %d earlier ones: %v, %q", returns, ok, left[penumbra.GuardPolicy])
		}
		if f, _ := l.asked.Finding("log_level"); want && f.Actual != penumbra.String("debug") {
			t.Errorf("tried with %+v", f)
		}
	}
	ev := evidence(penumbra.Unexpected, "log_level")
	ev.Drift.Findings[0].Actual = ev.Drift.Findings[0].Template
	ev.Policies, ev.Returns = &laws{}, 3
	if made, left := proposeIn(t, ev, &workspace{code: update("log_level")}); made[penumbra.GuardPolicy].ID != "" || !strings.Contains(left[penumbra.GuardPolicy], "no setting of it is off") {
		t.Errorf("of what is as the code says: %q", left[penumbra.GuardPolicy])
	}
}
