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
// deviation of sd seconds, and shown by the samples delay seconds late.
type onset struct {
	at        time.Time
	sd, delay float64
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
	return onset{at: at, sd: min(maxError, math.Sqrt(interval*interval+clockError*clockError+slow*slow)), delay: interval / 2}
}

// density returns, per second, how likely a change that has an effect has it at the
// onset. restart is the first restart after it, zero if there was none.
func (o onset) density(c *Change, restart time.Time) float64 {
	if c.Path == "" {
		return eventPromptShare*o.lagged(c.Since, c.Time, promptMean) +
			eventSoonShare*o.lagged(c.Since, c.Time, soonMean) +
			eventSlowShare*o.lagged(c.Since, c.Time, slowMean)
	}
	d := promptShare*o.lagged(c.Since, c.Time, promptMean) +
		soonShare*o.lagged(c.Since, c.Time, soonMean) +
		slowShare*o.lagged(c.Since, c.Time, slowMean)
	if !restart.IsZero() {
		d += restartShare * o.lagged(time.Time{}, restart, promptMean)
	}
	return d
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
