package mixture_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/mixture"
)

// watched makes an estate of 40 machines with a declared size and an undeclared
// zone, looked at once a day: each day some sizes are raised by hand, and one zone
// goes the way that all others went before it.
type watched struct {
	model *mixture.Model
	day   int
}

func at(day int) time.Time { return begin.Add(time.Duration(day) * 24 * time.Hour) }

func machine(i int) penumbra.Address { return penumbra.Address(fmt.Sprintf("e/prod|vm.m%d", i)) }

func value(path string, v any) penumbra.Setting {
	switch v := v.(type) {
	case int:
		return penumbra.Setting{Path: path, Value: penumbra.Number(float64(v))}
	case string:
		return penumbra.Setting{Path: path, Value: penumbra.String(v)}
	}
	return penumbra.Setting{Path: path}
}

func (w *watched) see(kind penumbra.ObservationKind, i int, full bool, settings ...penumbra.Setting) {
	w.model.Observe(&penumbra.Observation{
		Kind: kind, Time: at(w.day).Add(time.Duration(i) * time.Second), Resource: machine(i), Type: "vm", Full: full, Settings: penumbra.NewSettings(settings...),
	})
}

func (w *watched) declare() {
	for i := range 40 {
		w.see(penumbra.TemplateKind, i, false, value("size", 1))
	}
}

// look shows all machines: those below raised have their size raised, those below
// moved another zone.
func (w *watched) look(raised, moved int) {
	w.day++
	for i := range 40 {
		size, zone := 1, "a"
		if i < raised {
			size = 2
		}
		if i < moved {
			zone = "b"
		}
		w.see(penumbra.SnapshotKind, i, true, value("size", size), value("zone", zone))
	}
}

func (w *watched) shown(i int, size int, zone string) *penumbra.Resource {
	return &penumbra.Resource{
		Address: machine(i), Type: "vm", SnapshotTime: at(w.day), Template: penumbra.NewSettings(value("size", 1)),
		Actual: penumbra.NewSettings(value("size", size), value("zone", zone)),
	}
}

// TestDepartureIsForeseen holds the forecast to the model of departures: peers
// left for a value, so that it is likelier that those that are left do, and for it.
func TestDepartureIsForeseen(t *testing.T) {
	t.Parallel()
	w := watched{model: mixture.New(mixture.Options{Seed: 1})}
	w.declare()
	for day := range 30 {
		w.look(day, 0)
	}
	r := w.shown(35, 1, "a")
	f := w.model.Forecast(r, at(w.day+1))[0]
	if f.Path != "size" || f.Leave[len(f.Leave)-1] < 0.1 || f.Next != penumbra.Number(2) {
		t.Errorf("29 of 40 have left for 2, of another is said %+v", f)
	}
	if got := w.model.ForecastWithout(r, "size", at(w.day+1)); got != f.Leave {
		t.Errorf("with nothing left out %v, the forecast is %v", got, f.Leave)
	}
	causes := w.model.Causes(r, "size", at(w.day+1))
	if got := w.model.ForecastWithout(r, "size", at(w.day+1), causes...); len(causes) == 0 || got[len(got)-1] >= f.Leave[len(got)-1] {
		t.Errorf("without %d causes %v, with them %v", len(causes), got, f.Leave)
	}
}

// TestOpenDriftEntersNoSet holds the sets to what was there before a drift, and
// to what is declared, for as long as nobody has decided.
func TestOpenDriftEntersNoSet(t *testing.T) {
	t.Parallel()
	w := watched{model: mixture.New(mixture.Options{Seed: 1})}
	w.declare()
	for range 60 {
		w.look(0, 0)
	}
	for range 40 { // one of them has drifted, and goes on being seen so
		w.look(1, 1)
	}
	for _, span := range []int{1, 7, 30, 365} {
		for _, e := range w.model.Expect(w.shown(0, 2, "b"), at(w.day+span), 0.95) {
			drift := map[string]penumbra.Value{"size": penumbra.Number(2), "zone": penumbra.String("b")}[e.Path]
			if e.Contains(drift) || e.Novel {
				t.Errorf("%d days on the set of %s is %+v", span, e.Path, e)
			}
		}
	}
}

