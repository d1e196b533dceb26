package departure_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/departure"
)

var begin = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func day(d int) time.Time { return begin.Add(time.Duration(d) * 24 * time.Hour) }

// estate is a fleet of services under watch.
type estate struct {
	counts *shadow.Pooled
	model  *departure.Model
}

func newEstate(o departure.Options) *estate {
	e := &estate{}
	e.counts = shadow.NewPooled(shadow.Options{Changes: func(c shadow.Change) { e.model.Learn(&c) }})
	e.model = departure.New(e.counts, o)
	return e
}

func (e *estate) see(o *penumbra.Observation) {
	e.model.Advance(o.Time)
	e.counts.Observe(o)
}

func address(i int) penumbra.Address {
	return penumbra.Address(fmt.Sprintf("shop/team%d|service.s%d", i/4, i))
}

func observation(kind penumbra.ObservationKind, at time.Time, i int, version string) *penumbra.Observation {
	return &penumbra.Observation{
		Kind: kind, Time: at, Resource: address(i), Type: "service", Full: kind == penumbra.SnapshotKind,
		Settings: penumbra.NewSettings(penumbra.Setting{Path: "name", Value: penumbra.String(fmt.Sprint("s", i))}, penumbra.Setting{Path: "version", Value: penumbra.String(version)}),
	}
}

const services = 60

// wave lives through so many days. Two services in three name a minor version;
// every 40 days a provider moves a half of those that are behind to the next
// one, and two days later the code follows.
func (e *estate) wave(from, to int) {
	random := rand.New(rand.NewPCG(uint64(from), 1))
	version := func(minor int) string { return fmt.Sprintf("14.%d", minor) }
	for d := from; d < to; d++ {
		if d == 0 {
			for i := range services {
				v := version(0)
				if i%3 == 0 {
					v = "14"
				}
				e.see(observation(penumbra.TemplateKind, day(d), i, v))
				e.see(observation(penumbra.SnapshotKind, day(d), i, v))
			}
			continue
		}
		round := d / 40
		switch d % 40 {
		case 20: // somebody has the newer one first
			e.see(observation(penumbra.TemplateKind, day(d), 1, version(round+1)))
			e.see(observation(penumbra.SnapshotKind, day(d), 1, version(round+1)))
		case 30:
			for i := range services {
				if i%3 == 0 || i == 1 || random.Float64() < 0.5 {
					continue
				}
				e.see(observation(penumbra.SnapshotKind, day(d), i, version(round+1)))
			}
		case 32:
			for i := range services {
				if i%3 != 0 && i != 1 {
					e.see(observation(penumbra.TemplateKind, day(d), i, version(round+1)))
					e.see(observation(penumbra.SnapshotKind, day(d), i, version(round+1)))
				}
			}
		default:
			e.model.Advance(day(d))
		}
	}
}

func (e *estate) leave(i int, at time.Time) (out [3]float64) {
	e.counts.Departing(address(i), at, func(x *shadow.AtRisk) {
		if x.Path == "version" {
			out = e.model.Leave(x, at)
		}
	})
	return out
}

func TestLearnsWhoDeparts(t *testing.T) {
	t.Parallel()
	e := newEstate(departure.Options{Seed: 1})
	e.wave(0, 385)
	at := day(385)
	pinned, floating := e.leave(2, at), e.leave(3, at)
	if pinned[2] < 3*floating[2] || pinned[2] < 0.1 {
		t.Errorf("within 90 days %.3f of what names a minor version, %.3f of what does not", pinned[2], floating[2])
	}
	for _, p := range [][3]float64{pinned, floating} {
		if p[0] < 0 || p[0] > p[1] || p[1] > p[2] || p[2] > 1 {
			t.Errorf("probabilities %v do not rise with the horizon", p)
		}
	}
}

func TestNamesTheValue(t *testing.T) {
	t.Parallel()
	e := newEstate(departure.Options{Seed: 1})
	e.wave(0, 385)
	var names []penumbra.Candidate
	e.counts.Departing(address(2), day(385), func(x *shadow.AtRisk) {
		if x.Path == "version" {
			names = e.model.Next(x, day(385))
		}
	})
	if len(names) == 0 || names[0].Value != penumbra.String("14.10") {
		t.Fatalf("it would depart to %v, want 14.10", names)
	}
	sum := 0.0
	for _, x := range names {
		sum += x.Probability
	}
	if sum > 1+1e-9 {
		t.Errorf("the probabilities sum to %v", sum)
	}
}

