package diagnosis

import (
	"math"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// The lag from a change to the onset is a mixture: at once (the next statement or
// connection), soon (pools and caches turn over), slowly (data grows, a backlog
// builds up), or at once after the next restart or reload. Means are in seconds. They
// and the shares are judgements, not estimates.
const (
	promptMean, soonMean, slowMean = 2.0, 300.0, 6 * 3600.0

	promptShare, soonShare, slowShare, restartShare = 0.60, 0.15, 0.10, 0.15
	// An event that names no setting has no effect to wait for.
	eventPromptShare, eventSoonShare, eventSlowShare = 0.65, 0.20, 0.15
)

const (
	// defaultInterval is taken for a series whose interval nobody told, in seconds:
	// the usual one of Prometheus' targets.
	defaultInterval = 15.0
	// clockError is how far apart the clocks of a log and of a metric are taken to
	// be, in seconds: what NTP leaves between hosts, and rounding to a log's precision.
	clockError = 0.25
	// slowness is the share of the time that it took to notice an anomaly by which
	// its onset is uncertain: a slow change has no sharp beginning.
	slowness = 1.0 / 8
	// maxError bounds the uncertainty, in seconds, within what can be computed.
	maxError = 86400.0
)

// onset is when an anomaly began, as far as that is known: normal with a standard
// deviation of sd seconds, and shown by the samples delay seconds late. At noticed, when
// the sample that made it one began, the effect was there.
type onset struct {
	at, noticed time.Time
	sd, delay   float64
}

// onsetOf takes the onset as uncertain by the sample interval, by the clocks and by
// how long it took to notice. The effect came somewhere before the first sample that
// shows it: half an interval on average.
func onsetOf(a *penumbra.Anomaly, interval float64) onset {
	at := a.Onset
	if at.IsZero() {
		at = a.Time
	}
	slow := 0.0
	if a.Kind != penumbra.Silence && a.Time.After(at) {
		slow = slowness * a.Time.Sub(at).Seconds()
	}
	return onset{
		at: at, noticed: a.Time.Add(-time.Duration(interval * float64(time.Second))),
		sd: min(maxError, math.Sqrt(interval*interval+clockError*clockError+slow*slow)), delay: interval / 2,
	}
}

// density returns, per second, how likely a change that has an effect has it at the
// onset. restart is the first restart after it, zero if there was none; next is the
// change that took its value away again, nil if none did.
func (o onset) density(c *Change, restart time.Time, next *Change) float64 {
	effect := func(since, at time.Time, mean float64) float64 {
		return o.lagged(since, at, mean) * o.before(next, at, mean) * o.outlasts(next, mean)
	}
	if c.Path == "" {
		return eventPromptShare*effect(c.Since, c.Time, promptMean) +
			eventSoonShare*effect(c.Since, c.Time, soonMean) +
			eventSlowShare*effect(c.Since, c.Time, slowMean)
	}
	d := promptShare*effect(c.Since, c.Time, promptMean) +
		soonShare*effect(c.Since, c.Time, soonMean) +
		slowShare*effect(c.Since, c.Time, slowMean)
	if !restart.IsZero() && (next == nil || restart.Before(next.Time)) {
		d += restartShare * effect(time.Time{}, restart, promptMean)
	}
	return d
}

// spanSteps is into how many parts the time is cut within which a value was replaced.
const spanSteps = 8

// before returns the probability that the effect of a change at a time had come before
// the next took its value away, given that the onset is that effect: one that had not
// come by then does not come. It is 1 without a next.
//
// The onset is at + L + E, with L exponential and E normal. Given that, the effect's time
// at + L is distributed as the normal around the onset, drawn to earlier times by sd²/mean
// and cut off at at: what lies behind the next is a ratio of two of its tails.
func (o onset) before(next *Change, at time.Time, mean float64) float64 {
	if next == nil {
		return 1
	}
	tail := func(t time.Time) float64 {
		return logPhi((o.at.Sub(t).Seconds()-o.delay)/o.sd - o.sd/mean)
	}
	whole, from := tail(at), next.Time
	if !next.Since.IsZero() && next.Since.Before(next.Time) {
		from = next.Since
		if from.Before(at) {
			from = at
		}
	}
	behind := 0.0
	for i := range spanSteps {
		t := from.Add(next.Time.Sub(from) * time.Duration(2*i+1) / (2 * spanSteps))
		behind += math.Exp(min(0, tail(t)-whole)) / spanSteps
	}
	return max(0, 1-behind)
}

// outlasts returns the probability that the effect of a change was still there when the
// anomaly was noticed, though the next had taken its value away: it goes as it came,
// after an exponential lag of the same mean. It is 1 without a next.
func (o onset) outlasts(next *Change, mean float64) float64 {
	if next == nil || !o.noticed.After(next.Time) {
		return 1
	}
	return math.Exp(-o.noticed.Sub(next.Time).Seconds() / mean)
}

// lagged returns the density of the onset for a change at a time, or anywhere between
// since and that time, whose effect comes after an exponential lag.
func (o onset) lagged(since, at time.Time, mean float64) float64 {
	late := o.at.Sub(at).Seconds() - o.delay
	if since.IsZero() || !since.Before(at) {
		return lagDensity(late, o.sd, mean)
	}
	early := o.at.Sub(since).Seconds() - o.delay
	return max(0, lagBetween(late, early, o.sd, mean)) / (early - late)
}

// lagDensity is the density at x of an exponential with the mean plus a normal error
// of mean 0: the exponentially modified Gaussian (Grushka, "Characterization of
// Exponentially Modified Gaussian Peaks in Chromatography", Anal. Chem. 44, 1972). It
// has one peak.
func lagDensity(x, sd, mean float64) float64 {
	r := sd / mean
	return math.Exp(r*r/2-x/mean+logPhi(x/sd-r)) / mean
}

// lagBetween is the probability that such a lag is between a and b. It is taken from
// the upper tail where that is the smaller one, so that nothing cancels.
func lagBetween(a, b, sd, mean float64) float64 {
	tail := func(x float64) float64 { // exp(...)·Φ(...), common to both tails
		r := sd / mean
		return math.Exp(r*r/2 - x/mean + logPhi(x/sd-r))
	}
	if a > 0 {
		return phi(-a/sd) + tail(a) - phi(-b/sd) - tail(b)
	}
	return phi(b/sd) - tail(b) - phi(a/sd) + tail(a)
}

func phi(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// logPhi is ln Φ(z); far down by the first terms of the asymptotic series
// (Abramowitz and Stegun 26.2.12), where Φ itself would be 0.
func logPhi(z float64) float64 {
	if z > -30 {
		return math.Log(phi(z))
	}
	return -z*z/2 - math.Log(-z*math.Sqrt(2*math.Pi)) + math.Log1p(-1/(z*z))
}
