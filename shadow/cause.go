package shadow

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Explainer is a model that can be asked what it would say if something had not
// been. What a cause taught the model's weights, if it has any, stays: left out
// is what the model sees, not what it learnt.
type Explainer interface {
	// Causes returns what may have moved the forecast of a setting.
	Causes(r *penumbra.Resource, path string, at time.Time) []Cause
	// ForecastWithout returns the probability of leaving within each of
	// [penumbra.Horizons] as if none of the causes had been; with no causes, what
	// Forecast says.
	ForecastWithout(r *penumbra.Resource, path string, at time.Time, causes ...Cause) [len(penumbra.Horizons)]float64
	// Evidence returns what stands beside a verdict on a setting that has the
	// value.
	Evidence(r *penumbra.Resource, path string, at time.Time, value penumbra.Value) Evidence
}

// Explained is a model whose forecasts are another's, which explains them.
type Explained interface {
	Explainer() Explainer
}

var _ Explainer = (*Pooled)(nil)

// Cause is one thing that may have moved a forecast. Which fields are set
// depends on the kind.
type Cause struct {
	Kind penumbra.InfluenceKind
	// Moves are the changes or departures that it is made of, oldest first, as
	// far as they are remembered one by one.
	Moves []Move
	// Count is how many there are, remembered or not; of what decays, the decayed
	// number.
	Count float64
	// Of is how many there could have been: the peers, or the members of a folder.
	Of int
	// Last is the time of the last one, the zero time if that is not known.
	Last time.Time
	// Every is the mean time between the setting's own changes, 0 unless it had
	// two or more; Hour the time of day of a daily habit: "02:00 UTC".
	Every time.Duration
	Hour  string
	// Value is the newer value in the fleet.
	Value penumbra.Value
	// Rate is the number of changes a year of a setting of the class, Usual the
	// same of any setting of the estate.
	Rate, Usual float64
	// Leaves reports that departures are what is counted and forecast.
	Leaves bool

	moves []moving
}

// Only returns the cause that is one of the moves alone.
func (c *Cause) Only(i int) Cause {
	return Cause{Moves: c.Moves[i : i+1], Count: 1, Of: c.Of, Last: c.Moves[i].Time, moves: c.moves[i : i+1]}
}

// Move is one change or departure, as far as it is remembered.
type Move struct {
	Time      time.Time
	Resource  penumbra.Address // "" if it has ended since
	Path      string           // "" if it is another one of the class
	To        penumbra.Value   // unknown if the value is not remembered
	Actor     string
	By        penumbra.ActorKind
	Departure bool
}

// waveSpan is how long ago, in seconds, a peer's move still is of the wave: not
// a seventh of what it excited is left by then.
const waveSpan = 14 * secondsPerDay

// Causes implements [Explainer].
func (p *Pooled) Causes(r *penumbra.Resource, path string, at time.Time) []Cause {
	x := p.imagine(r, path, at)
	var out []Cause
	add := func(c Cause, ok bool) {
		if ok {
			out = append(out, c)
		}
	}
	x.own(add)
	add(x.departures())
	x.around(add)
	add(x.newer())
	add(x.rate())
	return x.actors(out)
}

// mostActors bounds the actors who are left out one by one.
const mostActors = 3

// actors adds what each actor did, if that is of more than one of the causes.
func (x *imagined) actors(causes []Cause) []Cause {
	type deeds struct {
		actor  uint32
		moves  []moving
		causes int
	}
	var all []deeds
	for i := range causes {
		for _, m := range causes[i].moves {
			k := slices.IndexFunc(all, func(d deeds) bool { return d.actor == m.actor })
			if k < 0 {
				k, all = len(all), append(all, deeds{actor: m.actor, causes: 1 << i})
			}
			if d := &all[k]; !slices.Contains(d.moves, m) {
				d.moves = append(d.moves, m)
				d.causes |= 1 << i
			}
		}
	}
	slices.SortStableFunc(all, func(a, b deeds) int { return cmp.Compare(len(b.moves), len(a.moves)) })
	n := 0
	for _, d := range all {
		if d.actor != 0 && d.causes&(d.causes-1) != 0 && n < mostActors {
			causes = append(causes, x.moved(penumbra.ActorChanges, d.moves))
			n++
		}
	}
	return causes
}

