package drift_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"pgregory.net/rapid"
)

func TestRulesMatch(t *testing.T) {
	t.Parallel()
	const module = penumbra.Address(`shop/module.m["x.y"].module.n.svc.web["a.b/c"]`)
	for _, x := range []struct {
		pattern  string
		resource penumbra.Address
		path     string
		want     bool
	}{
		{"svc.web.port", web, "port", true},
		{"svc.web.port", web, "ports", false},
		{"svc.web.port", web, "a.port", false},
		{"svc.*.port", web, "port", true},
		{"svc.*.port", web, "a.port", true}, // a star spans dots
		{"svc.*.port", web, "port.0", true},
		{"*.port", web, "port", true},
		{"*.port", web, "export", false},
		{"*port", web, "export", true},
		{"*", web, "port", true},
		{"*", web, "", true},
		{"svc.w*b.p*t", web, "port", true},
		{"svc.w*b.p*t", web, "ports", false},
		{"svc.*a*a", web, "a.b", false},
		{"svc.*a*a", web, "a.a", true},
		{"svc.*a", web, "ab.a", true}, // the last part is looked for again
		{"svc.web.tags", web, "tags.team", true},
		{"*.tags", web, "tags.team", true},
		{"svc.web.tags", web, "tagset", false},
		{"svc.web", web, "port", true},
		{"svc.web", web, "", true},
		{"svc.web.port", web, "", false},
		{"svc.we", web, "port", false},
		{"svc", web, "port", true},
		{"shop/svc.web.port", web, "port", true},
		{"blog/svc.web.port", web, "port", false},
		{"s*p/svc.web.port", web, "port", true},
		{"svc.web.notes.example.org/owner", web, "notes.example.org/owner", true},
		{"shop/svc.web.notes.example.org/owner", web, "notes.example.org/owner", true},
		{`module.m["x.y"].module.n.svc.web["a.b/c"].port`, module, "port", true},
		{`module.m["x.y"].module.n.svc.web.port`, module, "port", true},
		{`svc.web["a.b/c"].port`, module, "port", true},
		{`svc.web["a.*"].port`, module, "port", true},
		{`svc.web["z"].port`, module, "port", false},
		{"svc.web.port", module, "port", true},
		{"shop/svc.web.port", module, "port", true},
		{"svc.web", module, "", true},
		{"svc.web.port", "shop/svc.web[0]", "port", true},
		{"svc.web[0].port", "shop/svc.web[0]", "port", true},
		{"svc.web[1].port", "shop/svc.web[0]", "port", false},
		{"svc.web.port", "shop/module.svc.web", "port", false},
	} {
		rules, err := drift.NewRules([]penumbra.Rule{{Pattern: x.pattern}})
		if err != nil {
			t.Errorf("%q: %v", x.pattern, err)
			continue
		}
		if rule, ok := rules.Match(x.resource, x.path, num(1), day0); ok != x.want || ok && rule.Pattern != x.pattern {
			t.Errorf("%q on %q of %s: %v by %q, want %v", x.pattern, x.path, x.resource, ok, rule.Pattern, x.want)
		}
	}
}

