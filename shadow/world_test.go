package shadow_test

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// world is a model with the resources folded alongside, as the engine has them.
type world struct {
	t     *testing.T
	model *shadow.Pooled
	known map[penumbra.Address]*penumbra.Resource
}

func newWorld(t *testing.T) *world {
	return &world{t: t, model: shadow.NewPooled(shadow.Options{}), known: map[penumbra.Address]*penumbra.Resource{}}
}

func settings(pairs ...any) penumbra.Settings {
	var out []penumbra.Setting
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, penumbra.Setting{Path: pairs[i].(string), Value: value(pairs[i+1])})
	}
	return penumbra.NewSettings(out...)
}

func value(x any) penumbra.Value {
	if n, ok := x.(int); ok {
		return penumbra.Number(float64(n))
	}
	return penumbra.Scalar(x)
}

func (w *world) resource(name string) *penumbra.Resource {
	a := penumbra.Address("shop/vm." + name)
	if w.known[a] == nil {
		w.known[a] = &penumbra.Resource{Address: a, Type: "vm"}
	}
	return w.known[a]
}

func (w *world) template(at time.Time, name string, pairs ...any) {
	r := w.resource(name)
	r.Template = settings(pairs...)
	w.model.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: at, Resource: r.Address, Type: r.Type, Settings: r.Template})
}

func (w *world) snapshot(at time.Time, name string, pairs ...any) {
	r := w.resource(name)
	r.Actual, r.SnapshotTime = settings(pairs...), at
	w.model.Observe(&penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: r.Address, Type: r.Type, Settings: r.Actual, Full: true})
}

func (w *world) event(at time.Time, name, action string, actor penumbra.ActorKind, pairs ...any) {
	r := w.resource(name)
	w.model.Observe(&penumbra.Observation{Kind: penumbra.EventKind, Time: at, Resource: r.Address, Type: r.Type, Action: action, ActorKind: actor, Settings: settings(pairs...)})
}

func (w *world) expect(at time.Time, name, path string, confidence float64) penumbra.Expectation {
	w.t.Helper()
	for _, e := range w.model.Expect(w.resource(name), at, confidence) {
		if e.Path == path {
			return e
		}
	}
	w.t.Fatalf("no expectation of %s of %s", path, name)
	return penumbra.Expectation{}
}

func (w *world) forecast(at time.Time, name, path string) penumbra.Forecast {
	w.t.Helper()
	for _, f := range w.model.Forecast(w.resource(name), at) {
		if f.Path == path {
			return f
		}
	}
	w.t.Fatalf("no forecast of %s of %s", path, name)
	return penumbra.Forecast{}
}

// holds fails unless the set holds the value, or does not if want is false.
func (w *world) holds(at time.Time, name, path string, x any, want bool) {
	w.t.Helper()
	e := w.expect(at, name, path, 0.95)
	if e.Contains(value(x)) != want {
		w.t.Errorf("%s: set of %s.%s holds %v is %t, want %t: %+v", at.Format(time.DateTime), name, path, x, !want, want, e)
	}
}
