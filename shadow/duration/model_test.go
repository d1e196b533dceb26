package duration_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/duration"
)

var begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// step tells of a value's step.
func step(m *duration.Model, at time.Time, resource int, path string, from, to penumbra.Value) {
	m.Learn(&shadow.Change{
		Resource: address(resource), Type: "db", Path: path, Class: shadow.Mask(path), From: from, To: to,
		By: &penumbra.Observation{Time: at},
	})
}

func address(i int) penumbra.Address { return penumbra.Address(fmt.Sprintf("e/db.d%d", i)) }

var on, off = penumbra.Bool(true), penumbra.Bool(false)

// upgrades tells of n flags that are on for times whose logarithm is normal
// around four hours, one after the other, and returns when the last was over.
func upgrades(m *duration.Model, n int, random *rand.Rand) time.Time {
	at := begin
	for i := range n {
		step(m, at, i, "upgrade", off, on)
		at = at.Add(lasts(random))
		step(m, at, i, "upgrade", on, off)
		at = at.Add(time.Hour)
	}
	return at.Truncate(time.Second)
}

func lasts(random *rand.Rand) time.Duration {
	return time.Duration(4 * math.Exp(random.NormFloat64()) * float64(time.Hour))
}

func TestStuck(t *testing.T) {
	t.Parallel()
	m := duration.New(duration.Options{})
	at := upgrades(m, 300, rand.New(rand.NewPCG(1, 1)))
	step(m, at, 900, "upgrade", off, on)
	step(m, at.Add(80*time.Hour), 901, "upgrade", off, on)
	if got := m.Stuck(at.Add(10 * time.Hour)); len(got) != 0 {
		t.Errorf("after 10 hours %+v is stuck", got)
	}
	got := m.Stuck(at.Add(82 * time.Hour))
	if len(got) != 1 || got[0].Resource != address(900) || got[0].Value != on || got[0].Before != off || !got[0].Stuck {
		t.Fatalf("stuck: %+v", got)
	}
	s := got[0]
	if s.Age != 82*time.Hour || s.Probability < 0.95 || s.Typical.Support != 300 || s.Typical.AnyValue || s.Typical.Returns < 0.97 {
		t.Errorf("%+v", s)
	}
	if h := s.Typical.Median.Hours(); h < 3 || h > 5 {
		t.Errorf("the median is %.1f hours, want 4", h)
	}
	if h := s.Typical.Limit.Hours(); h < 11 || h > 19 { // 14.4
		t.Errorf("nine in ten are over within %.1f hours, want 14.4", h)
	}
	if r := s.Reason(); !strings.HasPrefix(r, "upgrade has been true for 3 days; of 300 times that true went back, half lasted less than 4 hours") {
		t.Error(r)
	}
	if one, ok := m.Of(address(901), "upgrade", at.Add(82*time.Hour)); !ok || one.Stuck || one.Age != 2*time.Hour || one.Probability > 0.5 {
		t.Errorf("the younger one: %+v %v", one, ok)
	}
	step(m, at.Add(90*time.Hour), 900, "upgrade", on, off)
	if got := m.Stuck(at.Add(91 * time.Hour)); len(got) != 0 {
		t.Errorf("went back, and %+v is stuck", got)
	}
}

// TestSaysNothing where nothing is known.
func TestSaysNothing(t *testing.T) {
	t.Parallel()
	far := begin.AddDate(5, 0, 0)
	few := duration.New(duration.Options{})
	at := upgrades(few, 7, rand.New(rand.NewPCG(2, 1)))
	step(few, at, 900, "upgrade", off, on)
	// Versions go on, a few are rolled back.
	versions := duration.New(duration.Options{})
	now := begin
	for i := range 400 {
		v := func(n int) penumbra.Value { return penumbra.String(fmt.Sprint("v", n)) }
		now = now.Add(time.Hour)
		step(versions, now, i%10, "version", v(i/10), v(i/10+1))
		if i%20 == 7 {
			now = now.Add(time.Minute)
			step(versions, now, i%10, "version", v(i/10+1), v(i/10))
			step(versions, now.Add(time.Minute), i%10, "version", v(i/10), v(i/10+1))
		}
	}
	for name, m := range map[string]*duration.Model{"nothing": duration.New(duration.Options{}), "few": few, "versions": versions} {
		if got := m.Stuck(far); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, ok := few.Of(address(900), "upgrade", far); ok {
		t.Error("seven that went back are taken for enough")
	}
}

// TestSweepIsOne: what one commit takes back a hundred times is one decision.
func TestSweepIsOne(t *testing.T) {
	t.Parallel()
	m := duration.New(duration.Options{})
	for i := range 100 {
		step(m, begin, i, "label", off, on)
	}
	for i := range 100 {
		step(m, begin.Add(time.Hour), i, "label", on, off)
	}
	if x, ok := m.Typical("db", "label", on, begin.Add(2*time.Hour)); ok || x.Support != 1 || x.Gone != 100 {
		t.Errorf("%+v %v, want nothing said", x, ok)
	}
}

// TestRests: who is back does not wait to leave again, and neither does who was
// there first.
func TestRests(t *testing.T) {
	t.Parallel()
	m := duration.New(duration.Options{})
	at := begin
	for i := range 40 { // the flag is added as on, and off is where it comes to rest
		from := penumbra.Null()
		if i < 20 {
			from = off
		}
		step(m, at, i, "flag", from, on)
		at = at.Add(time.Hour)
		step(m, at, i, "flag", on, off)
	}
	if x, ok := m.Typical("db", "flag", on, at); !ok || x.Support != 40 {
		t.Errorf("on: %+v %v, want all to have gone back", x, ok)
	}
	if got := m.Stuck(at.AddDate(3, 0, 0)); len(got) != 0 {
		t.Errorf("at rest and stuck: %+v", got)
	}
}

// TestOpenAndEnded: what is open, and what ended with its resource, makes states
// last longer than those that are over say.
func TestOpenAndEnded(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 1))
	m := duration.New(duration.Options{})
	const n = 4000
	seen := 8 * time.Hour
	for i := range n {
		d := lasts(random)
		step(m, begin, i, "upgrade", off, on)
		switch {
		case i%4 == 0 && d > 2*time.Hour:
			m.End(address(i), begin.Add(2*time.Hour))
		case d < seen:
			step(m, begin.Add(d), i, "upgrade", on, off)
		}
	}
	// Within eight hours 0.756 are over; of the quarter whose resource ended it
	// is not known.
	x, ok := m.Typical("db", "upgrade", on, begin.Add(seen))
	if !ok {
		t.Fatal("nothing is known")
	}
	s, _ := m.Of(openOne(m, begin.Add(seen)), "upgrade", begin.Add(seen))
	if math.Abs(s.Probability-0.756) > 0.03 {
		t.Errorf("after eight hours %.3f are said to have gone back, want 0.756; %+v", s.Probability, x)
	}
}

