package shadow

import (
	"math"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

const (
	// minExcursions is how often automation must have taken a setting away and
	// back before its values are a habit.
	minExcursions = 3
	// minNumbers is how many different numbers a habit must have shown before
	// it is a range.
	minNumbers = 4
	hours      = 24
	// hourSlack is how far to either side of a moment a habit's hours count:
	// automation is not punctual.
	hourSlack  = 15 * 60
	maxHabits  = 8
	maxNumbers = 64
)

// habit is what automation does to a setting again and again: how much of each
// hour of the day the setting spends at the template and at each other value,
// in decayed hours, UTC. Only completed excursions enter.
type habit struct {
	completed int
	day       int64 // the day to which the sums are decayed
	home      [hours]float32
	values    []stay
	numbers   []float64 // the last numbers seen, oldest first
}

// stay is a habit's one value.
type stay struct {
	value  penumbra.Value
	visits int // completed excursions that had it
	at     [hours]float32
}

// advance decays the sums, once a day.
func (b *habit) advance(t int64) {
	day := t / secondsPerDay
	if day <= b.day {
		return
	}
	f := float32(decay(float64(day-b.day), habitLife))
	for i := range b.home {
		b.home[i] *= f
	}
	for k := range b.values {
		for i := range b.values[k].at {
			b.values[k].at[i] *= f
		}
	}
	b.day = day
}

// stay credits the template with the time between two looks. After a long
// silence only the hour before the look counts.
func (b *habit) stay(from, to int64) {
	b.advance(to)
	spend(&b.home, max(from, to-3600), to)
}

// spend spreads the span over the hours of the day, in hours. Of a span longer
// than a day every hour gets its share.
func spend(at *[hours]float32, from, to int64) {
	if to-from > secondsPerDay {
		whole := (to - from) / secondsPerDay
		for i := range at {
			at[i] += float32(whole)
		}
		from += whole * secondsPerDay
	}
	for from < to {
		end := min(to, from-from%3600+3600)
		at[from%secondsPerDay/3600] += float32(end-from) / 3600
		from = end
	}
}

// learn takes in a completed excursion of automation that ended at end.
func (h *history) learn(s *setting, x *excursion, end int64) {
	b := h.habit
	if b == nil {
		b = &habit{day: end / secondsPerDay}
		h.habit = b
		// Until now the setting was where it should be, as far back as the
		// habit's memory goes.
		days := float32(min(days(x.start-s.since.unix()), habitLife))
		for i := range b.home {
			b.home[i] = days
		}
	}
	b.advance(end)
	b.completed++
	var seen []penumbra.Value
	for i, v := range x.visits {
		until := end
		if i+1 < len(x.visits) {
			until = x.visits[i+1].start
		}
		if f, ok := v.value.Float(); ok {
			if len(b.numbers) == maxNumbers {
				b.numbers = slices.Delete(b.numbers, 0, 1)
			}
			b.numbers = append(b.numbers, f)
		}
		k := b.value(v.value)
		spend(&b.values[k].at, v.start, max(v.start, until))
		if !slices.Contains(seen, v.value) {
			seen = append(seen, v.value)
			b.values[k].visits++
		}
	}
}

// value returns the index of the habit's value v. Where there is no room it
// takes the place of the rarest.
func (b *habit) value(v penumbra.Value) int {
	least := 0
	for i, x := range b.values {
		if x.value == v {
			return i
		}
		if x.visits < b.values[least].visits {
			least = i
		}
	}
	if len(b.values) < maxHabits {
		b.values = append(b.values, stay{value: v})
		return len(b.values) - 1
	}
	b.values[least] = stay{value: v}
	return least
}

// established reports whether there is a habit, and not only its beginning.
func (b *habit) established() bool { return b != nil && b.completed >= minExcursions }

// candidates returns how likely the template and each habitual value are at
// the time of day. Half an hour is the template's own, so that a value gets
// the hour for itself only after many nights, and one that was never there at
// this hour gets nothing of it.
func (b *habit) candidates(out []penumbra.Candidate, home penumbra.Value, at int64) []penumbra.Candidate {
	var sum float64
	share := func(of *[hours]float32) float64 {
		var n float64
		for _, edge := range [...]int64{at - hourSlack, at + hourSlack} {
			n += float64(of[(edge%secondsPerDay+secondsPerDay)%secondsPerDay/3600]) / 2
		}
		sum += n
		return n
	}
	first := len(out)
	out = append(out, penumbra.Candidate{Value: home, Probability: share(&b.home) + 0.5})
	sum += 0.5
	for i := range b.values {
		v := &b.values[i]
		if v.visits < minExcursions || v.value == home {
			continue
		}
		if n := share(&v.at); n > 0.02 {
			out = append(out, penumbra.Candidate{Value: v.value, Probability: n})
		}
	}
	for i := first; i < len(out); i++ {
		out[i].Probability /= sum
	}
	return out
}

// interval returns the range of a habit that wanders over many numbers: the
// quantiles of the last ones, and beyond the outermost by their mean distance,
// since the next may be a little farther out. nil if the numbers are few.
func (b *habit) interval(confidence float64) *penumbra.Interval {
	sorted := slices.Clone(b.numbers)
	slices.Sort(sorted)
	distinct := len(slices.Compact(slices.Clone(sorted)))
	if distinct < minNumbers {
		return nil
	}
	n := len(sorted)
	gap := (sorted[n-1] - sorted[0]) / float64(distinct-1)
	// Split conformal ranks for two tails of n exchangeable numbers.
	k := int(math.Floor(float64(n+1) * (1 - confidence) / 2))
	if k < 1 {
		return &penumbra.Interval{Low: sorted[0] - gap, High: sorted[n-1] + gap}
	}
	return &penumbra.Interval{Low: sorted[k-1], High: sorted[n-k]}
}

const quarters = 96

// clock counts departures by quarter of an hour of the day, UTC, decayed.
type clock struct {
	day int64
	at  [quarters]float32
}

func (k *clock) strike(t int64) {
	k.advance(t)
	k.at[t%secondsPerDay/900]++
}

func (k *clock) advance(t int64) {
	day := t / secondsPerDay
	if day <= k.day {
		return
	}
	f := float32(decay(float64(day-k.day), habitLife))
	for i := range k.at {
		k.at[i] *= f
	}
	k.day = day
}

// near returns the departures within a quarter to either side.
func (k *clock) near(i int) float64 {
	return float64(k.at[(i+quarters-1)%quarters]) + float64(k.at[i]) + float64(k.at[(i+1)%quarters])
}

// habitual reports whether departures come back at this quarter of the day:
// two at least, and on a fifth of the days.
func (k *clock) habitual(i int, nights float64) bool {
	n := k.near(i)
	return k.at[i] > 0 && n >= 2 && n/(nights+1) >= 0.2
}

// survival returns the probability of not leaving within the span, in seconds,
// by a habit of the day, given so many decayed days of watching, and the
// decayed count of departures that the habit explains. A habit that was
// followed within the hour before is over for this time.
func (k *clock) survival(at, last int64, span, nights float64) (stays, explained float64) {
	skip := 0.0
	if at-last < 3600 {
		skip = min(span, float64(last+3600-at))
	}
	var logStays float64
	for i := range k.at {
		if !k.habitual(i, nights) {
			continue
		}
		explained += float64(k.at[i])
		p := min(0.98, float64(k.at[i])/(nights+0.5))
		begin := float64((int64(i)*900 - at%secondsPerDay + secondsPerDay) % secondsPerDay)
		logStays += (passes(begin, span) - passes(begin, skip)) * math.Log1p(-p)
	}
	return math.Exp(logStays), explained
}

// passes returns how many times the next seconds pass a quarter of an hour
// that begins in begin seconds and comes back every day.
func passes(begin, span float64) float64 {
	whole := math.Floor(span / secondsPerDay)
	rest := span - whole*secondsPerDay
	running := max(0, min(rest, begin+900-secondsPerDay)) // it may run now
	return whole + (running+max(0, min(rest-begin, 900)))/900
}
