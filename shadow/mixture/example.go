package mixture

import (
	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

const (
	horizons = len(penumbra.Horizons)
	last     = horizons - 1
)

// example is a question that the model asked itself, and what is known of the
// answer.
type example struct {
	at       int64 // Unix seconds when it was asked
	key      settingKey
	earlier  *example // of the same setting
	kind     string   // of the resource
	weight   float32
	interval int8 // in which it changed; horizons if it has not
	features [shadow.NumFeatures]float32
	recent   [shadow.NumRecent]float32
	survival float32             // by the counts, of the last horizon
	offset   [horizons]float32   // log odds of the counts, by interval
	said     [experts]float32    // log odds of a change within the last horizon
	pooled   float32             // of the pool before its recalibration
	base     [horizons]float32   // what the contrast is added to, within each horizon
	word     [candidates]float32 // of the candidates for the last word, within the last horizon
	contrast contrast            // to its class
	tape     *rnn.Tape           // the question with the steps before it
}

// settingKey names a setting: its resource's number and its path.
type settingKey struct {
	resource uint32
	path     string
}

// cohort is the examples of one day.
type cohort struct {
	at       int64 // Unix seconds
	stage    int   // intervals that were learnt
	examples []*example
}

// offsets returns the log odds of a change in each interval if there was none
// before it, from the probabilities of none until the end of each.
func offsets(survival *[horizons]float64) [horizons]float32 {
	var out [horizons]float32
	before := 1.0
	for k, s := range survival {
		out[k] = float32(logOdds(1 - s/max(before, 1e-12)))
		before = s
	}
	return out
}

// hazards are log odds of an event in each interval if there was none before.
type hazards [horizons]float64

// within returns the log odds of an event by the end of each interval.
func (h *hazards) within() [horizons]float64 {
	var out [horizons]float64
	stays := 1.0
	for k, z := range h {
		stays *= 1 - probability(z)
		out[k] = logOdds(1 - stays)
	}
	return out
}

// seconds are the ends of the intervals.
var seconds = func() (out [horizons]int64) {
	for k, span := range penumbra.Horizons {
		out[k] = int64(span.Seconds())
	}
	return out
}()

// intervalOf returns the interval that so many seconds fall in, horizons if
// they are beyond the last.
func intervalOf(elapsed int64) int8 {
	for k, end := range seconds {
		if elapsed <= end {
			return int8(k)
		}
	}
	return int8(horizons)
}
