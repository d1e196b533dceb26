package explain

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
)

// words puts things as a person would, as of a time.
type words struct {
	at     time.Time
	leaves bool // what is forecast is leaving the template, not any change
	hidden bool // values are not to be told
}

// tellable is the least effect, in log odds, that a sentence tells of: a chance
// of 10 % that would else be 8 %.
const tellable = 0.25

// theme groups the kinds of influence of which a sentence names one: one is part
// of the other, or says the same. An actor has no theme: who it was is told with
// what was done.
var theme = map[penumbra.InfluenceKind]int{
	penumbra.OwnChange: 1, penumbra.OwnChanges: 1, penumbra.OwnDepartures: 2, penumbra.DailyHabit: 2,
	penumbra.ResourceChanges: 3, penumbra.PeerWave: 4, penumbra.NewerValue: 4, penumbra.SiblingMove: 5,
	penumbra.FolderActivity: 6, penumbra.FleetRate: 7,
}

// forecast tells how likely the setting leaves, and the two strongest reasons.
func (w words) forecast(e *penumbra.Explanation) string {
	p := e.Leave[e.Horizon]
	head := percent(p) + " to " + w.verb() + " within " + long(penumbra.Horizons[e.Horizon])
	var raising, holding []*penumbra.Influence
	told := map[int]bool{}
	for i := range e.Influences {
		x := &e.Influences[i]
		switch t := theme[x.Kind]; {
		case math.Abs(x.Effect) < tellable || told[t] || t == 0:
			continue
		case x.Effect > 0:
			raising = append(raising, x)
			told[t] = true
		default:
			holding = append(holding, x)
			told[t] = true
		}
	}
	without := func(x *penumbra.Influence) string { return x.Text + " (" + percent(x.Without[e.Horizon]) + " without)" }
	switch {
	case len(raising) >= 2:
		return head + ", mostly because " + without(raising[0]) + ", and because " + without(raising[1]) + "."
	case len(raising) == 1 && len(holding) > 0 && -holding[0].Effect > raising[0].Effect:
		return head + ", although " + without(raising[0]) + ": " + without(holding[0]) + "."
	case len(raising) == 1:
		return head + ", because " + without(raising[0]) + "."
	case len(holding) > 0:
		return head + ", as low as that because " + without(holding[0]) + "."
	}
	for i := range e.Influences {
		if x := &e.Influences[i]; x.Kind == penumbra.FleetRate {
			return head + ": nothing moves it much; " + x.Text + "."
		}
	}
	return head + "."
}

func (w words) verb() string {
	if w.leaves {
		return "leave its template"
	}
	return "change"
}

// cause puts a cause into words that go on after "because".
func (w words) cause(c *shadow.Cause) string {
	switch c.Kind {
	case penumbra.OwnChange:
		return w.ownChange(c)
	case penumbra.OwnChanges:
		return "it changes about every " + long(c.Every) + w.mostly(c.Moves)
	case penumbra.OwnDepartures:
		return "it left " + times(int(c.Count)) + ", last " + w.ago(c.Last) + w.mostly(c.Moves)
	case penumbra.DailyHabit:
		return "it leaves again and again about " + c.Hour + w.mostly(c.Moves)
	case penumbra.ResourceChanges:
		return w.resource(c)
	case penumbra.PeerWave:
		return w.wave(c)
	case penumbra.SiblingMove:
		m := &c.Moves[len(c.Moves)-1]
		return "its copy " + string(m.Resource) + w.went(m) + w.ago(m.Time) + w.by(m.Actor, m.By)
	case penumbra.FolderActivity:
		if c.Last.IsZero() {
			return "what is beside it changes"
		}
		return "what is beside it changes, last " + w.ago(c.Last)
	case penumbra.NewerValue:
		return "the fleet went on to " + w.value(c.Value) + " " + w.ago(c.Last)
	case penumbra.ActorChanges:
		a := actorsOf(c.Moves)[0]
		return a.name + kind(a.kind) + " changed this and things near it " + times(len(c.Moves)) + ", last " + w.ago(c.Last)
	default:
		return w.rate(c)
	}
}

func (w words) ownChange(c *shadow.Cause) string {
	m := &c.Moves[0]
	if m.Actor == "" {
		return "it changed " + w.ago(m.Time)
	}
	return m.Actor + kind(m.By) + " changed it " + w.ago(m.Time)
}

// mostly names who makes most of the moves.
func (w words) mostly(moves []shadow.Move) string {
	actors := actorsOf(moves)
	if len(actors) == 0 || 2*actors[0].n <= len(moves) {
		return ""
	}
	if actors[0].n == len(moves) {
		return w.by(actors[0].name, actors[0].kind)
	}
	return ", mostly" + w.by(actors[0].name, actors[0].kind)[1:]
}

