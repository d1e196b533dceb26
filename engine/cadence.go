package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Cadence is how often the resources that it matches are read.
type Cadence struct {
	// Pattern is what the rule says, as it is shown.
	Pattern string
	Match   func(address penumbra.Address, typ string) bool
	Every   time.Duration
}

// A Targeted source can read single resources of its stack.
type Targeted interface {
	Source
	// ReadSome is [Source.Read] of the resources listed. It may return others too.
	// One that is listed and not returned is not there any more, or has another
	// address: that is for a read of the whole to find out.
	ReadSome(ctx context.Context, addresses []penumbra.Address) ([]penumbra.Observation, error)
}

// request is what is asked of a source: all that it reads, or some resources; the
// zero request asks for nothing.
type request struct {
	all  bool
	some []penumbra.Address // sorted
	// here says that this process has to see it: what has just been applied, say.
	here bool
}

func (q request) isNothing() bool { return !q.all && len(q.some) == 0 }

// has reports whether a resource is asked for.
func (q request) has(a penumbra.Address) bool {
	if q.all {
		return true
	}
	_, found := slices.BinarySearch(q.some, a)
	return found
}

// with returns what is asked for by either.
func (q request) with(other request) request {
	if q.all || other.all {
		return request{all: true}
	}
	some := slices.Concat(q.some, other.some)
	slices.Sort(some)
	return request{some: slices.Compact(some)}
}

// agenda says what of a source is due when. Its times are of the machine's clock,
// as those of timers are. It is guarded by the source's mu.
type agenda struct {
	every    time.Duration // of what no rule matches
	gap      time.Duration
	jitter   float64
	rules    []Cadence
	targeted bool // single resources can be read
	// closer has the periods of resources that are read more often for a time.
	closer map[penumbra.Address]time.Duration

	kept    bool      // somebody reads by it
	whole   time.Time // when all of it is due
	entries map[penumbra.Address]*entry
	// again is what a read that failed for a passing reason asked for, tried once
	// more at retry.
	again request
	retry time.Time
}

// entry is a resource of a source that has rules, or of which some are read more
// often for a time.
type entry struct {
	every time.Duration
	rule  int // -1 if none matches
	due   time.Time
}

func (a *agenda) entry(o *penumbra.Observation) *entry {
	x := &entry{rule: -1}
	for i := range a.rules {
		if a.rules[i].Match(o.Resource, o.Type) {
			x.rule = i
			break
		}
	}
	x.every = a.period(o.Resource, x.rule)
	return x
}

// period returns how often a resource that a rule matches is read, -1 for none.
func (a *agenda) period(address penumbra.Address, rule int) time.Duration {
	every := a.every
	if rule >= 0 {
		every = a.rules[rule].Every
	}
	if closer, ok := a.closer[address]; ok {
		every = min(every, closer)
	}
	return every
}

// isFine reports whether resources have periods of their own.
func (a *agenda) isFine() bool { return len(a.rules)+len(a.closer) > 0 }

// attend has resources read more often from a time on, and no others. It reports
// whether something is due sooner than it was.
func (a *agenda) attend(closer map[penumbra.Address]time.Duration, at time.Time) bool {
	before := a.next()
	a.closer = closer
	if !a.isFine() {
		a.entries = nil
		return false
	}
	for address, x := range a.entries {
		if every := a.period(address, x.rule); every != x.every {
			x.every, x.due = every, earlier(x.due, at.Add(every))
		}
	}
	for address := range closer {
		if a.entries[address] == nil {
			a.whole = earlier(a.whole, at) // what is to be read, and what its type is, is known then
		}
	}
	if !a.targeted {
		a.whole = earlier(a.whole, at.Add(a.wholeEvery()))
	}
	return a.next().Before(before)
}

// wholeEvery is the period at which all is read. A source that reads single
// resources reads the whole as often as the least frequent of them wants, to find
// what is new; any other as often as the most frequent one.
func (a *agenda) wholeEvery() time.Duration {
	period := time.Duration(0)
	for _, x := range a.entries {
		if period == 0 || a.targeted == (x.every > period) {
			period = x.every
		}
	}
	if period == 0 {
		return a.every
	}
	return period
}