// moved makes a cause of moves.
func (x *imagined) moved(kind penumbra.InfluenceKind, moves []moving) Cause {
	slices.SortStableFunc(moves, func(a, b moving) int { return cmp.Compare(a.time, b.time) })
	c := Cause{Kind: kind, moves: moves, Count: float64(len(moves))}
	for _, m := range moves {
		c.Moves = append(c.Moves, x.describe(m))
		c.Last = time.Unix(m.time, 0).UTC()
	}
	return c
}

func (x *imagined) describe(m moving) Move {
	out := Move{Time: time.Unix(m.time, 0).UTC(), To: penumbra.Unknown(), Actor: x.p.nameOf(m.actor), By: m.by, Departure: m.departure}
	class := &x.c
	if r := x.p.numberedAs(m.resource); r != nil {
		out.Resource = r.address
		if s := r.settingOf(m.path); s != nil {
			out.Path, class = s.path, s.class
		}
	}
	if v, ok := class.valueOf(m.to); ok {
		out.To = v
	}
	return out
}

// numberedAs returns the live resource that has the number, nil if none has.
func (p *Pooled) numberedAs(number uint32) *resource {
	if number == 0 || int(number) > len(p.numbered) {
		return nil
	}
	return p.numbered[number-1]
}

// valueOf returns the value with the hash, if the class still has it.
func (c *class) valueOf(hash uint32) (penumbra.Value, bool) {
	for i := range c.values {
		if hashText(c.values[i].value.Text()) == hash {
			return c.values[i].value, true
		}
	}
	for _, a := range [...]*arrived{&c.latest, &c.before, &c.gone} {
		if a.time != 0 && hashText(a.value.Text()) == hash {
			return a.value, true
		}
	}
	return penumbra.Value{}, false
}

// own finds the setting's own changes.
func (x *imagined) own(add func(Cause, bool)) {
	var moves []moving
	for _, m := range x.h.moves {
		if !m.departure && m.time <= x.at {
			moves = append(moves, m)
		}
	}
	a := &x.h.recent
	if len(moves) > 0 {
		add(x.moved(penumbra.OwnChange, moves[len(moves)-1:]), true)
	}
	if a.n < 2 {
		return
	}
	c := x.moved(penumbra.OwnChanges, moves)
	c.Count = float64(a.n)
	c.Last = time.Unix(a.at, 0).UTC()
	c.Every = time.Duration(float64(a.at-a.first)/float64(a.n-1)) * time.Second
	add(c, true)
}

// departures finds how often, and at which time of day, the setting left.
func (x *imagined) departures() (Cause, bool) {
	h := &x.h
	if len(h.left) == 0 {
		return Cause{}, false
	}
	var moves []moving
	for _, m := range h.moves {
		if m.departure {
			moves = append(moves, m)
		}
	}
	c := x.moved(penumbra.OwnDepartures, moves)
	c.Count = float64(len(h.left))
	c.Last = time.Unix(h.left[len(h.left)-1], 0).UTC()
	if o := x.outlook(); o.clock != nil {
		c.Kind, c.Hour = penumbra.DailyHabit, o.clock.hour()
	}
	return c, true
}

// around finds what moved near the setting of late: its resource, its peers,
// their copies in other environments, its folder.
func (x *imagined) around(add func(Cause, bool)) {
	var peers, siblings []moving
	for _, m := range x.c.recent {
		if m.resource == x.r.number || x.at-m.time > waveSpan || m.time > x.at {
			continue
		}
		if r := x.p.numberedAs(m.resource); r != nil && r.family == x.r.family {
			siblings = append(siblings, m)
		} else {
			peers = append(peers, m)
		}
	}
	c := x.moved(penumbra.PeerWave, peers)
	c.Of = max(0, int(math.Round(x.c.members))-1)
	add(c, len(peers) > 0)
	add(x.moved(penumbra.SiblingMove, siblings), len(siblings) > 0)

	var beside []moving
	for i := range x.r.settings {
		s := &x.r.settings[i]
		if s.path == x.path || s.history == nil {
			continue
		}
		for _, m := range s.history.moves {
			if !m.departure && x.at-m.time <= waveSpan && m.time <= x.at {
				beside = append(beside, m)
			}
		}
	}
	own := x.h.recent.as(x.at)
	all := x.r.own.as(x.at)
	c = x.moved(penumbra.ResourceChanges, beside)
	c.Count, c.Of = float64(all.month-own.month), max(0, len(x.r.settings)-1)
	add(c, all.n-own.n >= 0.5)

	f := &x.folder
	c = Cause{Kind: penumbra.FolderActivity, Count: f.month - float64(all.month), Of: int(math.Round(f.members)) - len(x.r.settings)}
	if f.swept != 0 {
		c.Last = time.Unix(f.swept, 0).UTC()
	}
	add(c, c.Count > 0.05 && c.Of > 0)
}

