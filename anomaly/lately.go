package anomaly

import (
	"errors"
	"math"
)

// latelyKept is how many values back an onset is looked for.
const latelyKept = 16

// lately is the newest values of a series on the stable scale, in a ring.
type lately struct {
	_      struct{} `cbor:",toarray"`
	Times  [latelyKept]int64
	Values [latelyKept]float32
	N      int64 // values taken in
}

func (l *lately) add(t int64, y float64) {
	i := l.N % latelyKept
	l.Times[i], l.Values[i] = t, float32(y)
	l.N++
}

// back returns the value that came so many before the newest.
func (l *lately) back(k int64) (t int64, y float64) {
	i := (l.N - 1 - k) % latelyKept
	return l.Times[i], float64(l.Values[i])
}

// oldest returns the time of the oldest value that is kept.
func (l *lately) oldest() int64 {
	t, _ := l.back(min(l.N, latelyKept) - 1)
	return t
}

// began returns since when values are out on one side, of those that are kept: the time
// that is likeliest if the values shifted once (the maximum-likelihood estimate of a
// change in the mean of normal values, Hinkley 1970), or if those before it are on
// their way there, as an average over a window is, the first of these. One value in
// between that is as usual does not make it later if the one before it is as far out as
// those after it. Values that depend on the one before
// by usual.persistence() go on being high by chance, so that sums of them say less: by as
// much as the variance of their mean is larger (Bayley, Hammersley 1946).
func (l *lately) began(up bool, usual *stable) int64 {
	sign := 1.0
	if !up {
		sign = -1
	}
	centre, deviation, rho := usual.Centre, math.Sqrt(usual.Square), usual.persistence()
	since, _ := l.back(0)
	var first int64
	best, sum, shift := 0.0, 0.0, 0.0
	power, powers, weighted := 1.0, 0.0, 0.0 // rho^k, the sum of these, the sum of k rho^k
	n := min(l.N, latelyKept)
	for k := range n {
		if k > 0 {
			power *= rho
			powers += power
			weighted += float64(k) * power
		}
		values := float64(k + 1)
		inflation := 1 + 2*(powers-weighted/values)
		t, y := l.back(k)
		sum += sign * (y - centre)
		if gain := sum * math.Abs(sum) / (values * inflation); gain > best {
			best, since, first, shift = gain, t, k, sum/values
		}
	}
	passed := false // over a value that is as usual
	for k := first + 1; k < n; k++ {
		t, y := l.back(k)
		if sign*(y-centre) > onTheWay*deviation { // not a value like all before it, of a series without any noise
			since = t
			continue
		}
		if passed || k+1 == n {
			break
		}
		passed = true
		if _, y := l.back(k + 1); sign*(y-centre) < max(onTheWay*deviation, shift/2) {
			break
		}
	}
	return since
}

// onTheWay is how many standard deviations out a value is that is taken for the
// beginning of a shift which the next ones show.
const onTheWay = 2

func (l *lately) check() error {
	if l.N < 0 {
		return errors.New("fewer than no values were kept")
	}
	for _, y := range l.Values {
		if x := float64(y); math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("a number is not finite")
		}
	}
	return nil
}