// TestUntaughtIsThePooledModel holds what has no history of departures to the
// pooled model's answer.
func TestUntaughtIsThePooledModel(t *testing.T) {
	t.Parallel()
	e := newEstate(departure.Options{Seed: 1})
	e.wave(0, 10)
	e.counts.Departing(address(2), day(10), func(x *shadow.AtRisk) {
		for k, p := range e.model.Leave(x, day(10)) {
			if want := 1 - x.Stays(departure.Horizons[k]); p != want {
				t.Errorf("%s leaves with %v within %v, the pooled model says %v", x.Path, p, departure.Horizons[k], want)
			}
		}
	})
}

// TestStaysAgrees holds the product's horizons to the model's own.
func TestStaysAgrees(t *testing.T) {
	t.Parallel()
	e := newEstate(departure.Options{Seed: 1})
	e.wave(0, 385)
	at, seen := day(385), 0
	leave := e.leave(2, at)
	e.model.Stays(address(2), at, func(path string, stays [len(penumbra.Horizons)]float64) {
		seen++
		if path != "version" {
			t.Errorf("%s never departed", path)
		}
		for i := 1; i < len(stays); i++ {
			if stays[i] > stays[i-1] {
				t.Errorf("stays %v", stays)
			}
		}
		for i, k := range map[int]int{3: 0, 4: 1} {
			if d := stays[i] - (1 - leave[k]); d > 1e-9 || d < -1e-9 {
				t.Errorf("stays %v, leaves %v", stays, leave)
			}
		}
	})
	if seen != 1 {
		t.Errorf("%d settings", seen)
	}
}

// TestReadBackGoesOn reads a model back in the middle of its days, and holds it
// to the same answers and bytes ever after.
func TestReadBackGoesOn(t *testing.T) {
	t.Parallel()
	e := newEstate(departure.Options{Seed: 3})
	e.wave(0, 231)
	first, err := e.model.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	e.wave(231, 300)
	want, _ := e.model.MarshalBinary()

	f := newEstate(departure.Options{Seed: 3})
	f.wave(0, 231)
	f.model = departure.New(f.counts, departure.Options{Seed: 3})
	if err := f.model.UnmarshalBinary(first); err != nil {
		t.Fatal(err)
	}
	f.wave(231, 300)
	if got, _ := f.model.MarshalBinary(); !slices.Equal(got, want) {
		t.Error("a model that was read back went on differently")
	}
	if a, b := e.leave(2, day(300)), f.leave(2, day(300)); a != b {
		t.Errorf("leaves %v, read back %v", a, b)
	}
}

func TestDamagedIsRefused(t *testing.T) {
	t.Parallel()
	e := newEstate(departure.Options{Seed: 1})
	e.wave(0, 100)
	good, _ := e.model.MarshalBinary()
	flipped := slices.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, data := range map[string][]byte{"nothing": nil, "cut short": good[:len(good)-9], "flipped": flipped} {
		if err := e.model.UnmarshalBinary(data); penumbra.KindOf(err) != penumbra.Damaged {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := e.model.MarshalBinary(); !slices.Equal(now, good) {
			t.Fatalf("%s: the model did not stay as it was", name)
		}
	}
}

// FuzzUnmarshal holds that whatever is read is refused or is a model that goes on.
func FuzzUnmarshal(f *testing.F) {
	e := newEstate(departure.Options{Seed: 1})
	e.wave(0, 32)
	good, _ := e.model.MarshalBinary()
	const head, sum = 16 + envelope.Header, 32
	f.Add(good[head : len(good)-sum])
	f.Fuzz(func(t *testing.T, payload []byte) {
		e := newEstate(departure.Options{Seed: 1})
		if err := e.model.UnmarshalBinary(envelope.Seal("penumbra depart\n", 1, payload)); err != nil {
			if penumbra.KindOf(err) != penumbra.Damaged {
				t.Fatal(err)
			}
			return
		}
		e.see(observation(penumbra.TemplateKind, day(90), 2, "14.1"))
		e.see(observation(penumbra.SnapshotKind, day(90), 2, "14.1"))
		e.model.Advance(day(92))
		for _, p := range e.leave(2, day(92)) {
			if !(p >= 0 && p <= 1) {
				t.Fatalf("leaves with %v", p)
			}
		}
	})
}
