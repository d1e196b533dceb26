package drift_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
)

var day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const web = penumbra.Address("shop/svc.web")

var (
	num   = penumbra.Number
	str   = penumbra.String
	null  = penumbra.Null()
	known = drift.DefaultThresholds()
	key   = penumbra.Key("0123456789abcdef0123456789abcdef")
)

func set(path string, v penumbra.Value) penumbra.Setting {
	return penumbra.Setting{Path: path, Value: v}
}

// expecting is a set that a shadow with a month of data holds.
func expecting(values ...penumbra.Value) *penumbra.Expectation {
	e := &penumbra.Expectation{Confidence: 0.95, Support: 30}
	for _, v := range values {
		e.Values = append(e.Values, penumbra.Candidate{Value: v, Probability: 0.97 / float64(len(values))})
	}
	return e
}

func with(e *penumbra.Expectation, change func(*penumbra.Expectation)) *penumbra.Expectation {
	change(e)
	return e
}

func habit(e *penumbra.Expectation) { e.Habit = true }
func novel(e *penumbra.Expectation) { e.Novel = true }

func leaving(p ...float64) *penumbra.Forecast {
	f := &penumbra.Forecast{Support: 30}
	copy(f.Leave[:], p)
	return f
}

// row is one setting: its template (nil if undeclared), its actual value, and
// what the shadow and the rules say of it.
type row struct {
	name     string
	template *penumbra.Value
	actual   penumbra.Value
	applied  *penumbra.Value
	expect   *penumbra.Expectation
	forecast *penumbra.Forecast
	rule     string
	want     penumbra.Verdict
	hovering bool
}

func ptr[T any](v T) *T { return &v }

func (x *row) assess(t *testing.T) penumbra.Assessment {
	t.Helper()
	r := &penumbra.Resource{Address: web, Type: "svc", SnapshotTime: day0, TemplateTime: day0}
	// A second, declared setting keeps the resource itself there.
	r.Template = append(r.Template, set("zz", num(1)))
	r.Actual = append(r.Actual, set("zz", num(1)))
	if x.template != nil {
		r.Template = penumbra.NewSettings(append(r.Template, set("p", *x.template))...)
	}
	if !x.actual.IsNull() {
		r.Actual = penumbra.NewSettings(append(r.Actual, set("p", x.actual))...)
	}
	if x.applied != nil {
		r.Applied = penumbra.NewSettings(set("p", *x.applied))
	}
	var expect []penumbra.Expectation
	if x.expect != nil {
		x.expect.Path = "p"
		expect = append(expect, *x.expect)
	}
	var forecast []penumbra.Forecast
	if x.forecast != nil {
		x.forecast.Path = "p"
		forecast = append(forecast, *x.forecast)
	}
	var rules *drift.Rules
	if x.rule != "" {
		var err error
		if rules, err = drift.NewRules([]penumbra.Rule{{Pattern: x.rule}}); err != nil {
			t.Fatal(err)
		}
	}
	return drift.Assess(r, expect, forecast, rules, known, day0)
}