// TestSetsKnowWhatMoves holds the sets of undeclared settings to what the experts
// say: what changes each day and what never does are not said alike.
func TestSetsKnowWhatMoves(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := mixture.New(mixture.Options{Seed: 1})
	estate(400, m.Observe)
	r := resource("prod", 0)
	r.Template = nil
	r.Actual = penumbra.NewSettings(penumbra.Setting{Path: "image", Value: penumbra.String("v399")})
	before := -1.0
	for _, days := range []int{0, 1, 7, 30, 90} {
		e := m.Expect(r, at(400+days), 0.9)[0]
		moved := 1.0
		for _, c := range e.Values {
			if c.Probability > 0.5 {
				moved = 1 - c.Probability
			}
		}
		if moved < before {
			t.Errorf("after %d days it moved with %v, earlier with %v", days, moved, before)
		}
		before = moved
	}
	still := resource("prod", 1)
	still.Template = nil
	still.Actual = penumbra.NewSettings(penumbra.Setting{Path: "image", Value: penumbra.String("v0")})
	if e := m.Expect(still, at(407), 0.9)[0]; len(e.Values) != 1 || e.Values[0].Value != penumbra.String("v0") || e.Novel {
		t.Errorf("what never changed is said to become %+v", e)
	}
}

// TestWatchedReadBackGoesOn holds a model that is read back, with departures,
// drifts and sets that are open, to what the one that was written goes on to say.
func TestWatchedReadBackGoesOn(t *testing.T) {
	t.Parallel()
	w := watched{model: mixture.New(mixture.Options{Seed: 4})}
	w.declare()
	for day := range 25 {
		w.look(day/3, day/5)
	}
	other := mixture.New(mixture.Options{Seed: 9})
	if _, err := other.ReadFrom(bytes.NewReader(written(t, w.model))); err != nil {
		t.Fatal(err)
	}
	back := watched{model: other, day: w.day}
	for day := 25; day < 60; day++ {
		w.look(day/3, day/5)
		back.look(day/3, day/5)
	}
	for _, i := range []int{0, 20, 39} {
		r := w.shown(i, 1, "a")
		x := fmt.Sprint(w.model.Forecast(r, at(61)), w.model.Expect(r, at(61), 0.95), w.model.Next(r, at(61), 5))
		y := fmt.Sprint(other.Forecast(r, at(61)), other.Expect(r, at(61), 0.95), other.Next(r, at(61), 5))
		if x != y {
			t.Errorf("read back it says\n%s\nnot\n%s", y, x)
		}
	}
}

// TestStuckIsSaid holds the forecast's reason to the states that last too long.
func TestStuckIsSaid(t *testing.T) {
	t.Parallel()
	m := mixture.New(mixture.Options{Seed: 1})
	tell := func(day, i int, action string, on bool) {
		m.Observe(&penumbra.Observation{
			Kind: penumbra.EventKind, Time: at(day).Add(time.Duration(i) * time.Minute), Source: "git:0", Action: action, Type: "vm", Resource: machine(i),
			Settings: penumbra.NewSettings(penumbra.Setting{Path: "upgrade", Value: penumbra.Bool(on)}),
		})
	}
	for i := range 20 {
		tell(0, i, "create", false)
	}
	for i := range 19 {
		tell(10+5*i, i, "update", true)
		tell(12+5*i, i, "update", false)
	}
	tell(110, 19, "update", true)
	r := &penumbra.Resource{Address: machine(19), Type: "vm", Actual: penumbra.NewSettings(penumbra.Setting{Path: "upgrade", Value: penumbra.Bool(true)})}
	if f := m.Forecast(r, at(111))[0]; f.Path != "upgrade" || strings.Contains(f.Reason, "went back") {
		t.Errorf("after a day it is said %q", f.Reason)
	}
	if f := m.Forecast(r, at(200))[0]; !strings.Contains(f.Reason, "upgrade has been true for 90 days") {
		t.Errorf("after 90 days it is said %q", f.Reason)
	}
}
