package creep_test

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/creep"
)

var day0 = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const (
	address = penumbra.Address("lab/db1/postgresql")
	path    = "work_mem"
	day     = 24 * time.Hour
	look    = 6 * time.Hour // between snapshots
	watched = 90 * day
)

// change is a new value at a time.
type change struct {
	at time.Duration
	to float64
}

// story is a generated setting with a maximum.
type story struct {
	kind    string
	start   float64
	max     float64
	changes []change
}

// at returns the value at a time.
func (s *story) at(d time.Duration) float64 {
	v := s.start
	for _, c := range s.changes {
		if c.at <= d {
			v = c.to
		}
	}
	return v
}

// passed returns the first look that shows the limit passed, 0 if none does.
func (s *story) passed() time.Duration {
	for d := time.Duration(0); d <= watched; d += look {
		if s.at(d) > s.max {
			return d
		}
	}
	return 0
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// gap draws a time between steps: regular, half regular or without memory.
func gap(r *rand.Rand, mean float64, shape int) time.Duration {
	sum := 0.0
	for range shape {
		sum += r.ExpFloat64()
	}
	return time.Duration(sum / float64(shape) * mean * float64(day))
}

// creeping is raised step by step after a while of rest. Two in five stop on the
// way; the limit may be anywhere from 3 to 15 steps off.
func creeping(r *rand.Rand) story {
	s := story{kind: "creep", start: 4 + 4*r.Float64()}
	mean, shape := pick(r, 0.5, 1, 3, 7), pick(r, 1, 4, 16)
	size, vary, relative := 0.2+1.8*r.Float64(), pick(r, 0, 0, 0.3), r.IntN(3) == 0
	grow := func(v float64) float64 {
		x := size
		if relative {
			x = v * size / 8
		}
		return v + x*math.Exp(vary*r.NormFloat64())
	}
	s.max = s.start
	for range 3 + r.IntN(13) {
		s.max = grow(s.max)
	}
	steps := 100
	if r.IntN(5) < 2 {
		steps = 1 + r.IntN(8)
	}
	at, v := time.Duration((3+27*r.Float64())*float64(day)), s.start
	for ; steps > 0 && at < watched && v <= s.max; steps-- {
		v = grow(v)
		s.changes = append(s.changes, change{at, v})
		at += gap(r, mean, shape)
	}
	return s
}

// walking goes up and down by chance.
func walking(r *rand.Rand) story {
	s := story{kind: "random walk", start: 20}
	s.max = s.start + 3 + 9*r.Float64()
	mean := pick(r, 0.5, 1, 3)
	for at, v := gap(r, mean, 1), s.start; at < watched; at += gap(r, mean, 1) {
		v = max(1, v+pick(r, -1.0, 1.0))
		s.changes = append(s.changes, change{at, v})
	}
	return s
}

// swinging goes up in some steps and down again: each night, or over a week.
func swinging(r *rand.Rand) story {
	s := story{kind: "up and down", start: 4}
	up, every := 1, day
	if r.IntN(2) == 0 {
		up, every = 2+r.IntN(3), 7*day
	}
	s.max = s.start + float64(up) + 0.2 + 2*r.Float64()
	for at := time.Duration(r.IntN(3)) * day; at < watched; at += every {
		for i := range up {
			s.changes = append(s.changes, change{at + time.Duration(i)*every/time.Duration(2*up), s.start + float64(i+1)})
		}
		s.changes = append(s.changes, change{at + every*2/3, s.start})
	}
	return s
}

// jumping moves once and stays.
func jumping(r *rand.Rand) story {
	s := story{kind: "one jump", start: 4, max: 8}
	s.changes = []change{{time.Duration(60 * r.Float64() * float64(day)), 4 + 3.9*r.Float64()}}
	return s
}

func constant(r *rand.Rand) story {
	return story{kind: "constant", start: 3 + 4.5*r.Float64(), max: 8}
}

// stories draws n settings of each kind, twice as many that creep.
func stories(seed uint64, n int) []story {
	r := rand.New(rand.NewPCG(seed, 4))
	var out []story
	for range n {
		out = append(out, creeping(r), creeping(r), walking(r), swinging(r), jumping(r), constant(r))
	}
	return out
}

// newWatch watches the one setting with a maximum.
func newWatch(limit penumbra.Value) *creep.Watch {
	w, err := creep.New([]creep.Limit{{
		Match: func(_ penumbra.Address, p string) bool { return p == path },
		Max:   limit, Reason: "memory of the host",
	}}, nil)
	if err != nil {
		panic(err)
	}
	return w
}

func seen(at time.Time, v penumbra.Value) (*penumbra.Observation, *penumbra.Resource) {
	settings := penumbra.NewSettings(penumbra.Setting{Path: path, Value: v})
	return &penumbra.Observation{Kind: penumbra.SnapshotKind, Time: at, Resource: address, Type: "postgresql", Full: true, Settings: settings},
		&penumbra.Resource{Address: address, Type: "postgresql", Actual: settings, SnapshotTime: at}
}