func TestRulesInTheirOrder(t *testing.T) {
	t.Parallel()
	two := num(2)
	rules, err := drift.NewRules([]penumbra.Rule{
		{Pattern: "svc.web"},
		{Pattern: "!*.port"},
		{Pattern: "svc.web.port", Value: &two},
		{Pattern: "svc.api.port", Expires: day0.Add(time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		resource penumbra.Address
		path     string
		actual   penumbra.Value
		at       time.Time
		want     bool
	}{
		{web, "level", num(1), day0, true},
		{web, "port", num(1), day0, false}, // taken back
		{web, "port", num(2), day0, true},  // and this value given again
		{"shop/svc.api", "port", num(1), day0, true},
		{"shop/svc.api", "port", num(1), day0.Add(time.Hour - 1), true},
		{"shop/svc.api", "port", num(1), day0.Add(time.Hour), false}, // expired
	} {
		if _, ok := rules.Match(x.resource, x.path, x.actual, x.at); ok != x.want {
			t.Errorf("%s %s=%s at %s: %v, want %v", x.resource, x.path, x.actual, x.at, ok, x.want)
		}
	}
	var none *drift.Rules
	if _, ok := none.Match(web, "port", num(1), day0); ok {
		t.Error("no rules ignore something")
	}
}

func TestParseRules(t *testing.T) {
	t.Parallel()
	const file = "\ufeff# what the platform team owns\r\n\r\n" +
		"  svc.*.tags   # written by the tagger\r\n" +
		"!svc.*.tags.team\n" +
		`svc.web["a # b"].port` + "\n" +
		`svc.web["say \"#\" x"].port # two` + "\n" +
		"svc.web.path#fragment\n"
	got, err := drift.ParseRules(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	want := []penumbra.Rule{
		{ID: "line 3", Pattern: "svc.*.tags", Reason: "written by the tagger"},
		{ID: "line 4", Pattern: "!svc.*.tags.team"},
		{ID: "line 5", Pattern: `svc.web["a # b"].port`},
		{ID: "line 6", Pattern: `svc.web["say \"#\" x"].port`, Reason: "two"},
		{ID: "line 7", Pattern: "svc.web.path#fragment"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if _, err := drift.NewRules(got); err != nil {
		t.Errorf("what was parsed does not compile: %v", err)
	}
}

func TestParseRulesErrors(t *testing.T) {
	t.Parallel()
	for file, line := range map[string]string{
		"svc.web\n!\n":                      "line 2",
		"svc.web port\n":                    "line 1",
		"\n\nsvc.web[\"a.port\n":            "line 3",
		"svc.\x01\n":                        "line 1",
		"svc.\xff\n":                        "line 1",
		"a\n" + strings.Repeat("x", 70_000): "line 2",
	} {
		_, err := drift.ParseRules(strings.NewReader(file))
		var e *penumbra.Error
		if !errors.As(err, &e) || e.Kind != penumbra.Invalid || !strings.Contains(e.What, line) || e.Remedy == "" {
			t.Errorf("%.20q: %v, want an error of kind Invalid with a remedy that names %s", file, err, line)
		}
	}
	if _, err := drift.NewRules([]penumbra.Rule{{Pattern: "a"}, {Pattern: "b c"}}); err == nil || !strings.Contains(err.Error(), `"b c"`) {
		t.Errorf("%v, want an error that names the rule", err)
	}
}

// A setting is always matched by its own address, and by it with any run of
// characters replaced by a star.
func TestPatternMatchesWhatItWasMadeFrom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		local := rapid.StringMatching(`(module\.[a-c]{1,3}(\["[a-c.]{0,3}"\])?\.){0,2}[a-c]{1,4}\.[a-c]{1,4}(\["[a-c./]{0,4}"\]|\[[0-9]\])?`).Draw(t, "local")
		path := rapid.StringMatching(`[a-c]{1,4}(\.[a-c0-9]{1,3}){0,2}`).Draw(t, "path")
		full := local + "." + path
		from := rapid.IntRange(0, len(full)).Draw(t, "from")
		to := rapid.IntRange(from, len(full)).Draw(t, "to")
		pattern := full[:from] + "*" + full[to:]
		if strings.Count(pattern, `"`)%2 != 0 {
			return // the star took one of two quotes
		}
		for _, p := range []string{full, pattern, "shop/" + full} {
			rules, err := drift.NewRules([]penumbra.Rule{{Pattern: p}})
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := rules.Match(penumbra.NewAddress("shop", local), path, null, day0); !ok {
				t.Fatalf("%q does not match %q of %q", p, path, local)
			}
		}
	})
}

func FuzzParseRules(f *testing.F) {
	f.Add("svc.web.port\n# comment\n!svc.*.tags # why\n", "shop/svc.web", "port")
	f.Add(`module.m["a"].svc.web["b"].x`, `shop/module.m["a"].svc.web["b"]`, "x")
	f.Add("*\n***\n", "a/module.", "")
	f.Add("\ufeff\"\\\"\"", "a/[", "[")
	f.Fuzz(func(t *testing.T, file, resource, path string) {
		parsed, err := drift.ParseRules(strings.NewReader(file))
		if err != nil {
			if penumbra.KindOf(err) != penumbra.Invalid {
				t.Fatalf("%v is of kind %v", err, penumbra.KindOf(err))
			}
			return
		}
		rules, err := drift.NewRules(parsed)
		if err != nil {
			t.Fatalf("what was parsed does not compile: %v", err)
		}
		rule, ok := rules.Match(penumbra.Address(resource), path, null, day0)
		if ok && strings.HasPrefix(rule.Pattern, "!") {
			t.Fatalf("%q ignores", rule.Pattern)
		}
	})
}
