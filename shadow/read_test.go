package shadow

import (
	"math"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func TestMask(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, masked, token string }{
		{"size", "size", "size"},
		{"ingress.0.port", "ingress.*.port", "port"},
		{"spec.hosts[12].name", "spec.hosts[*].name", "name"},
		{"ports.3", "ports.*", "ports"},
		{"args[0][1]", "args[*][*]", "args"},
		{"0.a", "*.a", "a"},
		{"disk2.size", "disk2.size", "size"},
		{"ipv4.address", "ipv4.address", "address"},
		{"a.1b.c", "a.1b.c", "c"},
		{"", "", ""},
	} {
		if got := mask(c.path); got != c.masked || lastToken(got) != c.token {
			t.Errorf("%q: %q with token %q, want %q with %q", c.path, got, lastToken(got), c.masked, c.token)
		}
	}
}

func TestQuantity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value penumbra.Value
		want  float64
		ok    bool
	}{
		{penumbra.Number(3), 3, true},
		{penumbra.String("512Mi"), 512 << 20, true},
		{penumbra.String("500m"), 0.5, true},
		{penumbra.String("1.5G"), 1.5e9, true},
		{penumbra.String("20%"), 0.2, true},
		{penumbra.String("17"), 17, true},
		{penumbra.String("1.2.3"), 0, false},
		{penumbra.String("Mi"), 0, false},
		{penumbra.String("5MM"), 0, false},
		{penumbra.String("db.t3.large"), 0, false},
		{penumbra.Bool(true), 0, false},
		{penumbra.Null(), 0, false},
	} {
		got, _, ok := quantity(c.value)
		if ok != c.ok || math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("%v: %v, %t", c.value, got, ok)
		}
	}
}

func FuzzQuantity(f *testing.F) {
	f.Add("512Mi")
	f.Add("-1e999Ti")
	f.Fuzz(func(t *testing.T, s string) {
		if x, _, ok := quantity(penumbra.String(s)); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
			t.Errorf("%q is %v", s, x)
		}
	})
}

func FuzzMask(f *testing.F) {
	f.Add("a.0.b[1]")
	f.Fuzz(func(t *testing.T, path string) {
		if masked := mask(path); mask(masked) != masked {
			t.Errorf("%q: %q, then %q", path, masked, mask(masked))
		}
	})
}

func TestPasses(t *testing.T) {
	t.Parallel()
	const hour = 3600.0
	for _, c := range []struct{ begin, span, want float64 }{
		{hour, hour / 2, 0},
		{hour, hour + 450, 0.5},
		{hour, 2 * hour, 1},
		{hour, 25*hour + 450, 1.5},
		{24*hour - 450, 450, 0.5}, // half of it is over
		{24*hour - 450, 23 * hour, 0.5},
		{24*hour - 450, 24 * hour, 1},
		{0, 7 * 24 * hour, 7},
	} {
		if got := passes(c.begin, c.span); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("from %v for %v: %v, want %v", c.begin, c.span, got, c.want)
		}
	}
}

// TestStepsGiveARange has a class whose numbers change by a tenth, and asks for
// one that has surely changed.
func TestStepsGiveARange(t *testing.T) {
	t.Parallel()
	c := &class{}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	for range 20 {
		c.measure(penumbra.String("100Mi"), penumbra.String("110Mi"), at)
		c.measure(penumbra.String("100Mi"), penumbra.String("90Mi"), at)
	}
	got := c.steps.interval(penumbra.Number(100), 1, 0.9)
	if got == nil || got.Low > 90 || got.Low < 80 || got.High < 110 || got.High > 120 {
		t.Errorf("range %+v", got)
	}
	if got := c.steps.interval(penumbra.Number(100), 0.01, 0.9); got.Low != 100 || got.High != 100 {
		t.Errorf("what hardly changes has the range %+v", got)
	}
	if got := c.steps.interval(penumbra.String("a"), 1, 0.9); got != nil {
		t.Errorf("a text has the range %+v", got)
	}
}

// TestPoolExposure compares the recursive exposure with the integral.
func TestPoolExposure(t *testing.T) {
	t.Parallel()
	var p pool
	p.join(3, 1000)
	for i := range int64(400) {
		p.advance(1000 + i*secondsPerDay)
	}
	if want := 3 * decayedDays(399, longLife); math.Abs(p.exposure-want) > 1e-6 {
		t.Errorf("exposure %v, want %v", p.exposure, want)
	}
}

// FuzzPayload reads payloads past the checksum: an error or a model that answers.
func FuzzPayload(f *testing.F) {
	p := NewPooled(Options{})
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, size := range []float64{1, 2, 1, 3, 3} {
		p.Observe(&penumbra.Observation{Kind: penumbra.TemplateKind, Time: at.Add(time.Duration(i) * time.Hour), Resource: "s/a", Type: "t",
			Settings: penumbra.Settings{{Path: "size", Value: penumbra.Number(1)}}})
		p.Observe(&penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at.Add(time.Duration(i) * time.Hour), Resource: "s/a", Type: "t", Full: true,
			Settings: penumbra.Settings{{Path: "disk", Value: penumbra.Number(size)}, {Path: "size", Value: penumbra.Number(size)}}})
	}
	c := &codec{ids: map[string]uint64{}}
	c.state(&p.state, nil)
	f.Add(c.data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewPooled(Options{})
		fresh := newState()
		c := &codec{reading: true, data: data}
		if c.state(&fresh, nil); c.err != nil {
			return
		}
		m.state = fresh
		r := &penumbra.Resource{Address: "s/a", Type: "t", Actual: penumbra.Settings{{Path: "disk"}, {Path: "size"}}}
		m.Expect(r, at, 0.95)
		m.Forecast(r, at)
	})
}
