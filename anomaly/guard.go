package anomaly

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// The tails lag behind by as many values as come in guardSpan, guarded at most: as the
// guard cells of a radar detector keep a target out of the noise that it is held
// against, they keep a change that builds up over several values from being learnt
// before it is noticed. A metric that is an average over a window builds up over that.
const (
	guardSpan = 5 * time.Minute
	guarded   = 16
)

// unjudged marks a statistic that had no value.
const unjudged = math.MinInt8

// moment is what the tails learn of one value.
type moment struct {
	_      struct{} `cbor:",toarray"`
	Marks  [statistics]int8
	Grade  int8    // of the evidence
	Brief  float32 // the statistic of that name
	Stable float32 // the departure on the stable scale
	Size   float32 // of the value
}

// moment returns what the tails learn of a value; graded is whether its evidence counts.
func (j *judged) moment(graded bool) moment {
	x := moment{Grade: unjudged, Brief: float32(j.z[brief]), Stable: float32(j.stable), Size: float32(min(math.Abs(j.value), math.MaxFloat32))}
	if graded {
		x.Grade = grade(j.evidence)
	}
	for i := range x.Marks {
		x.Marks[i] = unjudged
		if j.valid[i] {
			x.Marks[i] = mark(j.z[i])
		}
	}
	return x
}

// guard holds the newest moments back, in a ring.
type guard struct {
	_       struct{} `cbor:",toarray"`
	Moments [guarded]moment
	First   uint8 // the oldest
	N       uint8
}

// push takes a moment in.
func (g *guard) push(x moment) {
	g.Moments[(g.First+g.N)%guarded] = x
	g.N++
}

// pop returns the oldest moment.
func (g *guard) pop() moment {
	x := g.Moments[g.First]
	g.First = (g.First + 1) % guarded
	g.N--
	return x
}

// release lets the tails learn what is held back from before an anomaly that began so
// many nanoseconds ago, and forgets the rest.
func (s *series) release(ago int64) {
	since := int(math.Ceil(float64(ago) / s.Interval)) // values of it that are held back
	for int(s.Guard.N) > since {
		s.learnMoment(s.Guard.pop())
	}
	s.Guard = guard{}
}

func (g *guard) check() error {
	if g.First >= guarded || g.N > guarded {
		return fmt.Errorf("%d values from %d are held back", g.N, g.First)
	}
	for _, x := range g.Moments {
		if x.Grade != unjudged && (x.Grade < 0 || x.Grade >= jointBins) {
			return fmt.Errorf("evidence of grade %d", x.Grade)
		}
		if b := float64(x.Brief) + float64(x.Stable) + float64(x.Size); math.IsNaN(b) || math.IsInf(b, 0) {
			return errors.New("a number is not finite")
		}
		for _, m := range x.Marks {
			if m != unjudged && (m > tailBins || m < -tailBins) {
				return fmt.Errorf("a value in bin %d", m)
			}
		}
	}
	return nil
}
