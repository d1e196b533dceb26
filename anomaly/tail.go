package anomaly

import "math"

// A statistic's sizes are counted in bins by their logarithm, four to a doubling,
// from an eighth of its scale to 512 times.
const (
	tailBins   = 48
	perOctave  = 4
	lowestLog2 = -3
)

// prior is what is assumed of a tail's shape before it was seen, held as firmly as by
// priorExcesses values beyond the threshold, and the least that is believed whatever
// was seen.
type prior struct{ shape, least float64 }

var (
	// ofValues: exceedances shrink as those of a Student t with four degrees of
	// freedom, and never as fast as those of a normal distribution.
	ofValues = prior{shape: 0.25, least: 0.1}
	// ofMeans: those of means of clipped values are nearer to it.
	ofMeans = prior{shape: 0.1, least: 0.05}
	// ofStable: a tail that is a power is an exponential by its logarithm, which the
	// inverse hyperbolic sine is far out; means of those are no heavier.
	ofStable = prior{shape: 0.01, least: 0.01}
)

const (
	priorExcesses = 30
	maxShape      = 0.9
)

// A tail is extrapolated from the threshold that a share of the values exceed,
// but at least so many.
const (
	tailShare    = 0.02
	tailExcesses = 20
)

// below and above are the sides of a tail.
const (
	below = iota
	above
)

// tail is the distribution of one statistic: counts of its sizes on each side, and
// a generalised Pareto tail beyond them (Pickands 1975), which is fitted by
// probability-weighted moments (Hosking, Wallis 1987) and shrunk to the prior.
type tail struct {
	_      struct{}             `cbor:",toarray"`
	Counts [2][tailBins]float32 // below, above
	Total  float32
	Fits   [2]pareto
	Stale  uint16 // values since the last fit
}

// pareto says how a side goes on beyond its threshold.
type pareto struct {
	_         struct{} `cbor:",toarray"`
	Threshold float32
	Mass      float32 // the share of all values that is beyond the threshold
	Scale     float32 // 0: nothing is known of this side
	Shape     float32
}

func edge(bin int) float64 {
	if bin == 0 {
		return 0
	}
	return math.Exp2(float64(bin-1)/perOctave + lowestLog2)
}

var edges = func() (e [tailBins + 1]float64) {
	for i := range e {
		e[i] = edge(i)
	}
	return e
}()

// bin returns in which bin a size is, and how far into it from 0 to 1.
func bin(size float64) (int, float64) {
	if size < edges[1] {
		return 0, size / edges[1]
	}
	x := (math.Log2(size)-lowestLog2)*perOctave + 1
	i := min(int(x), tailBins-1)
	return i, min(1, x-float64(i))
}

// mark is in which bin z is, from 1, negative below; 0 for zero.
func mark(z float64) int8 {
	i, _ := bin(math.Abs(z))
	switch {
	case z > 0:
		return int8(i + 1)
	case z < 0:
		return int8(-i - 1)
	}
	return 0
}

// count counts a value by its mark. Counts fade so that about limit values weigh.
func (t *tail) count(mark int8, limit float64, of prior) {
	switch {
	case mark > 0:
		t.Counts[above][mark-1]++
	case mark < 0:
		t.Counts[below][-mark-1]++
	default:
		t.Counts[above][0] += 0.5
		t.Counts[below][0] += 0.5
	}
	t.Total++
	if float64(t.Total) >= limit {
		t.fade(limit/2, of)
	}
	if t.Stale++; t.Stale >= 64 || float32(t.Stale)*8 > t.Total {
		t.Fits[below], t.Fits[above] = t.fit(below, of), t.fit(above, of)
		t.Stale = 0
	}
}

// fade lets all counts together weigh no more than so many values.
func (t *tail) fade(weight float64, of prior) {
	share := float32(weight) / t.Total
	if !(share < 1) {
		return
	}
	t.Total = 0
	for side := range t.Counts {
		for i := range t.Counts[side] {
			t.Counts[side][i] *= share
			t.Total += t.Counts[side][i]
		}
		t.Fits[side] = t.fit(side, of)
	}
}

// fit finds the threshold of a side and how it goes on beyond.
func (t *tail) fit(side int, of prior) pareto {
	want := max(tailExcesses, tailShare*t.Total)
	want = min(want, t.Total/10)
	var mass float32
	u := tailBins - 1
	for ; u > 0; u-- {
		if mass += t.Counts[side][u]; mass >= want {
			break
		}
	}
	if u == 0 || mass == 0 {
		return pareto{}
	}
	var first, second, beyond float64
	for i := tailBins - 1; i >= u; i-- {
		w := float64(t.Counts[side][i])
		excess := math.Sqrt(edges[i]*edges[i+1]) - edges[u]
		first += w * excess
		second += w * excess * (beyond + w/2)
		beyond += w
	}
	first /= beyond
	second /= beyond * beyond
	shape := 0.0
	if d := first - 2*second; d > 0 {
		shape = 2 - first/d
	}
	shape = (beyond*shape + priorExcesses*of.shape) / (beyond + priorExcesses)
	// Beyond what few values tell of it, the scale is uncertain: what is predicted of an
	// exponential from n of them is a generalised Pareto with the shape 1/n.
	shape = min(max(shape, of.least)+1/beyond, maxShape)
	return pareto{
		Threshold: float32(edges[u]),
		Mass:      float32(beyond) / t.Total,
		Scale:     float32(first * (1 - shape)),
		Shape:     float32(shape),
	}
}