var table = []row{
	// The four cells, for declared and undeclared settings.
	{name: "A=T in C", template: ptr(num(1)), actual: num(1), expect: expecting(num(1)), want: penumbra.InSync},
	{name: "A=T not in C", template: ptr(num(1)), actual: num(1), expect: with(expecting(num(9)), habit), want: penumbra.Unexpected},
	{name: "A≠T in C by habit", template: ptr(num(1)), actual: num(9), expect: with(expecting(num(1), num(9)), habit), want: penumbra.Tolerated},
	{name: "A≠T not in C", template: ptr(num(1)), actual: num(2), expect: expecting(num(1)), want: penumbra.Drifted},
	{name: "undeclared in C", actual: num(1), expect: expecting(num(1)), want: penumbra.InSync},
	{name: "undeclared not in C", actual: num(2), expect: expecting(num(1)), want: penumbra.Unexpected},

	// What a set that holds A does not excuse.
	{name: "A≠T, only something new is possible", template: ptr(num(1)), actual: num(2), expect: with(expecting(num(1)), novel), want: penumbra.Drifted},
	{name: "A≠T, habit of another value, something new possible", template: ptr(num(1)), actual: num(2), expect: with(with(expecting(num(1), num(9)), habit), novel), want: penumbra.Drifted},
	{name: "A≠T, in C by a person's word", template: ptr(num(1)), actual: num(2), expect: expecting(num(2), num(1)), want: penumbra.Tolerated},
	{name: "A≠T within the interval of a habit", template: ptr(num(1)), actual: num(7), expect: with(expecting(num(1)), func(e *penumbra.Expectation) {
		e.Habit, e.Interval = true, &penumbra.Interval{Low: 1, High: 9}
	}), want: penumbra.Tolerated},
	{name: "A≠T beyond the interval of a habit", template: ptr(num(1)), actual: num(70), expect: with(expecting(num(1)), func(e *penumbra.Expectation) {
		e.Habit, e.Interval = true, &penumbra.Interval{Low: 1, High: 9}
	}), want: penumbra.Drifted},

	// Little or no data.
	{name: "undeclared moved, no data", actual: num(2), want: penumbra.InSync},
	{name: "undeclared moved, an hour of data", actual: num(2), expect: with(expecting(num(1)), func(e *penumbra.Expectation) { e.Support = 0.04 }), want: penumbra.InSync},
	{name: "undeclared moved, an empty set", actual: num(2), expect: expecting(), want: penumbra.InSync},
	{name: "undeclared moved, something new possible", actual: num(2), expect: with(expecting(num(1)), novel), want: penumbra.InSync},
	{name: "A≠T, no data", template: ptr(num(1)), actual: num(2), want: penumbra.Drifted},
	{name: "A=T, no data", template: ptr(num(1)), actual: num(1), want: penumbra.InSync},

	// Absent and unknown values.
	{name: "undeclared and gone", actual: null, expect: expecting(num(1)), want: penumbra.Unexpected},
	{name: "undeclared and gone, as expected", actual: null, expect: expecting(null, num(1)), want: penumbra.InSync},
	{name: "declared and not there", template: ptr(num(1)), actual: null, expect: expecting(num(1)), want: penumbra.Drifted},
	{name: "template unknown until applied", template: ptr(penumbra.Unknown()), actual: num(2), expect: expecting(num(2)), forecast: leaving(1, 1, 1, 1, 1), want: penumbra.InSync},

	// Pending.
	{name: "merged and not applied", template: ptr(num(2)), actual: num(1), applied: ptr(num(1)), expect: expecting(num(1)), want: penumbra.Pending},
	{name: "merged, not applied, and moved", template: ptr(num(2)), actual: num(3), applied: ptr(num(1)), expect: expecting(num(1)), want: penumbra.Drifted},
	{name: "a new setting, not applied", template: ptr(num(2)), actual: null, applied: ptr(null), want: penumbra.Pending},
	{name: "pending comes before a rule", template: ptr(num(2)), actual: num(1), applied: ptr(num(1)), rule: "*.p", want: penumbra.Pending},

	// Impending, its threshold's neighbourhood, and what is never foreseen.
	{name: "forecast at its threshold", template: ptr(num(1)), actual: num(1), expect: expecting(num(1)), forecast: leaving(0, 0.5), want: penumbra.Impending},
	{name: "forecast near its threshold", template: ptr(num(1)), actual: num(1), expect: expecting(num(1)), forecast: leaving(0, 0.36), want: penumbra.InSync, hovering: true},
	{name: "forecast far below", template: ptr(num(1)), actual: num(1), expect: expecting(num(1)), forecast: leaving(0, 0.34, 0.34, 0.34, 0.5), want: penumbra.InSync},
	{name: "a month's forecast needs more", template: ptr(num(1)), actual: num(1), expect: expecting(num(1)), forecast: leaving(0, 0, 0, 0, 0.79), want: penumbra.InSync, hovering: true},
	{name: "undeclared is never impending", actual: num(1), expect: expecting(num(1)), forecast: leaving(1, 1, 1, 1, 1), want: penumbra.InSync},
	{name: "a habit is not announced", template: ptr(num(1)), actual: num(1), expect: expecting(num(1)), forecast: &penumbra.Forecast{Leave: [...]float64{1, 1, 1, 1, 1}, Habit: true}, want: penumbra.InSync},
	{name: "ignored is never impending", template: ptr(num(1)), actual: num(1), forecast: leaving(1), rule: "svc.*.p", want: penumbra.InSync},
	{name: "ignored never hovers", template: ptr(num(1)), actual: num(1), forecast: leaving(0.4), rule: "svc.*.p", want: penumbra.InSync},
	{name: "unexpected before impending", template: ptr(num(1)), actual: num(1), expect: expecting(num(2)), forecast: leaving(1), want: penumbra.Unexpected},
	{name: "off the template is not impending", template: ptr(num(1)), actual: num(2), forecast: leaving(1), want: penumbra.Drifted},

	// A person's rule.
	{name: "A≠T ignored", template: ptr(num(1)), actual: num(2), rule: "svc.web.p", want: penumbra.Tolerated},
	{name: "undeclared moved, ignored", actual: num(2), expect: expecting(num(1)), rule: "svc.web", want: penumbra.Tolerated},

	// Secrets.
	{name: "the same secret", template: ptr(key.Seal(str("a"))), actual: key.Seal(str("a")), want: penumbra.InSync},
	{name: "another secret", template: ptr(key.Seal(str("a"))), actual: key.Seal(str("b")), want: penumbra.Drifted},
	{name: "a secret that is gone", template: ptr(key.Seal(str("a"))), actual: null, want: penumbra.Drifted},
	{name: "a secret against a text", template: ptr(key.Seal(str("a"))), actual: str("a"), want: penumbra.NotChecked},
	{name: "a text against a secret", template: ptr(str("a")), actual: key.Seal(str("a")), rule: "*", want: penumbra.NotChecked},
	{name: "undeclared, sealed since", actual: key.Seal(str("a")), expect: expecting(str("a")), want: penumbra.NotChecked},
}