// newer finds a value that the fleet went to after the setting got its own.
func (x *imagined) newer() (Cause, bool) {
	c := &x.c
	if x.s.seen == 0 || c.latest.time == 0 || c.latest.value == x.s.actual || c.latest.time <= max(x.s.since.unix(), x.h.recent.at) {
		return Cause{}, false
	}
	return Cause{Kind: penumbra.NewerValue, Count: 1, Value: c.latest.value, Last: time.Unix(c.latest.time, 0).UTC()}, true
}

// rate finds how often such settings change, or leave, against any.
func (x *imagined) rate() (Cause, bool) {
	const year = 365
	own, all := x.p.rates(&x.c, x.at), x.p.estateRates(x.at)
	c := Cause{Kind: penumbra.FleetRate, Of: int(math.Round(x.c.members)), Count: x.c.changes, Rate: own.change * year, Usual: all.change * year}
	if o := x.outlook(); !o.changes {
		c.Leaves = true
		c.Count, c.Rate, c.Usual = x.c.leaves, own.leave*year, all.leave*year
	}
	return c, true
}

// Evidence is what stands beside a verdict on a setting that has a value.
type Evidence struct {
	// Known reports that the model knows the setting.
	Known bool
	// Habits is how often automation took it away and brought it back, and Hour
	// the time of day of most departures, "" if they have none in common.
	Habits int
	Hour   string
	// Same are the moves of peers to the same value, oldest first, Holders how
	// many peers have it as their normal value, and Peers how many there are.
	Same    []Move
	Holders int
	Peers   int
	// From is what it left; After and Found are the last look without its
	// present excursion and the first with it, zero if there is none.
	From         penumbra.Value
	After, Found time.Time
	// Chance is the probability of leaving at all within a span as that between
	// After and Found, by all that is known but this departure, if Began: it was
	// seen to begin.
	Began  bool
	Chance float64
}

// Evidence implements [Explainer].
func (p *Pooled) Evidence(r *penumbra.Resource, path string, at time.Time, value penumbra.Value) Evidence {
	x := p.imagine(r, path, at)
	e := Evidence{Known: x.seen != nil, Peers: max(0, int(math.Round(x.c.members))-1)}
	to := hashText(value.Text())
	for _, m := range x.c.recent {
		if m.to == to && m.resource != x.r.number && m.time <= x.at {
			e.Same = append(e.Same, x.describe(m))
		}
	}
	for i := range x.c.values {
		if v := &x.c.values[i]; v.value == value {
			e.Holders = int(math.Round(v.holders))
			if x.h.open == nil && x.s.actual == value {
				e.Holders = max(0, e.Holders-1)
			}
		}
	}
	if x.h.habit != nil {
		e.Habits = x.h.habit.completed
	}
	if o := x.outlook(); o.clock != nil {
		e.Hour = o.clock.hour()
	}
	if open := x.h.open; open != nil {
		x.excursion(&e, open)
	}
	return e
}

func (x *imagined) excursion(e *Evidence, open *excursion) {
	e.From, e.Found = open.from, time.Unix(open.found, 0).UTC()
	if open.after == 0 {
		return
	}
	e.After = time.Unix(open.after, 0).UTC()
	i := slices.IndexFunc(x.h.moves, func(m moving) bool { return m.departure && m.time == open.found })
	if i < 0 {
		return
	}
	x.omit(x.h.moves[i])
	x.settle()
	o := x.outlook()
	e.Began, e.Chance = true, o.leaving(e.Found.Sub(e.After))
}
