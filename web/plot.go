package web

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// plot is what assets/chart.js draws on one axis of time: the history of one
// setting with what was expected of it, and the resource's metrics below it. Of a
// number, the values themselves; of anything else, the lane of each value. Times
// are Unix seconds. A null in a series is a gap.
type plot struct {
	From  float64 `json:"from"` // of the axis
	Now   float64 `json:"now"`
	Until float64 `json:"until"` // of the axis: what is held of the time ahead ends there

	Path     string     `json:"path"`
	Numeric  bool       `json:"numeric"`
	Lanes    []string   `json:"lanes"` // labels, the first at the bottom
	Times    []float64  `json:"times"`
	Actual   []*float64 `json:"actual"`
	Template []*float64 `json:"template"`
	// Held is what was and is expected, each from a time to another.
	Held       []held  `json:"held"`
	Confidence float64 `json:"confidence"`
	Marks      []mark  `json:"marks"`

	Metrics []panel `json:"metrics"`
}

// held is a range, or a lane with how likely its value is.
type held struct {
	From        float64 `json:"from"`
	To          float64 `json:"to"`
	Low         float64 `json:"low"`
	High        float64 `json:"high"`
	Probability float64 `json:"probability"`
	Ahead       bool    `json:"ahead"`
}

// mark is an event: who did what to the setting.
type mark struct {
	Time  float64 `json:"time"`
	Actor string  `json:"actor"`
	Kind  string  `json:"kind"` // of the actor
	Value string  `json:"value"`
}

// mostLanes bounds the lanes; the values of the rest share the top one.
const mostLanes = 12

// axis is the span of time that is drawn.
type axis struct{ from, now, until time.Time }

// plotOf lays out the history of a setting, and what was held of it, on an axis. It
// is nil if there is nothing to draw.
func plotOf(s *penumbra.SettingView, history []penumbra.HistoryPoint, expected []penumbra.ExpectedPoint, a axis) *plot {
	points := pointsOf(history, s.Path)
	if len(points) == 0 && len(expected) == 0 {
		return nil
	}
	p := &plot{From: unix(a.from), Now: unix(a.now), Until: unix(a.until), Path: s.Path, Numeric: isNumeric(s, points), Confidence: s.Expectation.Confidence}
	at := p.positions(s, points, expected)

	var actual, template *float64
	for _, h := range points {
		value := at(h.Value)
		switch h.Kind {
		case penumbra.TemplateKind:
			template = value
		case penumbra.EventKind:
			p.Marks = append(p.Marks, mark{unix(h.Time), h.Actor, h.ActorKind.String(), shownValue(h.Value, s.Sensitive)})
			if !h.Value.IsNull() { // an event whose log names no value moves nothing
				actual = value
			}
		default:
			actual = value
		}
		p.add(h.Time, actual, template)
	}
	if s.Declared {
		template = at(s.Template)
	}
	p.add(a.now, at(s.Actual), template)
	p.hold(s, expected, at, a)
	return p
}

// pointsOf returns the history of one setting, oldest first.
func pointsOf(history []penumbra.HistoryPoint, path string) []penumbra.HistoryPoint {
	var points []penumbra.HistoryPoint
	for _, h := range history {
		if h.Path == path {
			points = append(points, h)
		}
	}
	slices.SortStableFunc(points, func(a, b penumbra.HistoryPoint) int { return a.Time.Compare(b.Time) })
	return points
}

func (p *plot) add(t time.Time, actual, template *float64) {
	x := unix(t)
	if n := len(p.Times); n > 0 && x <= p.Times[n-1] {
		p.Actual[n-1], p.Template[n-1] = actual, template
		return
	}
	p.Times = append(p.Times, x)
	p.Actual = append(p.Actual, actual)
	p.Template = append(p.Template, template)
}

// hold lays out what was expected from each point to the next. Where nothing is
// known of earlier times, what is held now stands ahead alone.
func (p *plot) hold(s *penumbra.SettingView, expected []penumbra.ExpectedPoint, at func(penumbra.Value) *float64, a axis) {
	if len(expected) == 0 {
		expected = []penumbra.ExpectedPoint{{Time: a.now, Interval: s.Expectation.Interval, Values: s.Expectation.Values, Ahead: true}}
	}
	for i, x := range expected {
		from, to := x.Time, a.until
		if i+1 < len(expected) {
			to = expected[i+1].Time
		} else if !x.Ahead {
			to = a.now
		}
		if to.After(a.until) {
			to = a.until
		}
		if from.Before(a.from) {
			from = a.from
		}
		if !to.After(from) {
			continue
		}
		h := held{From: unix(from), To: unix(to), Probability: 1, Ahead: x.Ahead}
		if p.Numeric && x.Interval != nil {
			h.Low, h.High = x.Interval.Low, x.Interval.High
			p.Held = append(p.Held, h)
			continue
		}
		for _, c := range x.Values {
			if y := at(c.Value); y != nil {
				h.Low, h.High, h.Probability = *y, *y, c.Probability
				p.Held = append(p.Held, h)
			}
		}
	}
}

// positions returns where each value stands on the vertical axis.
func (p *plot) positions(s *penumbra.SettingView, points []penumbra.HistoryPoint, expected []penumbra.ExpectedPoint) func(penumbra.Value) *float64 {
	if p.Numeric {
		return func(v penumbra.Value) *float64 {
			if f, ok := v.Float(); ok {
				return &f
			}
			return nil
		}
	}
	lanes := map[penumbra.Value]float64{}
	lane := func(v penumbra.Value) {
		if _, ok := lanes[v]; ok || v.Kind() == penumbra.UnknownKind {
			return
		}
		n := len(p.Lanes)
		if n == mostLanes {
			lanes[v], p.Lanes[n-1] = mostLanes-1, "other values"
			return
		}
		lanes[v] = float64(n)
		label := shownValue(v, s.Sensitive)
		if v.Kind() == penumbra.SecretKind {
			// Secrets can be told apart and not be read: their order tells enough.
			label = "(sensitive " + string(rune('A'+n)) + ")"
		}
		p.Lanes = append(p.Lanes, label)
	}
	// The template's lane is at the bottom, then the newest values first, so
	// that what is left over is old.
	if s.Declared {
		lane(s.Template)
	}
	lane(s.Actual)
	for _, h := range slices.Backward(points) {
		if h.Kind != penumbra.EventKind || !h.Value.IsNull() {
			lane(h.Value)
		}
	}
	for _, c := range s.Expectation.Values {
		lane(c.Value)
	}
	for _, x := range slices.Backward(expected) {
		for _, c := range x.Values {
			lane(c.Value)
		}
	}
	return func(v penumbra.Value) *float64 {
		if x, ok := lanes[v]; ok {
			return &x
		}
		return nil
	}
}

// isNumeric reports whether every value that the setting ever had is a number.
func isNumeric(s *penumbra.SettingView, points []penumbra.HistoryPoint) bool {
	if s.Sensitive {
		return false
	}
	numbers := 0
	for _, v := range append([]penumbra.Value{s.Actual, s.Template}, values(points)...) {
		switch v.Kind() {
		case penumbra.NumberKind:
			numbers++
		case penumbra.NullKind, penumbra.UnknownKind:
		default:
			return false
		}
	}
	return numbers > 0
}

func values(points []penumbra.HistoryPoint) []penumbra.Value {
	out := make([]penumbra.Value, len(points))
	for i, h := range points {
		out[i] = h.Value
	}
	return out
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