func TestTheTable(t *testing.T) {
	t.Parallel()
	for _, x := range table {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			a := x.assess(t)
			if got := a.Verdict(); got != x.want {
				t.Fatalf("verdict %q, want %q", got, x.want)
			}
			if got := len(a.Hovering) > 0; got != x.hovering {
				t.Errorf("hovering %v, want %v", got, x.hovering)
			}
			if x.want == penumbra.InSync {
				if len(a.Findings) != 0 || a.InSync != len(unionOf(x)) {
					t.Errorf("%d in sync and %d findings, want all in sync", a.InSync, len(a.Findings))
				}
				return
			}
			if len(a.Findings) != 1 || a.InSync != 1 {
				t.Fatalf("%d in sync and findings %v, want one of each", a.InSync, a.Findings)
			}
			f := a.Findings[0]
			if f.Path != "p" || f.Actual != x.actual || f.Declared != (x.template != nil) {
				t.Errorf("finding %+v", f)
			}
			if (f.Verdict == penumbra.Tolerated && x.rule != "") != (f.Rule != "") {
				t.Errorf("rule %q on a finding that is %s", f.Rule, f.Verdict)
			}
			if secret := x.actual.Kind() == penumbra.SecretKind || x.template != nil && x.template.Kind() == penumbra.SecretKind; f.Sensitive != secret {
				t.Errorf("sensitive %v, want %v", f.Sensitive, secret)
			}
			if (f.Verdict == penumbra.Impending) != (f.Forecast != nil) {
				t.Errorf("forecast %v on a finding that is %s", f.Forecast, f.Verdict)
			}
		})
	}
}

func unionOf(x row) []string {
	if x.template == nil && x.actual.IsNull() {
		return []string{"zz"}
	}
	return []string{"p", "zz"}
}

