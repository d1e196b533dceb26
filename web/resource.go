package web

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// resourcePage is one resource with its shadow.
type resourcePage struct {
	View     penumbra.ShadowView
	Settings []penumbra.SettingView // the gravest first
	Shown    *penumbra.SettingView  // whose history is plotted, nil for none
	Odds     []odds                 // of its values
	Why      string                 // what moved its forecast, or led to its verdict
	History  []penumbra.HistoryPoint
	Plot     *plot
	More     int // metrics that are not shown
	Windows  []windowLink
}

// odds is a value and how likely the shadow holds it.
type odds struct {
	Value         string
	Probability   float64
	Actual, Novel bool
}

// windowLink leads to the page with another span of time.
type windowLink struct {
	Name, Address string
	Here          bool
}

// windows are the spans of time that a resource is drawn over.
var windows = []struct {
	name string
	span time.Duration
}{{"6h", 6 * time.Hour}, {"1d", day}, {"7d", 7 * day}, {"30d", 30 * day}, {"all", 0}}

func (s *site) resource(w http.ResponseWriter, r *http.Request, sess session) error {
	address := penumbra.Address(r.URL.Query().Get("address"))
	view, err := s.service.Shadow(r.Context(), address)
	if err != nil {
		return err
	}
	data := resourcePage{View: view, Settings: slices.Clone(view.Settings)}
	slices.SortStableFunc(data.Settings, func(a, b penumbra.SettingView) int {
		return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), cmp.Compare(a.Path, b.Path))
	})
	data.Shown = shownSetting(data.Settings, view.History, r.URL.Query().Get("path"))
	path := ""
	if data.Shown != nil {
		path = data.Shown.Path
	}
	a := data.axis(r, path)
	if shown := data.Shown; shown != nil {
		data.Why = s.why(r, address, path)[path]
		data.Odds = oddsOf(shown)
		// A page does without where none can be had: what is held now is in the view.
		expected, err := s.service.Expected(r.Context(), address, path)
		if err != nil {
			expected = nil
		}
		data.Plot = plotOf(shown, view.History, expected, a)
		data.History = latestFirst(view.History, path)
	}
	panels, more := s.panels(r.Context(), address, a)
	if data.Plot == nil && len(panels) > 0 {
		data.Plot = &plot{From: unix(a.from), Now: unix(a.now), Until: unix(a.until)}
	}
	if data.Plot != nil {
		data.Plot.Metrics, data.More = panels, more
	}
	s.show(w, http.StatusOK, "resource.html", s.frame(r, view.Resource.Address.Local(), sess, &data))
	return nil
}

// axis chooses the span of time to draw: the one asked for; otherwise a day if
// something of it is news, or the least that has three changes of the setting.
func (d *resourcePage) axis(r *http.Request, path string) axis {
	now := d.View.Time
	points := pointsOf(d.View.History, path)
	all := day
	if len(points) > 0 {
		all = max(all, now.Sub(points[0].Time)*21/20)
	}
	chosen := len(windows) - 1
	for i := len(windows) - 2; i >= 0; i-- {
		if n := len(points); n >= 3 && now.Sub(points[n-3].Time) <= windows[i].span {
			chosen = i
		}
	}
	if slices.ContainsFunc(d.View.Drifts, func(x penumbra.Drift) bool { return now.Sub(x.Opened) < day }) {
		chosen = 1
	}
	asked := slices.IndexFunc(windows, func(x struct {
		name string
		span time.Duration
	}) bool {
		return x.name == r.URL.Query().Get("window")
	})
	if asked >= 0 {
		chosen = asked
	}
	for i, x := range windows {
		query := r.URL.Query()
		query.Set("window", x.name)
		d.Windows = append(d.Windows, windowLink{x.name, localURL(r.URL.Path, query) + "#history", i == chosen})
	}
	span := windows[chosen].span
	if span == 0 {
		span = all
	}
	return axis{from: now.Add(-span), now: now, until: now.Add(min(span/4, 7*day))}
}

// oddsOf lists how likely the shadow holds each value, the likeliest first, and the
// actual one whether it is among them or not.
func oddsOf(s *penumbra.SettingView) []odds {
	var out []odds
	held := false
	for _, c := range s.Expectation.Values {
		x := odds{Value: shownValue(c.Value, s.Sensitive), Probability: c.Probability, Actual: c.Value.Agrees(s.Actual)}
		held = held || x.Actual
		out = append(out, x)
	}
	if s.Expectation.NovelProbability > 0 {
		out = append(out, odds{Value: "something new", Probability: s.Expectation.NovelProbability, Novel: true})
	}
	if !held && len(out) > 0 && s.Expectation.Interval == nil {
		out = append(out, odds{Value: shownValue(s.Actual, s.Sensitive), Actual: true})
	}
	return out
}

// shownSetting is the one asked for; otherwise the gravest that changed, and if
// none did the gravest.
func shownSetting(settings []penumbra.SettingView, history []penumbra.HistoryPoint, asked string) *penumbra.SettingView {
	points := map[string]int{}
	for _, h := range history {
		points[h.Path]++
	}
	best := -1
	for i := range settings {
		if settings[i].Path == asked {
			return &settings[i]
		}
		if best < 0 || settings[i].Verdict == settings[best].Verdict && points[settings[i].Path] > points[settings[best].Path] {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return &settings[best]
}

// shownHistory is how much of a history is listed below its plot.
const shownHistory = 100

func latestFirst(history []penumbra.HistoryPoint, path string) []penumbra.HistoryPoint {
	var out []penumbra.HistoryPoint
	for _, h := range slices.Backward(history) {
		if h.Path == path && len(out) < shownHistory {
			out = append(out, h)
		}
	}
	return out
}
