package anomaly

import "math"

// The means on the stable scale.
const (
	briefSpan  = 4      // values that one is over
	briefShare = 1. / 3 // of the false alarms that are allowed
	briefFrom  = 0.01   // p-values below which means have a say
	firmly     = 2048.0 // values from which a tail weighs as much as the normal distribution
	mostDF     = 30.0

	// The prior of their standard deviation: as of so many degrees of freedom.
	priorDeviation = 0.2
	priorDF        = 8.0

	narrowest    = 0.05   // the least standard deviation
	stands       = 0.2    // share of values that are the same as before, of a series that stands still
	stillMemory  = 256.0  // values that the share is of
	stableOut    = 16.0   // standard deviations that a mean counts with at most when it is learnt
	stableMemory = 8192.0 // values
	offset       = 0.125  // of the typical size, that is added before the logarithm is taken
)

// stabilised returns how far a value is from what is expected on a scale on which the
// noise is about as large wherever the series is: the logarithm of their ratio, or
// for a series that is negative now and then the inverse hyperbolic sine of the
// departure, which is linear near zero and a logarithm far out.
func (s *series) stabilised(j *judged) float64 {
	if j.value < 0 && !s.Stable.Signed {
		s.Stable = stable{Signed: true}
	}
	rough := s.rough(j.time)
	if s.Stable.Signed {
		return math.Asinh(j.z[deviation])
	}
	add := max(offset*s.Stable.Size, s.floor())
	return math.Log((j.value+add)/(max(j.base, 0)+add)) / rough
}

// stable is what short means on the stable scale usually are: the centre and the
// variance of the means themselves, so that both are right however the values depend
// on each other.
type stable struct {
	_        struct{} `cbor:",toarray"`
	Signed   bool     // a value was negative
	Last     [briefSpan]float64
	Held     uint8 // of Last
	Centre   float64
	Variance float64
	Fourth   float64 // of departures from the centre, the mean of the fourth power
	N        float64 // means behind these, at most the memory
	Before   float64 // the value before, less the centre
	Product  float64 // of successive values, mean
	Square   float64 // of values, mean
	Size     float64 // mean size of the values, as they come
}

// add takes in a value, so many intervals after the last, and returns the mean of the
// newest ones.
func (s *stable) add(y, steps float64) float64 {
	if steps > longGap {
		s.Held = 0
	}
	copy(s.Last[1:], s.Last[:])
	s.Last[0] = y
	s.Held = min(s.Held+1, briefSpan)
	sum := 0.0
	for _, x := range s.Last[:s.Held] {
		sum += x
	}
	return sum / briefSpan
}

// deviation is the standard deviation of the means as far as it is known from them.
func (s *stable) deviation() float64 { return max(math.Sqrt(s.Variance), narrowest) }

// moderated returns the standard deviation of the means, drawn to the prior, and its
// degrees of freedom (the moderated t of Smyth 2004).
func (s *stable) moderated() (deviation, df float64) {
	df = max(s.freedom(s.persistence()), 0)
	variance := max(s.Variance, narrowest*narrowest)
	variance = (priorDF*priorDeviation*priorDeviation + df*variance) / (priorDF + df)
	// A Student t with as much kurtosis has so many; the kurtosis of few is no guide.
	heavy := 4 + 6/max(s.excess()*s.N/(s.N+firmly), 0.1)
	return math.Sqrt(variance), min(priorDF+df, heavy, mostDF)
}

// learn takes in a moment, but of a departure no more than stableOut deviations.
func (s *stable) learn(x moment) {
	m, y := float64(x.Brief), float64(x.Stable)
	s.N = min(s.N+1, stableMemory)
	s.Size += (float64(x.Size) - s.Size) / s.N
	d := m - s.Centre
	if s.N > warm {
		d = bounded(d, stableOut*s.deviation())
	}
	s.Centre += d / s.N
	square := d * d * (1 - 1/s.N)
	s.Variance += (square - s.Variance) / s.N
	s.Fourth += (square*square - s.Fourth) / s.N
	y = bounded(y-s.Centre, stableOut*s.deviation())
	s.Product += (y*s.Before - s.Product) / s.N
	s.Square += (y*y - s.Square) / s.N
	s.Before = y
}

// persistence is the share of a departure that is usually left one value later.
func (s *stable) persistence() float64 {
	if s.Square == 0 {
		return 0
	}
	return min(max(s.Product/s.Square, 0), 0.99)
}

// freedom returns how many degrees of freedom the variance has: a chi-square's with the
// same variation, for values that depend on each other by rho (Bayley, Hammersley 1946)
// and have the tails that they have.
func (s *stable) freedom(rho float64) float64 {
	apart := briefSpan*2.0/3 + 2*rho*rho/(1-rho*rho)
	return (s.N/apart - 1) * 2 / (2 + s.excess())
}

// excess is the kurtosis of the means beyond that of a normal distribution.
func (s *stable) excess() float64 {
	if s.Variance == 0 {
		return 0
	}
	return max(0, s.Fourth/(s.Variance*s.Variance)-3)
}

// briefly returns the chance of a mean so far out, both sides together: that of a Student
// t with as many degrees of freedom as independent means were seen, pooled by the
// logarithm (Genest, Zidek 1986) with what the tail says, which weighs the more the
// more values it is of. Of a series that stands still most of the time, as a count of what
// is rare does, nothing is said for a side that was never seen: it has no noise by which
// the first value there could be measured.
func (s *series) briefly(j *judged) float64 {
	x, m := &s.Stable, j.z[brief]
	rho := x.persistence()
	apart := briefSpan + 2*rho/(1-rho)
	if x.N < warm || s.Tails[deviation].Fits[side(m > 0)].Scale == 0 && s.Still > stands {
		return 1
	}
	deviation, df := x.moderated()
	p := studentBeyond((m-x.Centre)/(deviation*math.Sqrt(1+apart/x.N)), df)
	total := float64(s.Tails[brief].Total)
	w := total / (total + firmly)
	return math.Exp(w*math.Log(max(j.p[brief], 1e-300)) + (1-w)*math.Log(max(p, 1e-300)))
}

// studentBeyond is the chance that a Student t is farther out than t on either side, by
// way of a normal distribution (Wallace 1959).
func studentBeyond(t, df float64) float64 {
	z := (8*df + 1) / (8*df + 3) * math.Sqrt(df*math.Log1p(t*t/df))
	return math.Erfc(z / math.Sqrt2)
}
