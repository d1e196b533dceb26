package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// overviewDrifts and overviewAnomalies keep the first page short whatever
	// there is: the pages of their own have the rest.
	overviewDrifts    = 12
	overviewAnomalies = 8
	// overviewChanged bounds what is told of what changed since the last visit.
	overviewChanged = 200
)

// overview is the first page.
type overview struct {
	Status     penumbra.Status
	Verdicts   []verdictCount
	NotChecked int
	Pressing   *penumbra.Drift // the one to look at first, nil if none drifted
	Drifting   int
	Groups     []causeGroup
	More       int // drifts that are not shown
	Impending  []penumbra.Drift
	Tolerated  int
	Snoozed    int
	Failing    []failingSource
	Freezes    []penumbra.Freeze  // that hold or are to come
	Anomalies  []penumbra.Anomaly // that go on, the worse first
	Since      *since
}

// verdictCount is one part of the bar of verdicts, in percent of its width.
type verdictCount struct {
	Verdict      penumbra.Verdict
	Count        int
	Start, Width float64
}

// failingSource is something that could not be read last time.
type failingSource struct {
	Name, Error string
	Failures    int
	Last        time.Time // of a read that succeeded
}

// since is what became of things since the last visit.
type since struct {
	Time     time.Time
	Opened   []penumbra.Drift // active ones, the most pressing first
	Resolved []penumbra.Drift
	Runs     []penumbra.Run
	AtLeast  bool // there may be more
}

func (s *site) overview(w http.ResponseWriter, r *http.Request, sess session) error {
	status, err := s.service.Status(r.Context())
	if err != nil {
		return err
	}
	open, err := s.service.FindDrifts(r.Context(), going(openVerdicts, overviewDrifts+1))
	if err != nil {
		return err
	}
	impending, err := s.service.FindDrifts(r.Context(), going(impendingVerdicts, overviewDrifts))
	if err != nil {
		return err
	}
	data := overview{
		Status: status, Verdicts: countVerdicts(status.Verdicts), NotChecked: status.Verdicts[penumbra.NotChecked], Failing: failing(&status),
		Drifting: open.Found, Impending: impending.Drifts, Tolerated: counted(facetsOf(&open), quietVerdicts), Snoozed: facetsOf(&open).Snoozed,
	}
	rest, left := open.Drifts, open.Found
	if len(open.Drifts) > 0 {
		data.Pressing = &open.Drifts[0]
		if data.Pressing.Critical || data.Pressing.Hazardous() {
			rest, left = rest[1:], left-1 // it stands above them
		}
	}
	shown := rest[:min(overviewDrifts, len(rest))]
	data.Groups, data.More = byCause(shown), left-len(shown)
	anomalies := worseFirst(s.anomalies(r.Context(), penumbra.AnomalyQuery{Active: true, Limit: shownAnomalies}))
	data.Anomalies = anomalies[:min(overviewAnomalies, len(anomalies))]
	freezes, err := s.service.Freezes(r.Context())
	if err != nil {
		return err
	}
	data.Freezes = slices.DeleteFunc(slices.Clone(freezes), func(f penumbra.Freeze) bool { return f.Ended(s.now()) })
	if data.Since, err = s.since(r, s.visit(w, r)); err != nil {
		return err
	}
	s.show(w, http.StatusOK, "overview.html", s.frame(r, "Overview", sess, data))
	return nil
}

// failing lists the sources and inputs whose last read failed.
func failing(status *penumbra.Status) []failingSource {
	var out []failingSource
	for _, st := range status.Stacks {
		any := false
		for _, x := range st.Sources {
			if x.Error != "" {
				out, any = append(out, failingSource{st.Name + ": " + x.Name, x.Error, x.Failures, x.LastRead}), true
			}
		}
		if !any && st.Error != "" {
			out = append(out, failingSource{st.Name, st.Error, 0, st.LastRead})
		}
	}
	for _, x := range status.Files {
		if x.Error != "" {
			out = append(out, failingSource{"A new version of the " + x.Name, x.Error, 0, x.Read})
		}
	}
	for _, x := range status.Inputs {
		if x.Error != "" {
			out = append(out, failingSource{x.Name, x.Error, x.Failures, x.Last})
		}
	}
	return out
}

const (
	// visitCookie keeps when a browser was here: the visit before this one, and
	// the last look within this one. Looks within visitGap are one visit.
	visitCookie = "penumbra_visit"
	visitGap    = 30 * time.Minute
)

// visit returns when the visit before this one ended, zero if there was none, and
// notes this look.
func (s *site) visit(w http.ResponseWriter, r *http.Request) time.Time {
	var before, last int64
	if c, err := r.Cookie(visitCookie); err == nil {
		a, b, _ := strings.Cut(c.Value, ".")
		before, _ = strconv.ParseInt(a, 10, 64) // what is no number is no visit
		last, _ = strconv.ParseInt(b, 10, 64)
	}
	now := s.now()
	if last > 0 && now.Sub(time.Unix(last, 0)) > visitGap {
		before = last
	}
	http.SetCookie(w, &http.Cookie{
		Name: visitCookie, Value: strconv.FormatInt(before, 10) + "." + strconv.FormatInt(now.Unix(), 10), Path: "/", MaxAge: int(year / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	if before <= 0 || time.Unix(before, 0).After(now) {
		return time.Time{}
	}
	return time.Unix(before, 0)
}

// since collects what changed after a time, nil for zero.
func (s *site) since(r *http.Request, after time.Time) (*since, error) {
	if after.IsZero() {
		return nil, nil
	}
	out := &since{Time: after}
	for _, q := range []penumbra.DriftQuery{{Active: true}, {Resolved: true}} {
		q.Since, q.Limit = after, overviewChanged
		found, err := s.service.FindDrifts(r.Context(), q)
		if err != nil {
			return nil, err
		}
		for i := range found.Drifts {
			switch d := &found.Drifts[i]; {
			case d.Active() && d.Opened.After(after):
				out.Opened = append(out.Opened, *d)
			case !d.Active() && d.ResolvedAt.After(after):
				out.Resolved = append(out.Resolved, *d)
			}
		}
		out.AtLeast = out.AtLeast || len(found.Drifts) == overviewChanged
	}
	runs, err := s.service.Runs(r.Context(), penumbra.RunQuery{Limit: overviewChanged})
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if runs[i].Ended.After(after) {
			out.Runs = append(out.Runs, runs[i])
		}
	}
	return out, nil
}

// Nothing reports whether nothing has changed.
func (s *since) Nothing() bool { return len(s.Opened)+len(s.Resolved)+len(s.Runs) == 0 }

// worseFirst puts what is a drop in performance first.
func worseFirst(anomalies []penumbra.Anomaly) []penumbra.Anomaly {
	out := slices.Clone(anomalies)
	slices.SortStableFunc(out, func(a, b penumbra.Anomaly) int {
		if a.Worse != b.Worse {
			if a.Worse {
				return -1
			}
			return 1
		}
		return b.Onset.Compare(a.Onset)
	})
	return out
}

// countVerdicts lays the counts side by side, the gravest first.
func countVerdicts(counts map[penumbra.Verdict]int) []verdictCount {
	total := 0
	for _, n := range counts {
		total += n
	}
	var out []verdictCount
	start := 0.0
	for v := penumbra.Drifted; ; v-- {
		c := verdictCount{Verdict: v, Count: counts[v], Start: start}
		if total > 0 {
			c.Width = 100 * float64(c.Count) / float64(total)
		}
		start += c.Width
		out = append(out, c)
		if v == penumbra.InSync {
			return out
		}
	}
}
