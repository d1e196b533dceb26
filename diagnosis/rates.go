package diagnosis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

const (
	// The rate at which a metric leaves its band with no change behind it has a Gamma
	// prior: one anomaly in two weeks, worth two weeks of watching.
	priorAnomalies = 1.0
	priorWatched   = 14 * 86400.0 // seconds
	// memory is the mean life of what is counted of a series, in seconds.
	memory = 90 * 86400.0

	maxSeries  = 50_000
	maxFactors = 20_000
	maxKey     = 1024 // bytes of the names together; of longer ones nothing is learnt
)

// Rates is what is learnt online: for each metric of a resource how often it leaves
// its band with no change behind it, and for each setting of a type how often a change
// of it was the cause. The zero value knows nothing and is ready to use. A copy shares
// what it knows with the original once anything is known. It is not safe for use from
// several goroutines at once.
type Rates struct {
	series  map[seriesKey]*series
	changes map[changeKey]float64
	causes  map[causeKey]float64
}

type seriesKey struct {
	Resource penumbra.Address `json:"resource"`
	Metric   string           `json:"metric"`
}

type series struct {
	Interval  float64   `json:"interval,omitempty"` // seconds between samples, 0 unknown
	Watched   float64   `json:"watched"`            // seconds, forgotten with memory
	Anomalies float64   `json:"anomalies"`          // with no change behind them, forgotten likewise
	Until     time.Time `json:"until"`
}

type changeKey struct {
	Type   string `json:"type"`
	Factor string `json:"factor"`
}

type causeKey struct {
	changeKey
	Metric string `json:"metric"`
}

// usable reports whether names can be kept: not too long, and text that CBOR takes.
func usable(names ...string) bool {
	size := 0
	for _, name := range names {
		size += len(name)
		if !utf8.ValidString(name) {
			return false
		}
	}
	return size <= maxKey
}

// make prepares the maps.
func (r *Rates) make() {
	if r.series == nil {
		r.series = map[seriesKey]*series{}
		r.changes = map[changeKey]float64{}
		r.causes = map[causeKey]float64{}
	}
}

// Watch notes that a metric of a resource was watched until now, with samples an
// interval apart, 0 if that is not known. Calling it now and then for each series, an
// hour apart or so, is enough; the time of a silence of the watcher counts as watched.
func (r *Rates) Watch(resource penumbra.Address, metric string, interval time.Duration, now time.Time) {
	s := r.at(seriesKey{resource, metric}, now)
	if s != nil && interval > 0 {
		s.Interval = interval.Seconds()
	}
}

// at returns the series brought forward to now, nil if its name is too long.
func (r *Rates) at(k seriesKey, now time.Time) *series {
	if !usable(string(k.Resource), k.Metric) {
		return nil
	}
	r.make()
	s := r.series[k]
	if s == nil {
		if len(r.series) >= maxSeries {
			r.forgetSeries()
		}
		s = &series{Until: now}
		r.series[k] = s
	}
	if dt := now.Sub(s.Until).Seconds(); dt > 0 {
		kept := math.Exp(-dt / memory)
		s.Anomalies *= kept
		s.Watched = s.Watched*kept + memory*(1-kept)
		s.Until = now
	}
	return s
}

// forgetSeries drops the tenth that was watched longest ago.
func (r *Rates) forgetSeries() {
	keys := slices.SortedFunc(maps.Keys(r.series), func(a, b seriesKey) int {
		return cmp.Or(r.series[a].Until.Compare(r.series[b].Until), compareSeries(a, b))
	})
	for _, k := range keys[:maxSeries/10] {
		delete(r.series, k)
	}
}

// Changed counts a change, whatever came of it. It is called once for each, before the
// anomalies after it are observed.
func (r *Rates) Changed(c *Change) {
	k := changeKey{c.Type, factor(c.Path, c.Action)}
	if !usable(k.Type, k.Factor) || remark(c.Action) {
		return
	}
	r.make()
	if _, known := r.changes[k]; !known && len(r.changes) >= maxFactors {
		r.forgetChanges()
	}
	r.changes[k]++
}

// forgetChanges drops the tenth with the fewest changes, and what they caused.
func (r *Rates) forgetChanges() {
	keys := slices.SortedFunc(maps.Keys(r.changes), func(a, b changeKey) int {
		return cmp.Or(cmp.Compare(r.changes[a], r.changes[b]), compareChange(a, b))
	})
	for _, k := range keys[:maxFactors/10] {
		delete(r.changes, k)
	}
	maps.DeleteFunc(r.causes, func(k causeKey, _ float64) bool {
		_, kept := r.changes[k.changeKey]
		return !kept
	})
}

// Observe counts an anomaly, once, with the suspects that [Rank] gave it: each has
// caused it with its probability, and the background with the rest. That is a step of
// expectation-maximization for the declustered process. kind returns a resource's
// type.
func (r *Rates) Observe(a *penumbra.Anomaly, kind func(penumbra.Address) string) {
	at := a.Onset
	if at.IsZero() {
		at = a.Time
	}
	if s := r.at(seriesKey{a.Resource, a.Metric}, at); s != nil {
		s.Anomalies += Unseen(a.Suspects)
	}
	for i := range a.Suspects {
		s := &a.Suspects[i]
		r.credit(kind(s.Resource), s, a.Metric, s.Probability)
	}
}

// Outcome learns what was found out about a suspect: whether it was the cause. The
// anomaly has been observed with it before, so only what that left open is added or
// taken back. kind is the type of the suspect's resource.
func (r *Rates) Outcome(kind string, a *penumbra.Anomaly, s penumbra.Suspect, wasCause bool) {
	if wasCause {
		r.credit(kind, &s, a.Metric, 1-s.Probability)
	} else {
		r.credit(kind, &s, a.Metric, -s.Probability)
	}
}

