package knowledge

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// parse reads one entry from its keys.
func parse(t *testing.T, keys string) *Base {
	t.Helper()
	entries, mistakes := Read("t.yaml", []byte("format: 1\nentries:\n  - id: t.t\n    title: t\n    types: [x]\n    paths: [a, '**.b', 'in.*.{from,to}_port', 'list{.*,[*]}.image']\n"+keys+
		"    sources: [{title: a, url: 'https://a.example'}]\n    checked: 2026-11-30\n"))
	if mistakes != nil {
		t.Fatal(mistakes)
	}
	return newBase(entries)
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	base := parse(t, "    hazard: h\n")
	for path, want := range map[string]bool{
		"a": true, "ab": false, "x.a": false, "b": true, "x.b": true, "x.y.b": true, "xb": false, "in.0.from_port": true, "in.0.1.to_port": false,
		"in.0.port": false, "list[web].image": true, "list.0.image": true, "list.image": false, "": false, "a/b": false, "in.a/b.to_port": true,
	} {
		if got := base.Facts(penumbra.FactQuery{Type: "x", Path: path}) != nil; got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	if base.Facts(penumbra.FactQuery{Type: "y", Path: "a"}) != nil {
		t.Error("another type has facts")
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 23, 5, 0, 0, time.UTC) // a Monday
	secret, _ := penumbra.Secret(penumbra.SecretPrefix + strings.Repeat("0", 32))
	q := penumbra.FactQuery{
		Address: "shop-prod/module.db.x.main[0]", Type: "x", Path: "a", Value: penumbra.Number(3), Template: penumbra.String("3"), Actual: penumbra.Number(2.5), Time: at,
		Settings: penumbra.NewSettings(
			penumbra.Setting{Path: "size", Value: penumbra.String("64kB")}, penumbra.Setting{Path: "in.0.port", Value: penumbra.Number(22)},
			penumbra.Setting{Path: "tags.Team", Value: penumbra.String("pay")}, penumbra.Setting{Path: "key", Value: secret},
		),
		Declared: penumbra.NewSettings(penumbra.Setting{Path: "only", Value: penumbra.Bool(true)}, penumbra.Setting{Path: "size", Value: penumbra.String("4MB")}),
	}
	tests := map[string]bool{
		`value == 3`:                                   true,
		`value == 3.0`:                                 true,
		`number(template) == value`:                    true,
		`value > actual`:                               true,
		`template > 2`:                                 false, // a text and a number cannot be compared
		`settings.size == "64kB"`:                      true,
		`memory(settings.size) == 65536.0`:             true,
		`memory(declared.size) > 4194303.0`:            true,
		`settings["in.0.port"] == 22`:                  true,
		`settings.only == true`:                        true, // of the template, where nothing is known of the actual
		`settings.missing == 1`:                        false,
		`!(settings.missing == 1)`:                     false, // neither is what cannot be evaluated
		`has(settings.missing) || value == 3`:          true,
		`!has(settings.missing) && has(settings.size)`: true,
		`"in.0.port" in settings`:                      true,
		`settings.exists(p, p.startsWith("in.") && settings[p] == 22)`: true,
		`settings.size() == 5`:        true,
		`settings.key == null`:        true, // a secret tells nothing
		`tags.Team == "pay"`:          true,
		`tags.exists(t, t == "Team")`: true,
		`env == "production"`:         true, // by the stack's name
		`hour == 23 && weekday == 1`:  true,
		`stack == "shop-prod" && address == "module.db.x.main[0]" && type == "x" && path == "a"`: true,
		`sensitive`: false,
		`on("yes") && on(1) && off("0") && off("Disabled") && !on("x") && !off(null)`: true,
		`seconds("5min") == 300.0 && seconds("250ms") == 0.25`:                        true,
		`number("x") == 1.0`:         false,
		`"a.b".split(".")[1] == "b"`: true,
		`settings.all(a, settings.all(b, settings.all(c, settings.all(d, settings.all(e, settings.all(f, true))))))`: false, // it costs too much
	}
	for when, want := range tests {
		base := parse(t, "    when: '"+when+"'\n    hazard: h\n")
		if got := base.Facts(q) != nil; got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
	q.Settings = q.Settings.Merge(penumbra.NewSettings(penumbra.Setting{Path: "tags.environment", Value: penumbra.String("Dev")}))
	if base := parse(t, "    when: 'env == \"development\"'\n    hazard: h\n"); base.Facts(q) == nil {
		t.Error("a tag does not come before the stack's name")
	}
}

func TestBest(t *testing.T) {
	t.Parallel()
	text, n := penumbra.String, penumbra.Number
	tests := []struct {
		best   string
		value  penumbra.Value
		met    bool
		target penumbra.Value
		words  string
	}{
		{"{value: gp3, why: w}", text("gp2"), false, text("gp3"), `"gp3"`},
		{"{value: gp3, why: w}", text("gp3"), true, text("gp3"), `"gp3"`},
		{"{value: true, why: w}", text("true"), true, penumbra.Bool(true), "true"},
		{"{value: 'on', why: w}", text("off"), false, text("on"), `"on"`},
		{"{value: 2, why: w}", text("2"), true, n(2), "2"},
		{"{min: 7, max: 35, why: w}", n(1), false, n(7), "7 to 35"},
		{"{min: 7, max: 35, why: w}", n(35), true, n(35), "7 to 35"},
		{"{min: 7, max: 35, why: w}", text("40"), false, n(35), "7 to 35"},
		{"{min: 4MB, why: w}", text("64kB"), false, text("4MB"), "at least 4MB"},
		{"{min: 4MB, why: w}", text("1GB"), true, text("1GB"), "at least 4MB"},
		{"{max: 5min, why: w}", text("1h"), false, text("5min"), "at most 5min"},
		{"{max: 5min, why: w}", penumbra.Null(), false, text("5min"), "at most 5min"},
		{"{expr: 'number(settings.cores) * 2.0', why: w}", n(3), false, n(8), "8"},
		{"{expr: 'number(settings.cores) * 2.0', why: w}", n(8), true, n(8), "8"},
	}
	for _, test := range tests {
		base := parse(t, "    best: "+test.best+"\n")
		facts := base.Facts(penumbra.FactQuery{Type: "x", Path: "a", Value: test.value, Settings: penumbra.NewSettings(penumbra.Setting{Path: "cores", Value: text("4")})})
		if len(facts) != 1 || facts[0].Best == nil {
			t.Fatalf("%s: %+v", test.best, facts)
		}
		if b := facts[0].Best; b.Met != test.met || b.Target != test.target || b.String() != test.words {
			t.Errorf("%s at %s: %+v, %s", test.best, test.value, b, b)
		}
	}
	if facts := parse(t, "    best: {min: 4, why: w}\n").Facts(penumbra.FactQuery{Type: "x", Path: "a", Value: penumbra.Unknown()}); facts != nil {
		t.Errorf("a value that is not known yet is held against %+v", facts)
	}
	if facts := parse(t, "    best: {expr: settings.cores, why: w}\n").Facts(penumbra.FactQuery{Type: "x", Path: "a"}); facts != nil {
		t.Errorf("an expression without a value recommends %+v", facts)
	}
}

func TestHazard(t *testing.T) {
	t.Parallel()
	base := shippedBase()
	tests := []struct {
		path, value string
		want        string
	}{
		{"fsync", "off", "corrupt the whole cluster"},
		{"role.app.fsync", "FALSE", "corrupt the whole cluster"},
		{"pending_restart.wal_level", "minimal", "neither a standby"},
		{"database.shop.pgaudit.log", "", "audit trail"},
		{"fsync", "on", ""},
		{"pending_reload.autovacuum", "0", "dead rows pile up"},
		{"role.a@b.session_replication_role", "replica", "triggers"},
		{"database.shop.synchronous_commit", "OFF", "last commits"},
		{"pgaudit.log", "none", "audit trail"},
		{"", "off", ""},
		{"work_mem", "64kB", ""},
	}
	for _, test := range tests {
		got := base.Hazard(penumbra.FactQuery{Type: "postgresql", Path: test.path, Value: penumbra.String(test.value)})
		if test.want == "" && base.Hazard(penumbra.FactQuery{Type: "postgresql", Path: test.path, Value: penumbra.Unknown()}) != "" {
			t.Errorf("%s is dangerous at a value that is not known", test.path)
		}
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s at %q: %q", test.path, test.value, got)
		}
	}
}

// TestPostgreSQLServer holds the entries against a server of this machine.
func TestPostgreSQLServer(t *testing.T) {
	t.Parallel()
	const binary = "/usr/lib/postgresql/15/bin/postgres"
	if _, err := os.Stat(binary); err != nil {
		if os.Getenv("REQUIRE_TOOLS") != "" {
			t.Fatal(err)
		}
		t.Skip("no PostgreSQL 15")
	}
	out, err := exec.Command(binary, "--describe-config").Output()
	if err != nil {
		t.Fatal(err)
	}
	// It leaves out what no file may set; the catalogue of adapter/postgres has these.
	base := shippedBase()
	lines := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Split(line, "\t")
		lines++
		var want penumbra.ChangeEffect
		switch f[1] {
		case "postmaster":
			want = penumbra.RestartEffect
		case "sighup":
			want = penumbra.ReloadEffect
		}
		if got := effectOf(base, penumbra.FactQuery{Type: "postgresql", Path: f[0], Value: penumbra.String("x")}); got != want && want != "" {
			t.Errorf("%s has the effect %q, and the server says %q", f[0], got, want)
		}
	}
	if lines < 250 {
		t.Errorf("the server describes %d settings", lines)
	}
}

