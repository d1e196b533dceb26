package backtest

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// Entrant is a model that is judged. One that is a [shadow.Ensemble] is judged
// expert by expert too; a [shadow.Chooser] and a [shadow.Successor] also by
// what they choose and by what comes next.
type Entrant struct {
	Name  string
	Model Model
	// Baseline marks one that is there to be beaten, such as [Peer]: it is judged
	// by when settings change, and never chosen.
	Baseline bool
}

// Model is the part of a [shadow.Model] that is judged.
type Model interface {
	Observe(o *penumbra.Observation)
	Expect(r *penumbra.Resource, at time.Time, confidence float64) []penumbra.Expectation
	Forecast(r *penumbra.Resource, at time.Time) []penumbra.Forecast
}

// ensemble is the part of a [shadow.Ensemble] that is judged.
type ensemble interface {
	Experts() []string
	Each(r *penumbra.Resource, at time.Time, visit func(path string, leave [][len(penumbra.Horizons)]float64))
}

var (
	_ Model    = shadow.Model(nil)
	_ ensemble = shadow.Ensemble(nil)
)

// Options say what is asked and when. The zero value is the whole protocol on
// the whole history, split by time.
//
// Probabilities are kept in 65,536 steps of log odds between -14 and 14, a
// relative error of at most 0.03 %; what is beyond a millionth counts as that.
type Options struct {
	// From is the first cut and To where the last horizon ends. If zero, From
	// comes after Warmup and To is the time of the last observation.
	From, To time.Time
	// Warmup is the share of the time span before the first cut, 0.2 if 0, none
	// if negative.
	Warmup float64
	// Every is the time between cuts. If 0 it is the shortest of a day, a week
	// and 30 days with which at most [AutomaticQuestions] are asked, or 30 days.
	Every time.Duration
	// Horizons are indices into [penumbra.Horizons], ascending; 1 d, 7 d and 30 d
	// if empty.
	Horizons []int
	// Sample, if above 1, asks about one resource in so many, chosen by the
	// digest of its address. The models learn from all.
	Sample uint32
	// Split says what the models know before the first cut.
	Split Split
	Seed  uint64 // of the split, the resampling and the random alerts
	// Bootstrap is how often is resampled for an interval, 1000 if 0, never if
	// negative.
	Bootstrap int
	// Alerts is how many alerts a week there may be, 30 if 0.
	Alerts float64
	// NoValues leaves out prediction sets, next values and next changes.
	NoValues bool
	// Verdicts also scores verdicts on drift, if not nil.
	Verdicts *Verdicts `json:"-"`
	// Progress, if not nil, is told the share of the work that is done.
	Progress func(share float64) `json:"-"`
}

// AutomaticQuestions bounds how many questions about change are asked if the
// time between cuts is not given.
const AutomaticQuestions = 2_000_000

// Split is how what is learnt is kept apart from what is scored.
type Split uint8

// The splits.
const (
	// ByTime learns from all resources and scores all, always what comes later.
	ByTime Split = iota
	// ByFamily keeps half of the families of resources, see [shadow.Family], from
	// the models until the first cut. There they enter without a past, and only
	// they are scored. So no copy of a resource in another environment was
	// learnt from either.
	ByFamily
)

var splitNames = [...]string{"time", "family"}

func (s Split) String() string { return splitNames[s] }

// MarshalText writes the split's name.
func (s Split) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the split's name.
func (s *Split) UnmarshalText(text []byte) error {
	for i, name := range splitNames {
		if name == string(text) {
			*s = Split(i)
			return nil
		}
	}
	return fmt.Errorf("split %q is neither time nor family", text)
}

func (o *Options) defaults() {
	if o.Warmup == 0 {
		o.Warmup = 0.2
	}
	if len(o.Horizons) == 0 {
		o.Horizons = []int{2, 3, 4}
	}
	if o.Bootstrap == 0 {
		o.Bootstrap = 1000
	}
	if o.Alerts == 0 {
		o.Alerts = 30
	}
	if o.Progress == nil {
		o.Progress = func(float64) {}
	}
}

func (o *Options) check() error {
	for i, h := range o.Horizons {
		if h < 0 || h >= len(penumbra.Horizons) || i > 0 && h <= o.Horizons[i-1] {
			return invalid("the horizons of the backtest are not ascending ones of 1h, 6h, 1d, 7d, 30d", "name some of them, each once")
		}
	}
	switch {
	case o.Every < 0:
		return invalid(fmt.Sprintf("a backtest cannot be cut every %v", o.Every), "give a positive duration, such as 24h")
	case o.Warmup >= 1:
		return invalid(fmt.Sprintf("a warm-up of %v leaves nothing to score", o.Warmup), "give a share of the time span below 1, such as 0.2")
	}
	return nil
}

func invalid(what, remedy string) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
}

// longest is the longest horizon.
func (o *Options) longest() time.Duration { return penumbra.Horizons[o.Horizons[len(o.Horizons)-1]] }

// Cuts returns how many cuts there are by options that are planned.
func (o *Options) Cuts() int {
	span := o.To.Sub(o.From) - penumbra.Horizons[o.Horizons[0]]
	if span < 0 {
		return 0
	}
	return int(span/o.Every) + 1
}

// held reports whether the resource is kept from the models until the first
// cut.
func (o *Options) held(a penumbra.Address) bool {
	return o.Split == ByFamily && digest(shadow.Family(a), o.Seed)%2 == 0
}

// scored reports whether is asked about the resource.
func (o *Options) scored(a penumbra.Address) bool {
	if o.Sample > 1 && digest(string(a), 0)%o.Sample != 0 {
		return false
	}
	return o.Split == ByTime || o.held(a)
}

func digest(text string, seed uint64) uint32 {
	h := fnv.New32a()
	if seed != 0 {
		_, _ = fmt.Fprint(h, seed, "/")
	}
	_, _ = h.Write([]byte(text))
	return h.Sum32()
}

// Plan fills in what the options leave to the history. [Run] does it by itself;
// for [Replay] it is done once, by the survey of the whole estate. It returns an
// error of kind Invalid if the options cannot be met.
func (o *Options) Plan(s *Survey) error {
	o.defaults()
	if err := o.check(); err != nil {
		return err
	}
	if s.First.IsZero() {
		return invalid("there is nothing to backtest on: no observation was given", "name a timeline with a history, such as `penumbra export` writes")
	}
	if o.To.IsZero() {
		o.To = s.Last
	}
	if o.From.IsZero() {
		o.From = s.First.Add(time.Duration(max(0, o.Warmup) * float64(o.To.Sub(s.First))))
	}
	o.From = o.From.Truncate(time.Second)
	if shortest := penumbra.Horizons[o.Horizons[0]]; o.From.Add(shortest).After(o.To) {
		return invalid(fmt.Sprintf("the history from %s to %s is too short: no horizon of %s ends in it", o.From.Format(time.RFC3339), o.To.Format(time.RFC3339), penumbra.HorizonNames[o.Horizons[0]]),
			"give a longer history, a shorter warm-up or a shorter horizon")
	}
	if o.Every == 0 {
		o.Every = s.spacing(o.From, o.To)
	}
	return nil
}
