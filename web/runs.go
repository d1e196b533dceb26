package web

import (
	"net/http"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// runRefresh is how often the page of a run that has not ended loads itself.
const runRefresh = 2

// runPage is one run.
type runPage struct {
	penumbra.Run
	MayUndo bool // who is signed in may have its way back planned
}

func (s *site) run(w http.ResponseWriter, r *http.Request, sess session) error {
	id := r.URL.Query().Get("id")
	runs, err := s.service.Runs(r.Context(), penumbra.RunQuery{ID: id})
	if err != nil {
		return err
	}
	if id == "" || len(runs) == 0 {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no run " + id, Remedy: "see the page of the drift"}
	}
	page := runPage{Run: runs[0], MayUndo: s.decides(r.Context(), sess, "run.rollback", id)}
	f := s.frame(r, "Run "+id, sess, page)
	if !runs[0].State.Ended() {
		f.Refresh = runRefresh
	}
	s.show(w, http.StatusOK, "run.html", f)
	return nil
}

// runsPerPage keeps the list of runs short, shownRuns what is looked through.
const (
	runsPerPage = 50
	shownRuns   = 1000
)

// runList is one page of the runs, the latest first.
type runList struct {
	Rows  []penumbra.Run
	Found int
	paging
}

func (s *site) runs(w http.ResponseWriter, r *http.Request, sess session) error {
	all, err := s.service.Runs(r.Context(), penumbra.RunQuery{Limit: shownRuns})
	if err != nil {
		return err
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b penumbra.Run) int { return b.Started.Compare(a.Started) })
	list := runList{Found: len(all)}
	first, last := list.take(len(all), runsPerPage, r.URL)
	list.Rows = all[first:last]
	s.show(w, http.StatusOK, "runs.html", s.frame(r, "Runs", sess, list))
	return nil
}