func BenchmarkFacts(b *testing.B) {
	base, mistakes := Load()
	if mistakes != nil {
		b.Fatal(mistakes)
	}
	var settings []penumbra.Setting
	for i := range 100 {
		settings = append(settings, penumbra.Setting{Path: fmt.Sprintf("block.%d.name", i), Value: penumbra.Number(float64(i))})
	}
	settings = append(settings, penumbra.Setting{Path: "tags.env", Value: penumbra.String("prod")}, penumbra.Setting{Path: "max_allocated_storage", Value: penumbra.Number(500)})
	all := penumbra.NewSettings(settings...)
	for _, q := range []penumbra.FactQuery{
		{Type: "aws_db_instance", Path: "allocated_storage", Value: penumbra.Number(200), Actual: penumbra.Number(100)},
		{Type: "aws_db_instance", Path: "multi_az", Value: penumbra.Bool(false)},
		{Type: "postgresql", Path: "work_mem", Value: penumbra.String("64kB")},
		{Type: "kubernetes_deployment", Path: "spec.0.template.0.spec.0.container.web.image", Value: penumbra.String("nginx")},
		{Type: "conffile_service", Path: "log_level", Value: penumbra.String("debug")},
	} {
		q.Settings, q.Declared, q.Address = all, all, "shop/x.y"
		b.Run(q.Type+"/"+q.Path, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n += len(base.Facts(q))
			}
			b.ReportMetric(float64(n)/float64(b.N), "facts")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		Load()
	}
}