// openOne returns a resource that is in a state.
func openOne(m *duration.Model, at time.Time) penumbra.Address {
	for i := 1; ; i++ {
		if _, ok := m.Of(address(i), "upgrade", at); ok {
			return address(i)
		}
	}
}

// TestPools: a value of which nine went back speaks for itself, with what other
// settings of its type do.
func TestPools(t *testing.T) {
	t.Parallel()
	m := duration.New(duration.Options{})
	at := begin
	for i := range 200 {
		for k := range 10 {
			step(m, at, i, fmt.Sprintf("flag%d", k), off, on)
			step(m, at.Add(time.Duration(k+1)*time.Hour), i, fmt.Sprintf("flag%d", k), on, off)
		}
		at = at.Add(24 * time.Hour)
	}
	for i := range 9 {
		step(m, at.Add(time.Duration(i)*time.Minute), i, "rare", off, on)
	}
	for i := range 9 {
		step(m, at.Add(50*24*time.Hour+time.Duration(i)*time.Minute), i, "rare", on, off)
	}
	at = at.Add(51 * 24 * time.Hour)
	x, ok := m.Typical("db", "rare", on, at)
	if !ok || x.Support != 9 || x.Median < 24*time.Hour {
		t.Errorf("the rare one: %+v %v, want 50 days", x, ok)
	}
	if x, ok = m.Typical("db", "flag4", on, at); !ok || math.Abs(x.Median.Hours()-5) > 1 {
		t.Errorf("the fifth flag: %+v %v, want 5 hours", x, ok)
	}
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	m := duration.New(duration.Options{Capacity: 10})
	for i := range 30 {
		step(m, begin, i, "upgrade", off, on)
	}
	for i := range 30 {
		step(m, begin.Add(time.Hour), i, "upgrade", on, off)
	}
	if x, _ := m.Typical("db", "upgrade", on, begin.Add(2*time.Hour)); x.Gone != 10 {
		t.Errorf("%d were followed, want 10", x.Gone)
	}
}

// TestMoves replays observations: the code's additions, and drifts and their
// return, are steps too.
func TestMoves(t *testing.T) {
	t.Parallel()
	m := duration.New(duration.Options{Support: 3})
	learn := func(c shadow.Change) { m.Learn(&c) }
	p := shadow.NewPooled(shadow.Options{Changes: learn, Moves: learn})
	observe := func(at time.Time, i int, kind penumbra.ObservationKind, source, action string, s ...penumbra.Setting) {
		p.Observe(&penumbra.Observation{
			Kind: kind, Time: at, Source: source, Action: action, Resource: address(i), Type: "db",
			Full: kind == penumbra.SnapshotKind, Settings: penumbra.NewSettings(s...),
		})
	}
	name := penumbra.Setting{Path: "name", Value: penumbra.String("x")}
	flag := func(v penumbra.Value) penumbra.Setting { return penumbra.Setting{Path: "flag", Value: v} }
	at := begin
	for i := range 3 { // in the code only
		observe(at, i, penumbra.EventKind, "git:1", "create", name)
		observe(at.Add(time.Hour), i, penumbra.EventKind, "git:2", "update", flag(on))
		observe(at.Add(3*time.Hour), i, penumbra.EventKind, "git:3", "update", flag(penumbra.Null()))
		at = at.Add(4 * time.Hour)
	}
	if x, ok := m.Typical("db", "flag", on, at); !ok || x.Support != 3 {
		t.Errorf("added and taken away: %+v %v", x, ok)
	}
	for i := 10; i < 13; i++ { // drift, its return, and drift again
		observe(at, i, penumbra.TemplateKind, "code", "", name, flag(off))
		for h, v := range []penumbra.Value{off, on, off, penumbra.String("odd")} {
			observe(at.Add(time.Duration(h)*time.Hour), i, penumbra.SnapshotKind, "read", "", name, flag(v))
		}
		at = at.Add(4 * time.Hour)
	}
	if x, ok := m.Typical("db", "flag", on, at); !ok || x.Support != 6 {
		t.Errorf("drifted and returned: %+v %v, want three more", x, ok)
	}
}