// spread returns a factor for all periods that begin with one read: what was read
// together stays together, and stacks do not fall into step.
func (a *agenda) spread() float64 { return 1 + a.jitter*(2*rand.Float64()-1) }

func after(at time.Time, period time.Duration, factor float64) time.Time {
	return at.Add(time.Duration(float64(period) * factor))
}

// done notes what a read that ended at a time found.
func (a *agenda) done(ask request, read []penumbra.Observation, at time.Time) {
	a.again, a.retry = request{}, time.Time{}
	factor := a.spread()
	if a.isFine() {
		if a.entries == nil {
			a.entries = map[penumbra.Address]*entry{}
		}
		found := make(map[penumbra.Address]*entry, len(a.entries))
		for i := range read {
			o := &read[i]
			x := found[o.Resource]
			if x == nil {
				if x = a.entries[o.Resource]; x == nil {
					x = a.entry(o)
				}
				found[o.Resource] = x
			}
			x.due = after(at, x.every, factor)
		}
		if ask.all {
			a.entries = found
		} else {
			for address, x := range found {
				a.entries[address] = x
			}
			for _, address := range ask.some {
				if found[address] == nil {
					delete(a.entries, address)
					a.whole = at // to find what became of it
				}
			}
		}
	}
	if ask.all {
		a.whole = after(at, a.wholeEvery(), factor)
	}
}

// failed puts off what a read that ended at a time did not bring. It is not due
// before its time: what does not pass by itself is not tried again at once.
func (a *agenda) failed(ask request, at time.Time) {
	factor := a.spread()
	for address, x := range a.entries {
		if ask.has(address) {
			x.due = after(at, x.every, factor)
		}
	}
	if ask.all {
		a.whole = after(at, a.wholeEvery(), factor)
	}
}

// slack is how much too early something of a period may be read, to go along with
// what is due: what jitter may do anyway, and what would have to wait for the
// budget.
func (a *agenda) slack(period time.Duration) time.Duration {
	return max(time.Duration(a.jitter*float64(period)), min(a.gap, period/2))
}

// due returns what is to be read at a time: nothing if nothing is due, otherwise
// what is, with what falls due soon after.
func (a *agenda) due(at time.Time) request {
	if a.next().After(at) {
		return request{}
	}
	ask := a.again
	if !a.targeted || len(a.entries) == 0 || a.whole.Before(at.Add(a.slack(a.wholeEvery()))) {
		return request{all: true}
	}
	var some []penumbra.Address
	for address, x := range a.entries {
		if !x.due.After(at.Add(a.slack(x.every))) {
			some = append(some, address)
		}
	}
	ask = ask.with(request{some: some})
	if len(ask.some) >= len(a.entries) {
		return request{all: true}
	}
	return ask
}

// next returns when something is due.
func (a *agenda) next() time.Time {
	next := a.whole
	if a.targeted {
		for _, x := range a.entries {
			next = earlier(next, x.due)
		}
	}
	if !a.again.isNothing() {
		next = earlier(next, a.retry)
	}
	return next
}

// nextOf returns when a resource is due.
func (a *agenda) nextOf(address penumbra.Address) time.Time {
	next := a.whole
	if x := a.entries[address]; x != nil && a.targeted {
		next = earlier(next, x.due)
	}
	if !a.again.isNothing() && a.again.has(address) {
		next = earlier(next, a.retry)
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// status sums up the resources by rule, those that none matches last.
func (a *agenda) status(shown func(time.Time) time.Time) []penumbra.CadenceStatus {
	if len(a.rules) == 0 {
		return nil
	}
	out := make([]penumbra.CadenceStatus, len(a.rules)+1)
	for i, rule := range a.rules {
		out[i].Match, out[i].Every = rule.Pattern, rule.Every
	}
	out[len(a.rules)].Every = a.every
	for address, x := range a.entries {
		i := x.rule
		if i < 0 {
			i = len(a.rules)
		}
		s := &out[i]
		s.Resources++
		if next := shown(a.nextOf(address)); s.NextRead.IsZero() || next.Before(s.NextRead) {
			s.NextRead = next
		}
	}
	return out
}
