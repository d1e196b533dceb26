package diagnosis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// baseShare is how many changes of a wholly relevant setting are taken to move a
	// given metric out of its band, before anything is known; of others as much less
	// as they are less relevant. It is worth priorCases changes.
	baseShare  = 0.1
	priorCases = 4.0
	// maxCases bounds the weight of the Bayesian network's cases, which are in part
	// the same changes as those counted here.
	maxCases = 10.0

	// A value that was improbable is the likelier cause, the more so the more
	// improbable it was: the odds go with its probability to the power of -surprised.
	// A probability of exp(-usualSurprise) is neutral, beyond maxSurprise all are alike.
	surprised     = 0.3
	usualSurprise = 2.3 // 1 in 10
	maxSurprise   = 7.0 // 1 in 1,100
	// unexpectedFactor stands in for it where only the prediction set is known.
	unexpectedFactor = 2.0

	// negligible is the probability below which a change is no suspect.
	negligible = 1e-6
)

// Rank returns the changes as suspects of the anomaly, the likeliest first, each with
// the probability that it is the cause given that exactly one of them or something
// unseen is; [Unseen] is what is left. A change of less than one in a million, one of
// an unrelated resource, and what Penumbra only wrote down are left out. k may be nil.
func Rank(a *penumbra.Anomaly, changes []Change, rates Rates, k Knowledge) []penumbra.Suspect {
	w := newWeigher(a, rates, k)
	type weighed struct {
		change *Change
		weight float64
	}
	var all []weighed
	for i := range changes {
		all = append(all, weighed{&changes[i], w.weigh(&changes[i], changes)})
	}
	slices.SortStableFunc(all, func(x, y weighed) int {
		return cmp.Or(cmp.Compare(y.weight, x.weight), compare(x.change, y.change))
	})
	sum := w.background
	for _, x := range slices.Backward(all) { // the small ones first
		sum += x.weight
	}
	var out []penumbra.Suspect
	for _, x := range all {
		p := x.weight / sum
		if p < negligible {
			break
		}
		c := x.change
		out = append(out, penumbra.Suspect{
			Resource: c.Resource, Path: c.Path, Before: c.Before, After: c.After, Time: c.Time,
			Actor: c.Actor, ActorKind: c.ActorKind, Action: c.Action, Source: c.Source,
			Probability: p, Reason: w.reason(c),
		})
	}
	return out
}

// Unseen returns the probability that none of the suspects is the cause.
func Unseen(suspects []penumbra.Suspect) float64 {
	rest := 1.0
	for i := range suspects {
		rest -= suspects[i].Probability
	}
	return min(1, max(0, rest))
}

// weigher weighs changes as causes of one anomaly.
type weigher struct {
	anomaly    *penumbra.Anomaly
	onset      onset
	background float64 // anomalies a second with no change behind them
	rates      Rates
	k          Knowledge
}

func newWeigher(a *penumbra.Anomaly, rates Rates, k Knowledge) *weigher {
	if k == nil {
		k = nothingKnown{}
	}
	interval := rates.interval(a.Resource, a.Metric)
	return &weigher{
		anomaly: a, onset: onsetOf(a, interval),
		background: rates.Background(a.Resource, a.Metric) + byChance(a, interval), rates: rates, k: k,
	}
}

// byChance is how often, per second, a metric of which nothing is wrong has a value as
// unlikely as the anomaly's: what was noticed on slight evidence, because a change was
// attended to, is that much more likely to be noise.
func byChance(a *penumbra.Anomaly, interval float64) float64 {
	if a.Kind == penumbra.Silence {
		return 0 // its p-value is not of one value among many
	}
	return a.PValue / interval
}

// weigh returns how many onsets a second the change adds at the onset: the chance that
// it moves the metric at all, times the density of its lag.
func (w *weigher) weigh(c *Change, changes []Change) float64 {
	if c.Time.IsZero() || w.onset.at.IsZero() || remark(c.Action) {
		return 0
	}
	share := w.share(c)
	if share == 0 {
		return 0
	}
	weight := share * w.onset.density(c, w.restartAfter(c, changes), successor(c, changes))
	if math.IsNaN(weight) {
		return 0
	}
	return weight
}

// successor returns the first change after c that gave its setting another value, nil if
// none is known.
func successor(c *Change, changes []Change) *Change {
	var first *Change
	if c.Path == "" || c.After.IsNull() {
		return nil
	}
	for i := range changes {
		x := &changes[i]
		if x.Path == c.Path && x.Resource == c.Resource && x.Time.After(c.Time) && !x.After.IsNull() && x.After != c.After &&
			(first == nil || x.Time.Before(first.Time)) {
			first = x
		}
	}
	return first
}

// restartAfter returns when the change's resource was first restarted or reloaded
// after it, zero if it was not.
func (w *weigher) restartAfter(c *Change, changes []Change) time.Time {
	var first time.Time
	if c.Path == "" {
		return first
	}
	for i := range changes {
		x := &changes[i]
		if x.Resource == c.Resource && x.restarts() && !x.Time.Before(c.Time) && (first.IsZero() || x.Time.Before(first)) {
			first = x.Time
		}
	}
	return first
}

