package scenario_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/scenario"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

func pooled() scenario.Model { return shadow.NewPooled(shadow.Options{}) }

// families are all that can keep the shadow: none may learn a drift that nobody
// resolved, nor forget a habit.
var families = map[string]func() scenario.Model{
	"pooled":  pooled,
	"mixture": func() scenario.Model { return mixture.New(mixture.Options{Seed: 1}) },
	"shipped": func() scenario.Model { return mixture.NewShipped(mixture.Options{Seed: 1}) },
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for family, model := range families {
		for _, file := range scripts(t, "testdata") {
			t.Run(family+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				scenario.Run(t, file, model)
			})
		}
	}
}

func scripts(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.scenario")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", folder, err)
	}
	return files
}

const start = "resource shop/svc.web type svc\ntemplate shop/svc.web a=1\nobserve shop/svc.web a=1\n"

// An expectation that does not hold fails with its place, and those after it
// are still looked at.
func TestExpectationsThatFail(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ line, want string }{
		{"expect shop/svc.web a drifted", "a of shop/svc.web is in sync, want drifted"},
		{"expect shop/svc.web drifted", "shop/svc.web is in sync, want drifted"},
		{"expect drifts 1", "0 drifts"},
		{"expect drifts 2 impending", "0 drifts impending, want 2"},
		{"expect resolved returned", "no drift was resolved"},
		{"expect opened 1d ago", "no drift is active"},
		{"expect caused by alice", "no drift is active"},
		{"expect foreseen", "no drift is active"},
		{"expect told 3", "told of 0 drifts, want 3"},
	} {
		err := scenario.Play("x.scenario", start+x.line+"\n"+x.line+"\n", pooled())
		if err == nil || strings.Count(err.Error(), x.want) != 2 || !strings.Contains(err.Error(), "x.scenario:4: ") || !strings.Contains(err.Error(), "x.scenario:5: ") {
			t.Errorf("%s: %v", x.line, err)
		}
	}
	drifted := start + "advance 1h\nobserve shop/svc.web a=2\n"
	for _, line := range []string{"expect opened 1h ago", "expect caused by alice", "expect foreseen", "expect resolved gone", "expect drifts 0", "expect shop/svc.web a in sync"} {
		err := scenario.Play("x.scenario", drifted+line+"\n", pooled())
		if err == nil || !strings.HasPrefix(err.Error(), "x.scenario:6: ") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestStatementsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"wait 1h", "advance", "advance -1h", "advance soon", "advance 1.5d", "advance 1h 2h",
		"resource shop/svc.web type svc", "resource shop/svc.new", "template shop/svc.new a=1", "template",
		"template shop/svc.web a", "template shop/svc.web a=b", "template shop/svc.web a=1 a=2", `template shop/svc.web a="1`, `template shop/svc.web a="\q"`,
		"observe", "observe partial", "observe shop/svc.web =1", "unread shop/svc.web", `unread shop/svc.web ""`,
		"event shop/svc.web kind=robot", "event shop/svc.web a", "delete shop/svc.web a", "acknowledge",
		"ignore", `ignore "a b"`, "ignore a for", "ignore a until 1h", "accept shop/svc.web", "accept shop/svc.web a for ever",
		"repeat {\n}", "repeat x {\n}", "repeat 2 as {\n}", "repeat 2 as n {\nrepeat 2 as n {\n}\n}", "expect drifts {\n}", "{\n}", "}", "repeat 2 {", "repeat 2", "advance 1h {\n}",
		"expect", "expect drifts", "expect drifts x", "expect drifts 1 odd", "expect resolved badly", "expect opened 1h", "expect opened x ago",
		"expect caused alice", "expect foreseen soon", "expect told", "expect told x", "expect shop/svc.web", "expect shop/svc.web a odd", "expect shop/svc.new in sync",
	} {
		err := scenario.Play("x.scenario", start+line+"\nadvance 1h\n", pooled())
		var e *penumbra.Error
		if !errors.As(err, &e) || e.Kind != penumbra.Invalid || !strings.HasPrefix(e.What, "x.scenario:") || e.Remedy == "" {
			t.Errorf("%s: %v, want an error of kind Invalid with a place and a remedy", line, err)
		}
	}
}

func TestRepeatCounts(t *testing.T) {
	t.Parallel()
	const script = `
repeat 2 as a {
	repeat 3 as ab { # the longer name is not taken for the shorter
		resource shop/svc.web$a-$ab type svc
		template shop/svc.web$a-$ab p=$ab q="x # $a"
		observe shop/svc.web$a-$ab p=$ab q="x # $a"
	}
}
expect shop/svc.web2-3 in sync
observe shop/svc.web2-3 p=3 q="x # 2"
expect shop/svc.web2-3 in sync
observe partial shop/svc.web2-3 p=4
expect shop/svc.web2-3 p drifted
expect shop/svc.web2-3 q in sync
expect drifts 1
`
	if err := scenario.Play("x.scenario", script, pooled()); err != nil {
		t.Error(err)
	}
}

func TestRunReadsTheFile(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	scenario.Run(r, "testdata/missing.scenario", pooled)
	file := filepath.Join(t.TempDir(), "x.scenario")
	if err := os.WriteFile(file, []byte(start+"expect drifts 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	scenario.Run(r, file, pooled)
	if r.errors != 2 {
		t.Errorf("%d failures, want one of a missing file and one of an expectation", r.errors)
	}
}

// recorder counts failures in the place of a test.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()      {}
func (r *recorder) Error(...any) { r.errors++ }