func (w words) resource(c *shadow.Cause) string {
	if len(c.Moves) == 0 {
		return "other settings of its resource change"
	}
	paths := map[string]bool{}
	for _, m := range c.Moves {
		paths[m.Path] = true
	}
	last := &c.Moves[len(c.Moves)-1]
	if len(paths) == 1 {
		return last.Path + " of the same resource changed " + w.ago(last.Time) + w.by(last.Actor, last.By)
	}
	return fmt.Sprintf("%d other settings of its resource changed, last %s %s", len(paths), last.Path, w.ago(last.Time)) + w.by(last.Actor, last.By)
}

// wave tells how many peers moved, where to and since when: of those that went to
// one value if most did, else of all.
func (w words) wave(c *shadow.Cause) string {
	to := map[penumbra.Value]int{}
	var most penumbra.Value
	for i := range c.Moves {
		if v := c.Moves[i].To; v.Kind() != penumbra.UnknownKind {
			if to[v]++; to[v] >= to[most] {
				most = v
			}
		}
	}
	moves := c.Moves
	alike := 2*to[most] > len(moves)
	if alike {
		moves = slices.DeleteFunc(slices.Clone(moves), func(m shadow.Move) bool { return m.To != most })
	}
	moved := map[penumbra.Address]bool{}
	left := 0
	for _, m := range moves {
		moved[m.Resource] = true
		if m.Departure {
			left++
		}
	}
	what, toward := " changed", " to "
	if 2*left > len(moves) {
		what, toward = " left", " for "
	}
	if alike {
		what += toward + w.value(most)
	}
	since := max(time.Minute, w.at.Sub(moves[0].Time))
	return fmt.Sprintf("%d of %s%s in the last %s", len(moved), peers(max(c.Of, len(moved))), what, long(since)) + w.mostly(moves)
}

// rate compares how often such settings move with how often any does.
func (w words) rate(c *shadow.Cause) string {
	often := "such settings change about " + perYear(c.Rate)
	if w.leaves {
		often = "such settings leave their templates about " + perYear(c.Rate)
	}
	switch ratio := c.Rate / math.Max(1e-12, c.Usual); {
	case ratio >= 1.5:
		return often + ", " + factor(ratio) + " times as often as others"
	case ratio <= 0.67:
		return often + ", " + factor(1/ratio) + " times as seldom as others"
	}
	return often + ", as others do"
}

func perYear(rate float64) string {
	switch {
	case rate >= 1.5:
		return factor(rate) + " times a year"
	case rate >= 0.67:
		return "once a year"
	case rate > 0.001:
		return "once in " + factor(1/rate) + " years"
	}
	return "never"
}

func factor(x float64) string {
	if x < 9.5 {
		return strconv.FormatFloat(x, 'g', 1, 64)
	}
	return strconv.FormatFloat(round2(x), 'f', 0, 64)
}

// round2 rounds to two digits.
func round2(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x))-1)
	return math.Round(x/unit) * unit
}

func (w words) went(m *shadow.Move) string {
	what, toward := " changed ", "to "
	if m.Departure {
		what, toward = " left ", "for "
	}
	if m.To.Kind() != penumbra.UnknownKind {
		what += toward + w.value(m.To) + " "
	}
	return what
}

func (w words) by(name string, by penumbra.ActorKind) string {
	if name == "" {
		return ""
	}
	return ", by " + name + kind(by)
}

// kind says what an actor is where the name alone may not: a person needs none.
func kind(k penumbra.ActorKind) string {
	if k == penumbra.Automation {
		return " (automation)"
	}
	return ""
}

func (w words) ago(t time.Time) string {
	if d := w.at.Sub(t); d >= time.Minute {
		return long(d) + " ago"
	}
	return "just now"
}

// long writes a span in the largest unit of which there are two, or in which it
// is whole.
func long(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range [...]struct {
		of   time.Duration
		name string
	}{{365 * day, "year"}, {30 * day, "month"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		switch n := int(math.Round(float64(d) / float64(unit.of))); {
		case d >= 2*unit.of-unit.of/20 && (d > 30*day || unit.of <= day):
			return strconv.Itoa(n) + " " + unit.name + "s"
		case n == 1 && unit.of <= day && d >= unit.of*9/10 && d <= unit.of*11/10:
			return "1 " + unit.name
		}
	}
	return "1 minute"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func peers(n int) string {
	if n == 1 {
		return "1 peer"
	}
	return strconv.Itoa(n) + " peers"
}

// percent rounds for a person, and never to certainty.
func percent(p float64) string {
	switch {
	case p < 0.001:
		return "under 0.1 %"
	case p < 0.01:
		return strconv.FormatFloat(100*p, 'f', 1, 64) + " %"
	case p > 0.99:
		return "over 99 %"
	}
	return strconv.FormatFloat(100*p, 'f', 0, 64) + " %"
}

// value returns the value as a person would read it, cut to 40 characters.
func (w words) value(v penumbra.Value) string {
	if w.hidden && !v.IsNull() {
		return "another value"
	}
	s := v.String()
	if utf8.RuneCountInString(s) <= 40 {
		return s
	}
	return string([]rune(s)[:39]) + "…"
}
