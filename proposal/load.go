package proposal

import (
	"fmt"
	"math"

	"github.com/penumbra-iac/penumbra"
)

// fewDays is how many days must have been seen before an hour is called busy.
const fewDays = 3

// busy returns how busy an hour of the day is, from 0 for the quietest to 1 for the
// busiest, and which hour is the quietest. It is false if too little is known, or if no
// hour differs from another by a tenth.
func busy(l *penumbra.Load, hour int) (share float64, quietest int, ok bool) {
	if l == nil || l.Days < fewDays {
		return 0, 0, false
	}
	low, high := math.Inf(1), math.Inf(-1)
	for h, x := range l.Hours {
		if math.IsNaN(x) {
			continue
		}
		if x < low {
			low, quietest = x, h
		}
		high = max(high, x)
	}
	x := l.Hours[hour]
	if math.IsNaN(x) || !(high-low > 0.1*math.Abs(high)) {
		return 0, 0, false
	}
	return (x - low) / (high - low), quietest, true
}

// timeOfDay returns by what power the chance that nothing goes wrong is taken at this
// time of the day: twice as many notice at the busiest hour as on average, half as many
// at the quietest.
func timeOfDay(ev *Evidence) (power float64, why string) {
	share, quietest, ok := busy(ev.Load, ev.Now.UTC().Hour())
	if !ok {
		return 1, ""
	}
	power = math.Exp2(2*share - 1)
	switch {
	case share > 0.75:
		why = fmt.Sprintf("at a busy hour by %s over %d days (the quietest is %02d:00 UTC)", ev.Load.Metric, ev.Load.Days, quietest)
	case share < 0.25:
		why = fmt.Sprintf("at a quiet hour by %s over %d days", ev.Load.Metric, ev.Load.Days)
	}
	return power, why
}
