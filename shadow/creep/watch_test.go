package creep_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/creep"
)

var str, num = penumbra.String, penumbra.Number

func TestAmountsAgainstALimit(t *testing.T) {
	for _, c := range []struct {
		limit, actual  penumbra.Value
		passed, unread bool
	}{
		{str("8MB"), str("8MB"), false, false},
		{str("8MB"), str("8192kB"), false, false},
		{str("8MB"), str("8193kB"), true, false},
		{str("8MB"), str("1GB"), true, false},
		{str("8MiB"), str("8MB"), false, false},
		{str("500m"), str("0.6"), false, true},
		{str("2Gi"), str("2049Mi"), true, false},
		{str("5min"), str("300s"), false, false},
		{str("5min"), str("1h"), true, false},
		{str("5min"), str("1MB"), false, true},
		{str("5min"), str("0"), false, false},
		{num(100), num(101), true, false},
		{num(100), str("100"), false, false},
		{num(100), str("many"), false, true},
		{num(100), penumbra.Bool(true), false, true},
		{str("80%"), str("81%"), true, false},
	} {
		w := newWatch(c.limit)
		o, r := seen(day0, c.actual)
		w.Observe(o)
		expect, forecast := w.Apply(r, nil, nil, day0)
		if len(expect) != 1 || len(forecast) != 1 {
			t.Fatalf("%d expectations, %d forecasts", len(expect), len(forecast))
		}
		if l := expect[0].Limit; l.Passed != c.passed || l.Unread != c.unread {
			t.Errorf("%s against %s: %+v", c.actual, c.limit, l)
		}
	}
}

func TestLimitsThatMeanNothing(t *testing.T) {
	for want, l := range map[string]creep.Limit{
		"neither min nor max": {},
		`has max "much"`:      {Max: str("much")},
		`has min "1x"`:        {Min: str("1x")},
		"do not compare":      {Min: str("1MB"), Max: str("1min")},
		"above max":           {Min: num(2), Max: num(1)},
	} {
		_, err := creep.New([]creep.Limit{l}, nil)
		if penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", l, err, want)
		}
	}
}

// play shows a watch values, one a day, and returns the last forecast.
func play(w *creep.Watch, values ...penumbra.Value) (*penumbra.Limit, penumbra.Forecast) {
	var e []penumbra.Expectation
	var f []penumbra.Forecast
	for i, v := range values {
		o, r := seen(day0.Add(time.Duration(i)*day), v)
		w.Observe(o)
		e, f = w.Apply(r, nil, nil, o.Time)
	}
	return e[0].Limit, f[0]
}

func TestForecastOfSteps(t *testing.T) {
	_, one := play(newWatch(num(8)), num(4), num(5))
	_, three := play(newWatch(num(8)), num(4), num(5), num(6), num(7))
	_, still := play(newWatch(num(8)), num(4), num(4), num(4))
	_, back := play(newWatch(num(8)), num(4), num(7), num(4), num(7), num(4), num(7), num(4), num(7))
	const week = 3
	if one.Leave[week] > 0.3 || !strings.HasPrefix(one.Reason, "raised once, a moment ago, by 1: 8 is 3 steps away") {
		t.Errorf("one step: %.2f, %q", one.Leave, one.Reason)
	}
	if three.Leave[week] < 0.5 || three.Next != num(8) || three.TimeToDrift < day || three.TimeToDrift > 7*day {
		t.Errorf("three steps: %+v", three)
	}
	if still.Leave[week] != 0 || still.Reason != "" {
		t.Errorf("no step: %+v", still)
	}
	if back.Leave[4] > 0.1 {
		t.Errorf("back and forth: %+v", back)
	}
}

func TestLoweredTowardsAMinimum(t *testing.T) {
	w, err := creep.New([]creep.Limit{{Match: func(_ penumbra.Address, p string) bool { return p == path }, Min: str("10s"), Max: str("1h")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l, f := play(w, str("60s"), str("50s"), str("40s"), str("30s"), str("20s"))
	if l.Bound != str("10s") || f.Leave[3] < 0.5 || !strings.HasPrefix(f.Reason, "lowered 4 times in 3 days by about 10s each: 10s is 2 steps away") {
		t.Errorf("%+v, %+v", l, f)
	}
	if f.Next != str("10s") {
		t.Errorf("next %s", f.Next)
	}
}

// A log that comes after the look says who it was all the same, and restarting
// from the timeline, where it stands in its place, makes no difference.
func TestLateEventsNameWhoItWas(t *testing.T) {
	var timeline []*penumbra.Observation
	for i, v := range []float64{4, 5, 6} {
		o, _ := seen(day0.Add(time.Duration(i)*day), num(v))
		timeline = append(timeline, o)
	}
	event := &penumbra.Observation{
		Kind: penumbra.EventKind, Time: day0.Add(30 * time.Hour), Resource: address, Actor: "alice", ActorKind: penumbra.User, Action: "ALTER SYSTEM",
		Settings: penumbra.NewSettings(penumbra.Setting{Path: path, Value: num(6)}),
	}
	_, r := seen(day0.Add(2*day), num(6))
	ask := func(all ...*penumbra.Observation) penumbra.Forecast {
		w := newWatch(num(8))
		for _, o := range all {
			w.Observe(o)
		}
		_, f := w.Apply(r, nil, nil, day0.Add(3*day))
		return f[0]
	}
	late, inOrder := ask(append(timeline[:3:3], event)...), ask(timeline[0], timeline[1], event, timeline[2])
	if late != inOrder {
		t.Errorf("late %+v\nin order %+v", late, inOrder)
	}
	if !strings.Contains(late.Reason, "each, by alice, last 2 days ago:") {
		t.Errorf("%q", late.Reason)
	}
}

func TestCodeOverrules(t *testing.T) {
	var told []string
	w, err := creep.New([]creep.Limit{{Match: func(penumbra.Address, string) bool { return true }, Max: num(8)}}, func(s string) { told = append(told, s) })
	if err != nil {
		t.Fatal(err)
	}
	o, r := seen(day0, num(9))
	r.Template = o.Settings
	w.Observe(o)
	for range 3 {
		if e, f := w.Apply(r, nil, nil, day0); len(e)+len(f) != 0 {
			t.Errorf("%v, %v", e, f)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], string(address)+"."+path) {
		t.Errorf("%q", told)
	}
}

func BenchmarkApply(b *testing.B) {
	w := newWatch(num(30))
	_, r := seen(day0, num(14))
	for i := range 11 {
		o, _ := seen(day0.Add(time.Duration(i)*day), num(float64(4+i)))
		w.Observe(o)
	}
	for b.Loop() {
		w.Apply(r, nil, nil, day0.Add(11*day))
	}
}