// credit adds to what a factor has caused. Causes are kept only of changes that were
// counted, or that this makes count.
func (r *Rates) credit(kind string, s *penumbra.Suspect, metric string, share float64) {
	k := causeKey{changeKey{kind, factor(s.Path, s.Action)}, metric}
	if math.IsNaN(share) || math.Abs(share) > 1 || !usable(k.Type, k.Factor, metric) {
		return
	}
	r.make()
	if _, counted := r.changes[k.changeKey]; !counted {
		r.Changed(&Change{Type: kind, Path: s.Path, Action: s.Action})
	}
	if _, known := r.causes[k]; !known && (share < 1e-3 || len(r.causes) >= 4*maxFactors) {
		return // of nearly innocent ones nothing needs to be kept
	}
	r.causes[k] = max(0, r.causes[k]+share)
}

// history returns of how many changes of a factor one was how often the cause.
func (r *Rates) history(kind, path, action, metric string) (causes, changes float64) {
	k := changeKey{kind, factor(path, action)}
	causes = r.causes[causeKey{k, metric}]
	return causes, max(r.changes[k], causes)
}

// Background returns how often, per second, the metric leaves its band with no change
// behind it: the mean of the Gamma posterior.
func (r *Rates) Background(resource penumbra.Address, metric string) float64 {
	n, t := priorAnomalies, priorWatched
	if s := r.series[seriesKey{resource, metric}]; s != nil {
		n, t = n+s.Anomalies, t+s.Watched
	}
	return n / t
}

// interval returns the seconds between samples of a metric.
func (r *Rates) interval(resource penumbra.Address, metric string) float64 {
	if s := r.series[seriesKey{resource, metric}]; s != nil && s.Interval > 0 {
		return s.Interval
	}
	return defaultInterval
}

// storedRates is the form in which rates are kept, in a fixed order.
type storedRates struct {
	Series  []storedSeries `json:"series"`
	Changes []storedChange `json:"changes"`
	Causes  []storedCause  `json:"causes"`
}

type storedSeries struct {
	seriesKey
	series
}

type storedChange struct {
	changeKey
	Count float64 `json:"count"`
}

type storedCause struct {
	causeKey
	Count float64 `json:"count"`
}

func (r *Rates) stored() storedRates {
	var out storedRates
	for _, k := range slices.SortedFunc(maps.Keys(r.series), compareSeries) {
		out.Series = append(out.Series, storedSeries{k, *r.series[k]})
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.changes), compareChange) {
		out.Changes = append(out.Changes, storedChange{k, r.changes[k]})
	}
	for _, k := range slices.SortedFunc(maps.Keys(r.causes), compareCause) {
		out.Causes = append(out.Causes, storedCause{k, r.causes[k]})
	}
	return out
}

func compareSeries(a, b seriesKey) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Metric, b.Metric))
}

func compareChange(a, b changeKey) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Factor, b.Factor))
}

func compareCause(a, b causeKey) int {
	return cmp.Or(compareChange(a.changeKey, b.changeKey), cmp.Compare(a.Metric, b.Metric))
}

// restore takes what was stored, or says what keeps it from being true.
func (r *Rates) restore(in storedRates) error {
	if len(in.Series) > maxSeries || len(in.Changes) > maxFactors || len(in.Causes) > 4*maxFactors {
		return damaged("more entries than are ever kept")
	}
	var fresh Rates
	fresh.make()
	for i := range in.Series {
		s := in.Series[i].series
		if !amounts(s.Interval, s.Watched, s.Anomalies) {
			return damaged("series %q of %q has an impossible count", in.Series[i].Metric, in.Series[i].Resource)
		}
		fresh.series[in.Series[i].seriesKey] = &s
	}
	for _, c := range in.Changes {
		if !amounts(c.Count) {
			return damaged("setting %q of %q has an impossible count", c.Factor, c.Type)
		}
		fresh.changes[c.changeKey] = c.Count
	}
	for _, c := range in.Causes {
		if !amounts(c.Count) {
			return damaged("setting %q of %q has an impossible count for %q", c.Factor, c.Type, c.Metric)
		}
		fresh.causes[c.causeKey] = c.Count
	}
	*r = fresh
	return nil
}

// amounts reports whether all are finite and none is negative.
func amounts(xs ...float64) bool {
	return !slices.ContainsFunc(xs, func(x float64) bool { return !(x >= 0) || math.IsInf(x, 0) })
}

func damaged(format string, args ...any) error {
	return &penumbra.Error{
		Kind:   penumbra.Damaged,
		What:   "read the rates of anomalies and causes: " + fmt.Sprintf(format, args...),
		Remedy: "remove them: they are learnt anew",
	}
}

// MarshalJSON writes all that is known. The same rates give the same bytes.
func (r Rates) MarshalJSON() ([]byte, error) { return json.Marshal(r.stored()) }

// UnmarshalJSON reads what MarshalJSON wrote. The error is of kind Damaged, and the
// rates stay as they were.
func (r *Rates) UnmarshalJSON(data []byte) error {
	var in storedRates
	if err := json.Unmarshal(data, &in); err != nil {
		return damaged("%v", err)
	}
	return r.restore(in)
}

// MarshalCBOR writes all that is known in CBOR (RFC 8949).
func (r Rates) MarshalCBOR() ([]byte, error) { return envelope.Encode(r.stored()) }

// UnmarshalCBOR reads what MarshalCBOR wrote. The error is of kind Damaged, and the
// rates stay as they were.
func (r *Rates) UnmarshalCBOR(data []byte) error {
	var in storedRates
	if err := envelope.Decode(data, &in); err != nil {
		return damaged("%v", err)
	}
	return r.restore(in)
}