func TestWholeResource(t *testing.T) {
	t.Parallel()
	one := penumbra.NewSettings(set("p", num(1)))
	for _, x := range []struct {
		name       string
		r          penumbra.Resource
		notChecked string
		want       penumbra.Verdict
		findings   int
		inSync     int
	}{
		{"never read", penumbra.Resource{Template: one}, drift.NeverRead, penumbra.NotChecked, 0, 0},
		{"could not be read", penumbra.Resource{Template: one, Actual: one, SnapshotTime: day0, NotChecked: "access denied"}, "access denied", penumbra.NotChecked, 0, 0},
		{"deleted outside", penumbra.Resource{Template: one, SnapshotTime: day0, Settled: day0.Add(-time.Hour)}, "", penumbra.Drifted, 1, 0},
		{"not created yet", penumbra.Resource{Template: one, SnapshotTime: day0}, "", penumbra.Pending, 1, 0},
		{"in the world only", penumbra.Resource{Actual: one, SnapshotTime: day0}, "", penumbra.InSync, 0, 1},
		{"ended", penumbra.Resource{Template: one, SnapshotTime: day0, Deleted: true}, "", penumbra.InSync, 0, 0},
		{"empty", penumbra.Resource{SnapshotTime: day0}, "", penumbra.InSync, 0, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			x.r.Address, x.r.Type = web, "svc"
			a := drift.Assess(&x.r, nil, nil, nil, known, day0)
			if a.Verdict() != x.want || a.NotChecked != x.notChecked || len(a.Findings) != x.findings || a.InSync != x.inSync {
				t.Errorf("got %+v", a)
			}
			if x.findings == 1 && (a.Findings[0].Path != "" || !a.Findings[0].Declared) {
				t.Errorf("finding %+v, want the whole resource", a.Findings[0])
			}
		})
	}
}

func TestShortestHorizonIsGiven(t *testing.T) {
	t.Parallel()
	x := row{template: ptr(num(1)), actual: num(1), forecast: leaving(0.1, 0.2, 0.6, 0.9, 0.95)}
	a := x.assess(t)
	if len(a.Findings) != 1 || a.Findings[0].Horizon != 2 {
		t.Errorf("findings %+v, want one at %s", a.Findings, penumbra.HorizonNames[2])
	}
}

// A shadow may write its next answer into the slices of the last one.
func TestFindingsKeepTheirOwnExpectation(t *testing.T) {
	t.Parallel()
	r := &penumbra.Resource{Address: web, SnapshotTime: day0,
		Template: penumbra.NewSettings(set("p", num(1))), Actual: penumbra.NewSettings(set("p", num(2)))}
	e := *expecting(num(1))
	e.Path, e.Interval = "p", &penumbra.Interval{Low: 1, High: 1}
	a := drift.Assess(r, []penumbra.Expectation{e}, nil, nil, known, day0)
	e.Values[0].Value, e.Interval.High = num(7), 7
	want := penumbra.Interval{Low: 1, High: 1}
	if got := a.Findings[0].Expectation; got.Likely() != num(1) || !cmp.Equal(*got.Interval, want) {
		t.Errorf("the finding's expectation became %+v", got)
	}
}

func TestThresholdsCheck(t *testing.T) {
	t.Parallel()
	if err := known.Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, change := range map[string]func(*drift.Thresholds){
		"zero":             func(th *drift.Thresholds) { th.Leave[0] = 0 },
		"above one":        func(th *drift.Thresholds) { th.Leave[4] = 1.1 },
		"not a number":     func(th *drift.Thresholds) { th.Leave[2] = nan() },
		"negative support": func(th *drift.Thresholds) { th.Support = -1 },
	} {
		th := known
		change(&th)
		if err := th.Check(); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%s: %v, want an error of kind Invalid", name, err)
		}
		if _, err := drift.NewJudge(th); err == nil {
			t.Errorf("%s: a judge took it", name)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }
