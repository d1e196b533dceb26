package web

import (
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// plot is what assets/history.js draws: the history of one setting. Of a
// number, the values themselves; of anything else, the lane of each value.
// Times are Unix seconds. A null in a series is a gap.
type plot struct {
	Numeric  bool       `json:"numeric"`
	Lanes    []string   `json:"lanes"` // labels, the first at the bottom
	Times    []float64  `json:"times"`
	Actual   []*float64 `json:"actual"`
	Template []*float64 `json:"template"`
	// Band is the range expected now, Expected the lanes that are.
	Band       *[2]float64 `json:"band"`
	Expected   []int       `json:"expected"`
	Confidence float64     `json:"confidence"`
	Marks      []mark      `json:"marks"`
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

// plotOf lays out the history of a setting up to now. It is nil if there is
// nothing to draw.
func plotOf(s *penumbra.SettingView, history []penumbra.HistoryPoint, now time.Time) *plot {
	var points []penumbra.HistoryPoint
	for _, h := range history {
		if h.Path == s.Path {
			points = append(points, h)
		}
	}
	slices.SortStableFunc(points, func(a, b penumbra.HistoryPoint) int { return a.Time.Compare(b.Time) })
	if len(points) == 0 {
		return nil
	}
	p := &plot{Numeric: isNumeric(s, points), Confidence: s.Expectation.Confidence}
	at := p.positions(s, points)

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
	p.add(now, at(s.Actual), template)
	p.expect(s, at)
	return p
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

// expect adds what the shadow holds now.
func (p *plot) expect(s *penumbra.SettingView, at func(penumbra.Value) *float64) {
	if p.Numeric {
		if i := s.Expectation.Interval; i != nil {
			p.Band = &[2]float64{i.Low, i.High}
		}
		return
	}
	for _, c := range s.Expectation.Values {
		if lane := at(c.Value); lane != nil && !slices.Contains(p.Expected, int(*lane)) {
			p.Expected = append(p.Expected, int(*lane))
		}
	}
}

// positions returns where each value stands on the vertical axis.
func (p *plot) positions(s *penumbra.SettingView, points []penumbra.HistoryPoint) func(penumbra.Value) *float64 {
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
