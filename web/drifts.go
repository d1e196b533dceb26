package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// driftsPerPage keeps the list of drifts short.
const driftsPerPage = 100

// sorted are active drifts by what they ask for, each part the most pressing first.
type sorted struct{ drifting, impending, tolerated, snoozed []penumbra.Drift }

func sortOut(drifts []penumbra.Drift, now time.Time) sorted {
	var out sorted
	drifts = slices.Clone(drifts)
	sortDrifts(drifts)
	for _, d := range drifts {
		switch {
		case d.Snoozed(now):
			out.snoozed = append(out.snoozed, d)
		case d.Verdict == penumbra.Impending:
			out.impending = append(out.impending, d)
		case d.Verdict == penumbra.Tolerated || d.Verdict == penumbra.Pending || d.Verdict == penumbra.InSync:
			out.tolerated = append(out.tolerated, d)
		default:
			out.drifting = append(out.drifting, d)
		}
	}
	return out
}

// causeGroup is the drifts that have one cause: somebody's one act, or the span
// between two reads.
type causeGroup struct {
	Cause  penumbra.Cause
	Opened time.Time // of the first
	Drifts []penumbra.Drift
}

// byCause groups drifts, in the order of the first of each group.
func byCause(drifts []penumbra.Drift) []causeGroup {
	var out []causeGroup
	at := map[string]int{}
	for _, d := range drifts {
		key := d.Cause.Key
		if key == "" {
			key = "drift " + d.ID
		}
		i, known := at[key]
		if !known {
			i, at[key] = len(out), len(out)
			out = append(out, causeGroup{Cause: d.Cause, Opened: d.Opened})
		}
		out[i].Drifts = append(out[i].Drifts, d)
		if d.Opened.Before(out[i].Opened) {
			out[i].Opened = d.Opened
		}
	}
	return out
}

// driftList is one page of the filtered drifts.
type driftList struct {
	Text, Stack, State string // the filter
	States             []driftState
	Stacks             []string
	Groups             []causeGroup
	Found              int
	paging
}

// driftState is one of the lists that drifts are looked at in.
type driftState struct {
	Name, Title string
	Count       int
}

// shownResolved bounds the resolved drifts that are looked through.
const shownResolved = 1000

func (s *site) drifts(w http.ResponseWriter, r *http.Request, sess session) error {
	query := r.URL.Query()
	list := driftList{Text: query.Get("q"), Stack: query.Get("stack"), State: query.Get("state")}
	active, err := s.service.Drifts(r.Context(), penumbra.DriftQuery{Active: true})
	if err != nil {
		return err
	}
	for _, d := range active {
		if name := d.Resource.Stack(); !slices.Contains(list.Stacks, name) {
			list.Stacks = append(list.Stacks, name)
		}
	}
	if list.Stack != "" && !slices.Contains(list.Stacks, list.Stack) {
		list.Stacks = append(list.Stacks, list.Stack)
	}
	slices.Sort(list.Stacks)
	active = slices.DeleteFunc(slices.Clone(active), func(d penumbra.Drift) bool { return !list.admits(&d) })
	parts := sortOut(active, s.now())
	list.States = []driftState{
		{"", "Open", len(parts.drifting)}, {"impending", "Impending", len(parts.impending)},
		{"quiet", "Quiet", len(parts.tolerated)}, {"snoozed", "Snoozed", len(parts.snoozed)}, {"resolved", "Resolved", -1},
	}
	var chosen []penumbra.Drift
	switch list.State {
	case "impending":
		chosen = parts.impending
	case "quiet":
		chosen = parts.tolerated
	case "snoozed":
		chosen = parts.snoozed
	case "resolved":
		if chosen, err = s.resolved(r, &list); err != nil {
			return err
		}
	default:
		list.State, chosen = "", parts.drifting
	}
	list.Found = len(chosen)
	first, last := list.take(len(chosen), driftsPerPage, r.URL)
	list.Groups = byCause(chosen[first:last])
	s.show(w, http.StatusOK, "drifts.html", s.frame(r, "Drifts", sess, &list))
	return nil
}

// resolved returns those that were resolved last.
func (s *site) resolved(r *http.Request, list *driftList) ([]penumbra.Drift, error) {
	found, err := s.service.Drifts(r.Context(), penumbra.DriftQuery{Stack: list.Stack, Limit: shownResolved})
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(slices.Clone(found), func(d penumbra.Drift) bool { return d.Active() || !list.admits(&d) })
	slices.SortStableFunc(found, func(a, b penumbra.Drift) int { return b.ResolvedAt.Compare(a.ResolvedAt) })
	return found, nil
}

// admits reports whether a drift passes the filter: the text has to occur in its
// address, type, who or what it is put down to, or the path of a finding.
func (l *driftList) admits(d *penumbra.Drift) bool {
	if l.Stack != "" && d.Resource.Stack() != l.Stack {
		return false
	}
	text := strings.ToLower(strings.TrimSpace(l.Text))
	if text == "" {
		return true
	}
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	return has(string(d.Resource)) || has(d.Type) || has(d.Cause.Actor) || has(d.Cause.Action) || has(d.ID) ||
		slices.ContainsFunc(d.Findings, func(f penumbra.Finding) bool { return has(f.Path) })
}

// Address is the list in another state, with the same filter.
func (l *driftList) Address(state string) string {
	query := url.Values{}
	for name, value := range map[string]string{"q": l.Text, "stack": l.Stack, "state": state} {
		if value != "" {
			query.Set(name, value)
		}
	}
	u := url.URL{Path: "/drifts", RawQuery: query.Encode()}
	return u.String()
}