// beyond returns the chance of a value at least as far out on z's side, from the
// counts where there are enough and from the fitted tail beyond them.
func (t *tail) beyond(z float64) float64 {
	side := below
	if z > 0 {
		side = above
	}
	size := min(math.Abs(z), edges[tailBins])
	n := float64(t.Total) + 1
	fit := t.Fits[side]
	if fit.Scale > 0 && size > float64(fit.Threshold) {
		shape := float64(fit.Shape)
		return float64(fit.Mass) * math.Pow(1+shape*(size-float64(fit.Threshold))/float64(fit.Scale), -1/shape)
	}
	i, within := bin(size)
	sum := (1 - within) * float64(t.Counts[side][i])
	for i++; i < tailBins; i++ {
		sum += float64(t.Counts[side][i])
	}
	return (sum + 0.5) / n
}

// size returns how far out on a side values are with the chance p, in scales.
func (t *tail) size(side int, p float64) float64 {
	fit := t.Fits[side]
	if fit.Scale > 0 && p < float64(fit.Mass) {
		shape := float64(fit.Shape)
		return float64(fit.Threshold) + float64(fit.Scale)/shape*(math.Pow(p/float64(fit.Mass), -shape)-1)
	}
	want, sum := p*float64(t.Total), 0.0
	for i := tailBins - 1; i >= 0; i-- {
		if sum += float64(t.Counts[side][i]); sum >= want {
			return edges[i+1]
		}
	}
	return edges[1]
}

// The joint p-value is calibrated on the series' own past ones: counts of −ln of
// the smallest p-value of a moment, two to a unit.
const (
	jointBins      = 40
	perUnit        = 2
	priorJoint     = 64    // moments that the assumption below weighs
	priorLog       = 0.7   // of so much evidence too much by having several statistics
	jointShare     = 0.002 // beyond which it is extrapolated
	jointExcesses  = 20
	priorJointRate = 50
)

// joint turns the smallest of several dependent p-values into one: its rank among
// those before (a conformal p-value; Vovk, Gammerman, Shafer 2005, chapter 2), and
// an exponential beyond them.
type joint struct {
	_      struct{} `cbor:",toarray"`
	Counts [jointBins]float32
	Total  float32
	From   float32 // evidence from which it is extrapolated
	Mass   float32
	Rate   float32
	Stale  uint16
}

func (j *joint) start() {
	for i := range j.Counts {
		low, high := float64(i)/perUnit, float64(i+1)/perUnit
		j.Counts[i] = float32(priorJoint * (survival(low) - survival(high)))
		if i == jointBins-1 {
			j.Counts[i] = float32(priorJoint * survival(low))
		}
		j.Total += j.Counts[i]
	}
	j.fit()
}

func survival(evidence float64) float64 { return min(1, math.Exp(priorLog-evidence)) }

// grade is in which bin evidence is.
func grade(evidence float64) int8 { return int8(min(jointBins-1, int(evidence*perUnit))) }

func (j *joint) learn(grade int8, limit float64) {
	j.Counts[grade]++
	j.Total++
	if float64(j.Total) >= limit {
		j.Total = 0
		for i := range j.Counts {
			j.Counts[i] /= 2
			j.Total += j.Counts[i]
		}
	}
	if j.Stale++; j.Stale >= 64 {
		j.fit()
	}
}

func (j *joint) fit() {
	j.Stale = 0
	want := min(max(jointExcesses, jointShare*j.Total), j.Total/10)
	var mass, excess float64
	i := jointBins - 1
	for ; i > 0; i-- {
		excess += mass / perUnit
		w := float64(j.Counts[i])
		excess += w * 0.5 / perUnit
		if mass += w; mass >= float64(want) {
			break
		}
	}
	j.From = float32(i) / perUnit
	j.Mass = float32(mass) / j.Total
	j.Rate = float32(min(1.5, (mass+priorJointRate)/(excess+priorJointRate)))
}

// p returns the chance of so much evidence or more.
func (j *joint) p(evidence float64) float64 {
	if evidence >= float64(j.From) {
		return float64(j.Mass) * math.Exp(-float64(j.Rate)*(evidence-float64(j.From)))
	}
	i := int(evidence * perUnit)
	sum := (float64(i+1) - evidence*perUnit) * float64(j.Counts[i])
	for i++; i < jointBins; i++ {
		sum += float64(j.Counts[i])
	}
	return min(1, sum/float64(j.Total))
}
