package creep

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// goesOn and goesBack are the beta prior of a run's going on after a step. Chosen
// on the generated settings of the training seeds.
const (
	goesOn   = 1.0
	goesBack = 1.0
)

// outlook is what lies ahead of a run.
type outlook struct {
	waiting waiting
	passes  [ahead + 1]float64 // that the m-th step passes and the run goes on till then
	scale   *scale             // the likelier one
	steps   int                // the number by which it is past as likely as not
}

// look returns the outlook of a run that has steps, for a setting at now and its
// bound.
func (r *run) look(now, bound float64, at time.Time) outlook {
	var o outlook
	o.waiting = wait(r.gaps(at))
	scales := measure(r, now, bound)
	o.scale = &scales[0]
	on, back := goesOn+r.kept, goesBack+r.broken
	going, past := 1.0, 0.0
	for m := 1; m <= ahead; m++ {
		going *= (on + float64(m-1)) / (on + back + float64(m-1))
		for i := range scales {
			s := &scales[i]
			o.passes[m] += s.share * s.first[m]
			if s.share > o.scale.share {
				o.scale = s
			}
		}
		if past += o.passes[m]; o.steps == 0 && past >= 0.5 {
			o.steps = m
		}
		o.passes[m] *= going
	}
	return o
}

// within returns the probability that the bound is passed within a span in days.
func (o *outlook) within(span float64) float64 {
	sum := 0.0
	for m := 1; m <= ahead; m++ {
		if o.passes[m] > 1e-6 {
			sum += o.passes[m] * o.waiting.within(m, span)
		}
	}
	return min(1, sum)
}

// median returns the time by which the bound is passed as likely as not, 0 if that
// is longer than the last horizon, where the probability is given.
func (o *outlook) median(last float64) time.Duration {
	if last < 0.5 {
		return 0
	}
	low, high := 0.0, days(penumbra.Horizons[len(penumbra.Horizons)-1])
	for high-low > high/64+1e-3 {
		if mid := (low + high) / 2; o.within(mid) < 0.5 {
			low = mid
		} else {
			high = mid
		}
	}
	return time.Duration(high * 24 * float64(time.Hour)).Round(time.Minute)
}

// forecast says when a setting at now will pass a bound, with what is known of its
// steps towards it. value is the setting's present amount, whose unit is used.
func (r *run) forecast(path string, value, bound amount, limit penumbra.Value, at time.Time) penumbra.Forecast {
	f := penumbra.Forecast{Path: path}
	if len(r.steps) == 0 || r.sign*(bound.x-value.x) < 0 {
		return f
	}
	o := r.look(value.x, bound.x, at)
	for i, h := range penumbra.Horizons {
		f.Leave[i] = o.within(days(h))
		if i > 0 {
			f.Leave[i] = max(f.Leave[i], f.Leave[i-1])
		}
	}
	f.TimeToDrift = o.median(f.Leave[len(f.Leave)-1])
	next := value.x + r.sign*o.scale.sizes.typical()
	if o.scale.relative {
		next = value.x * math.Exp(r.sign*o.scale.sizes.typical())
	}
	f.Next = value.value(next)
	f.Support = o.scale.sizes.total
	f.Reason = r.words(&o, value, limit, at)
	return f
}

// words says what a run's forecast rests on.
func (r *run) words(o *outlook, value amount, limit penumbra.Value, at time.Time) string {
	verb := "raised"
	if r.sign < 0 {
		verb = "lowered"
	}
	by := value.value(o.scale.sizes.typical()).Text()
	if o.scale.relative {
		by = fmt.Sprintf("%.0f%%", 100*math.Abs(math.Expm1(r.sign*o.scale.sizes.typical())))
	}
	var b strings.Builder
	last := r.steps[len(r.steps)-1].time
	took, rest := last.Sub(r.first), at.Sub(last)
	if r.total == 1 {
		fmt.Fprintf(&b, "%s once, %s ago, by %s", verb, span(at.Sub(r.first)), by)
	} else {
		fmt.Fprintf(&b, "%s %d times in %s by about %s each", verb, r.total, span(took), by)
	}
	if who := r.actors(); who != "" {
		b.WriteString(", by " + who)
	}
	if r.total > 1 && rest > max(took, 24*time.Hour) {
		fmt.Fprintf(&b, ", last %s ago", span(rest))
	}
	switch {
	case o.steps == 1:
		fmt.Fprintf(&b, ": the next step passes %s", limit.Text())
	case o.steps > 1:
		fmt.Fprintf(&b, ": %s is %d steps away", limit.Text(), o.steps)
	default:
		fmt.Fprintf(&b, ": %s is more than %d steps away", limit.Text(), ahead)
	}
	return b.String()
}

// actors names who made the steps, in their order.
func (r *run) actors() string {
	var names []string
	for _, s := range r.steps {
		if s.actor != "" && !slices.Contains(names, s.actor) {
			names = append(names, s.actor)
		}
	}
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return names[0]
	case n > 3:
		return fmt.Sprintf("%s and %d others", strings.Join(names[:2], ", "), n-2)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// span writes a time in the unit that a person would use.
func span(d time.Duration) string {
	for _, u := range [...]struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(math.Round(float64(d) / float64(u.d))); n == 1 {
			return "1 " + u.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "a moment"
}
