package drift

import (
	"fmt"

	"github.com/penumbra-iac/penumbra"
)

// Thresholds say how sure the shadow must be before it speaks.
type Thresholds struct {
	// Leave holds, for each of [penumbra.Horizons], the probability of leaving
	// from which a setting is impending. 1 switches the horizon off unless the
	// forecast is certain.
	Leave [len(penumbra.Horizons)]float64
	// Support is the least [penumbra.Expectation.Support], in effective days,
	// for a setting to be unexpected.
	Support float64
}

// DefaultThresholds are made for few false alarms. With calibrated forecasts
// an alarm at 0.5 comes true at least as often as not within its horizon. A
// month is so long that a setting that merely changes every few weeks would
// pass 0.5 for ever, hence 0.8. One day of data is the least that shows a
// setting at each hour.
func DefaultThresholds() Thresholds {
	return Thresholds{Leave: [...]float64{0.5, 0.5, 0.5, 0.5, 0.8}, Support: 1}
}

// Check returns an error of kind Invalid if a threshold means nothing.
func (th Thresholds) Check() error {
	for i, p := range th.Leave {
		if !(p > 0 && p <= 1) {
			return &penumbra.Error{
				Kind:   penumbra.Invalid,
				What:   fmt.Sprintf("threshold for impending drift within %s is %v", penumbra.HorizonNames[i], p),
				Remedy: "give a probability above 0, at most 1",
			}
		}
	}
	if !(th.Support >= 0) {
		return &penumbra.Error{
			Kind:   penumbra.Invalid,
			What:   fmt.Sprintf("least support for an unexpected setting is %v", th.Support),
			Remedy: "give a number of days, 0 or more",
		}
	}
	return nil
}

// recede is the share of a threshold below which an impending drift has
// receded. The gap keeps a forecast that trembles around its threshold from
// opening and closing a drift at every turn.
const recede = 0.7

// passes returns the shortest horizon at which the forecast reaches its
// threshold, -1 if there is none; near reports that it is at least close.
func (th *Thresholds) passes(f *penumbra.Forecast) (horizon int, near bool) {
	for i, p := range f.Leave {
		if p >= th.Leave[i] {
			return i, true
		}
		near = near || p >= recede*th.Leave[i]
	}
	return -1, near
}
