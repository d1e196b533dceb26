package penumbra

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Change says in words how much worse or better the drift made the metric: "97x
// worse", "34 % better".
func (i *Impact) Change() string { return change(i.Before, i.After, i.Worse) }

// Change says in words how far the metric is from what was expected.
func (a *Anomaly) Change() string {
	if a.Kind == Silence {
		return "no values any more"
	}
	return change(a.Expected, a.Value, a.Worse)
}

// asNothing is the factor from which a value is told by both ends: beside what
// it became it was as good as 0.
const asNothing = 10_000

func change(before, after float64, worse bool) string {
	word := "better"
	if worse {
		word = "worse"
	}
	factor := math.Abs(after / before)
	switch {
	case before == after:
		return "unchanged"
	case before == 0 || after == 0 || math.Signbit(before) != math.Signbit(after) || factor >= asNothing:
		return fmt.Sprintf("%s, from %s to %s", word, Quantity(before), Quantity(after))
	case factor < 1: // something is left, so it is never 100 %
		return fmt.Sprintf("%.0f %% %s", math.Min(99, 100*(1-factor)), word)
	case factor >= 10:
		return fmt.Sprintf("%.0fx %s", factor, word)
	case factor >= 2:
		return fmt.Sprintf("%.1fx %s", factor, word)
	default:
		return fmt.Sprintf("%.0f %% %s", 100*(factor-1), word)
	}
}

// Quantity writes a metric's value to the digits that a person reads.
func Quantity(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

// Chance writes a small probability without rounding it to none.
func Chance(p float64) string {
	switch {
	case p < 0.0001:
		return "below 0.01 %"
	case p < 0.001:
		return fmt.Sprintf("%.2f %%", 100*p)
	case p < 0.1:
		return fmt.Sprintf("%.1f %%", 100*p)
	default:
		return fmt.Sprintf("%.0f %%", 100*p)
	}
}

// Percent writes a probability to the digits that a person reads.
func Percent(p float64) string {
	switch {
	case p < 0.0005:
		return "0%"
	case p < 0.01:
		return fmt.Sprintf("%.1f%%", 100*p)
	default:
		return fmt.Sprintf("%.0f%%", 100*p)
	}
}

// Brief says who it was and when, or between when if nobody is known.
func (c *Cause) Brief() string {
	switch {
	case c.Actor != "":
		text := c.Actor
		if c.ActorKind != UnknownActor {
			text += " (" + c.ActorKind.String() + ")"
		}
		if c.Action != "" {
			text += ", " + c.Action
		}
		return text + ", " + c.Time.Format(time.RFC3339)
	case !c.After.IsZero():
		return "nobody in the logs; between " + c.After.Format(time.RFC3339) + " and " + c.Time.Format(time.RFC3339)
	default:
		return "nobody in the logs"
	}
}

// Brief writes what moved in one setting, or what is about to.
func (f *Finding) Brief() string {
	switch {
	case f.Path == "" && f.Verdict == Pending:
		return "the resource is not created yet"
	case f.Path == "":
		return "the resource is gone"
	case f.Expectation.Limit != nil:
		return f.limit()
	case f.Verdict == Impending && f.Forecast != nil:
		next := ""
		if !f.Forecast.Next.IsNull() {
			next = " to " + f.Forecast.Next.String()
		}
		return fmt.Sprintf("%s: %s to leave %s%s within %s", f.Path, Percent(f.Forecast.Leave[f.Horizon]), f.Template, next, HorizonNames[f.Horizon])
	case f.Declared:
		return fmt.Sprintf("%s %s → %s", f.Path, f.Template, f.Actual)
	default:
		return fmt.Sprintf("%s (undeclared) %s → %s", f.Path, f.Expectation.Likely(), f.Actual)
	}
}

// limit says of a setting that its limit is passed, or will be.
func (f *Finding) limit() string {
	switch l := f.Expectation.Limit; {
	case f.Verdict == Impending && f.Forecast != nil:
		return fmt.Sprintf("%s %s: %s to pass its limit %s within %s", f.Path, f.Actual, Percent(f.Forecast.Leave[f.Horizon]), l.Bound, HorizonNames[f.Horizon])
	case l.Unread:
		return fmt.Sprintf("%s %s cannot be held against its limit %s", f.Path, f.Actual, l.Bound)
	default:
		return fmt.Sprintf("%s %s, beyond its limit %s", f.Path, f.Actual, l.Bound)
	}
}
