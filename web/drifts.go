package web

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// driftsPerPage keeps the list of drifts short.
const driftsPerPage = 100

// The verdicts of drifts by what they ask for, whatever is snoozed.
var (
	openVerdicts      = []penumbra.Verdict{penumbra.Drifted, penumbra.Unexpected, penumbra.NotChecked}
	impendingVerdicts = []penumbra.Verdict{penumbra.Impending}
	quietVerdicts     = []penumbra.Verdict{penumbra.Tolerated, penumbra.Pending, penumbra.InSync}
)

// going selects drifts that go on, of some verdicts and not snoozed, and asks for the
// numbers of the others.
func going(verdicts []penumbra.Verdict, limit int) penumbra.DriftQuery {
	return penumbra.DriftQuery{Active: true, Snoozed: new(bool), Verdicts: verdicts, Limit: limit, Facets: true}
}

// facetsOf returns a page's facets, empty ones if whoever made it counts none.
func facetsOf(page *penumbra.DriftPage) *penumbra.DriftFacets {
	return cmp.Or(page.Facets, &penumbra.DriftFacets{})
}

// counted returns how many drifts have one of the verdicts.
func counted(f *penumbra.DriftFacets, verdicts []penumbra.Verdict) (n int) {
	for _, v := range verdicts {
		n += f.Verdicts[v]
	}
	return n
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
	var found penumbra.DriftPage
	var err error
	if list.State == "resolved" {
		found, err = s.resolved(r, &list)
	} else {
		found, err = s.going(r, &list)
	}
	if err != nil {
		return err
	}
	facets := facetsOf(&found)
	list.Stacks = slices.Sorted(maps.Keys(facets.Stacks))
	if list.Stack != "" && !slices.Contains(list.Stacks, list.Stack) {
		list.Stacks = append(list.Stacks, list.Stack)
		slices.Sort(list.Stacks)
	}
	list.States = []driftState{
		{"", "Open", counted(facets, openVerdicts)}, {"impending", "Impending", counted(facets, impendingVerdicts)},
		{"quiet", "Quiet", counted(facets, quietVerdicts)}, {"snoozed", "Snoozed", facets.Snoozed}, {"resolved", "Resolved", -1},
	}
	list.Found, list.Groups = found.Found, byCause(found.Drifts)
	s.show(w, http.StatusOK, "drifts.html", s.frame(r, "Drifts", sess, &list))
	return nil
}

// going returns the page of those that go on in the list's state.
func (s *site) going(r *http.Request, list *driftList) (penumbra.DriftPage, error) {
	q := going(nil, driftsPerPage)
	switch list.State {
	case "impending":
		q.Verdicts = impendingVerdicts
	case "quiet":
		q.Verdicts = quietVerdicts
	case "snoozed":
		*q.Snoozed = true
	default:
		list.State, q.Verdicts = "", openVerdicts
	}
	q.Stack, q.Text, q.Offset = list.Stack, list.Text, offset(driftsPerPage, r.URL)
	found, err := s.service.FindDrifts(r.Context(), q)
	if err != nil {
		return found, err
	}
	if first, _ := list.take(found.Found, driftsPerPage, r.URL); first != q.Offset { // a page that is not there
		q.Offset = first
		return s.service.FindDrifts(r.Context(), q)
	}
	return found, nil
}

// resolved returns the page of those that were resolved last, with the facets of those
// that go on.
func (s *site) resolved(r *http.Request, list *driftList) (penumbra.DriftPage, error) {
	facets := going(openVerdicts, 1)
	facets.Stack, facets.Text = list.Stack, list.Text
	page, err := s.service.FindDrifts(r.Context(), facets)
	if err != nil {
		return page, err
	}
	found, err := s.service.FindDrifts(r.Context(), penumbra.DriftQuery{Stack: list.Stack, Text: list.Text, Resolved: true, Limit: shownResolved})
	if err != nil {
		return page, err
	}
	drifts := slices.Clone(found.Drifts)
	slices.SortStableFunc(drifts, func(a, b penumbra.Drift) int { return b.ResolvedAt.Compare(a.ResolvedAt) })
	page.Found = len(drifts)
	first, last := list.take(len(drifts), driftsPerPage, r.URL)
	page.Drifts = drifts[first:last]
	return page, nil
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