// share returns the probability that the change moves the metric out of its band:
// what is known of the setting, then the odds of this change's size and surprise, then
// how near its resource is.
func (w *weigher) share(c *Change) float64 {
	related := bounded(w.k.Related(c.Resource, w.anomaly.Resource), 0, 1)
	if related == 0 {
		return 0
	}
	mean := w.mean(c)
	odds := mean / (1 - mean) * magnitude(c.Before, c.After) * surprise(c)
	return related * odds / (1 + odds)
}

// mean is the mean of a beta distribution: prior cases by relevance, cases of the
// Bayesian network, and changes seen with what was put down to them.
func (w *weigher) mean(c *Change) float64 {
	relevance := bounded(w.k.Relevance(c.Type, c.Path), 0.001, 1)
	causes, cases := priorCases*baseShare*relevance, priorCases
	if strength, n, ok := w.k.Effect(c.Type, c.Path, w.anomaly.Metric); ok {
		n = bounded(n, 0, maxCases)
		causes += n * bounded(math.Abs(strength), 0, 1)
		cases += n
	}
	known, changes := w.rates.history(c.Type, c.Path, c.Action, w.anomaly.Metric)
	return bounded((causes+known)/(cases+changes), 1e-6, 0.99)
}

// surprise returns by what factor the value's improbability moves the odds. That the
// culprit is the setting with the value that peers do not have is PeerPressure's idea
// (Wang et al., "Automatic Misconfiguration Troubleshooting with PeerPressure", OSDI
// 2004, pp. 245-258); how much it counts here is a judgement.
func surprise(c *Change) float64 {
	switch {
	case c.Surprise > 0:
		return math.Exp(surprised * (min(c.Surprise, maxSurprise) - usualSurprise))
	case c.Unexpected:
		return unexpectedFactor
	}
	return 1
}

// bounded draws x into [low, high], what is no number to low.
func bounded(x, low, high float64) float64 {
	if !(x > low) {
		return low
	}
	return min(x, high)
}

// reason says what speaks for a suspect: when, what, and what is known of it.
func (w *weigher) reason(c *Change) string {
	words := []string{w.when(c)}
	if size := sizeOf(c); size != "" {
		words = append(words, size)
	}
	if c.Unexpected {
		if c.Declared {
			words = append(words, "not expected of a declared setting")
		} else {
			words = append(words, "not expected")
		}
	}
	if strength, n, ok := w.k.Effect(c.Type, c.Path, w.anomaly.Metric); ok && n >= 1 && math.Abs(strength) >= 0.05 {
		words = append(words, fmt.Sprintf("moves %s in %.0f %% of %.0f cases", w.anomaly.Metric, 100*min(1, math.Abs(strength)), n))
	}
	if causes, changes := w.rates.history(c.Type, c.Path, c.Action, w.anomaly.Metric); causes >= 0.95 {
		words = append(words, fmt.Sprintf("the cause of about %.0f in %.0f changes before", causes, changes))
	}
	return strings.Join(words, ", ")
}

// when says how long before or after the onset the change was.
func (w *weigher) when(c *Change) string {
	lag := w.onset.at.Sub(c.Time)
	if !c.Since.IsZero() && c.Since.Before(c.Time) {
		early := w.onset.at.Sub(c.Since)
		switch under := lag <= 0 && early >= 0; {
		case c.Action != "" && under:
			return "under way at the onset"
		case c.Action != "":
			return "over " + span(lag)
		case under:
			return "seen between two looks, the onset between them"
		}
		return "seen " + span(lag)
	}
	return span(lag)
}

func span(lag time.Duration) string {
	side := " before the onset"
	if lag < 0 {
		side, lag = " after the onset", -lag
	}
	switch {
	case lag < 10*time.Second:
		return strconv.FormatFloat(lag.Seconds(), 'f', 1, 64) + " s" + side
	case lag < 2*time.Minute:
		return strconv.FormatFloat(lag.Seconds(), 'f', 0, 64) + " s" + side
	case lag < 2*time.Hour:
		return strconv.FormatFloat(lag.Minutes(), 'f', 0, 64) + " min" + side
	case lag < 48*time.Hour:
		return strconv.FormatFloat(lag.Hours(), 'f', 0, 64) + " h" + side
	}
	return strconv.FormatFloat(lag.Hours()/24, 'f', 0, 64) + " d" + side
}

// sizeOf says how much larger or smaller an amount became, "" if it is none. It tells
// the ratio only, so that it is the same for what must not be shown.
func sizeOf(c *Change) string {
	if c.Path == "" {
		return ""
	}
	r, ok := ratio(c.Before, c.After)
	if !ok || r == 1 {
		return ""
	}
	word := " times larger"
	if r < 1 {
		r, word = 1/r, " times smaller"
	}
	digits := 1
	if r >= 10 || r == math.Trunc(r) {
		digits = 0
	}
	return c.Path + " " + strconv.FormatFloat(r, 'f', digits, 64) + word
}
