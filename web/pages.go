package web

import (
	"bytes"
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// resourcesPerPage keeps the overview short whatever the number of resources.
const resourcesPerPage = 50

// overview is the first page.
type overview struct {
	Status     penumbra.Status
	Verdicts   []verdictCount
	NotChecked int
	Drifting   []penumbra.Drift // critical first, then by verdict
	Impending  []penumbra.Drift
	Tolerated  []penumbra.Drift
	List       resourceList
}

// verdictCount is one part of the bar of verdicts, in percent of its width.
type verdictCount struct {
	Verdict      penumbra.Verdict
	Count        int
	Start, Width float64
}

// resourceList is one page of the filtered resources.
type resourceList struct {
	Text, Stack, Verdict string // the filter
	Found, Of            int
	Page, Pages          int
	Rows                 []penumbra.ResourceStatus
	Previous, Next       string // addresses, "" for none
}

func (s *site) overview(w http.ResponseWriter, r *http.Request, sess session) error {
	status, err := s.service.Status(r.Context())
	if err != nil {
		return err
	}
	drifts, err := s.service.Drifts(r.Context(), penumbra.DriftQuery{Active: true})
	if err != nil {
		return err
	}
	resources, err := s.service.Resources(r.Context(), r.URL.Query().Get("stack"))
	if err != nil {
		return err
	}
	data := overview{Status: status, Verdicts: countVerdicts(status.Verdicts), NotChecked: status.Verdicts[penumbra.NotChecked], List: listResources(resources, r.URL.Query())}
	sortDrifts(drifts)
	for _, d := range drifts {
		switch d.Verdict {
		case penumbra.Impending:
			data.Impending = append(data.Impending, d)
		case penumbra.Tolerated, penumbra.Pending, penumbra.InSync:
			data.Tolerated = append(data.Tolerated, d)
		default:
			data.Drifting = append(data.Drifting, d)
		}
	}
	s.show(w, http.StatusOK, "overview.html", s.frame("Overview", sess, data))
	return nil
}

// sortDrifts puts what is critical first, then the gravest, then the latest.
func sortDrifts(drifts []penumbra.Drift) {
	slices.SortStableFunc(drifts, func(a, b penumbra.Drift) int {
		if a.Critical != b.Critical {
			if a.Critical {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), b.Changed.Compare(a.Changed))
	})
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

// listResources filters by text, which has to occur in address or type, and by
// verdict, and takes one page.
func listResources(all []penumbra.ResourceStatus, query url.Values) resourceList {
	list := resourceList{Text: query.Get("q"), Stack: query.Get("stack"), Verdict: query.Get("verdict"), Of: len(all)}
	text := strings.ToLower(strings.TrimSpace(list.Text))
	var rows []penumbra.ResourceStatus
	for _, x := range all {
		if list.Verdict != "" && x.Verdict.String() != list.Verdict {
			continue
		}
		if text != "" && !strings.Contains(strings.ToLower(string(x.Address)), text) && !strings.Contains(strings.ToLower(x.Type), text) {
			continue
		}
		rows = append(rows, x)
	}
	list.Found = len(rows)
	list.Pages = max(1, (len(rows)+resourcesPerPage-1)/resourcesPerPage)
	wanted, _ := strconv.Atoi(query.Get("page")) // what is no number is the first page
	list.Page = min(max(1, wanted), list.Pages)
	first := (list.Page - 1) * resourcesPerPage
	list.Rows = rows[first:min(first+resourcesPerPage, len(rows))]
	if list.Page > 1 {
		list.Previous = list.address(list.Page - 1)
	}
	if list.Page < list.Pages {
		list.Next = list.address(list.Page + 1)
	}
	return list
}

func (l resourceList) address(page int) string {
	query := url.Values{}
	for name, value := range map[string]string{"q": l.Text, "stack": l.Stack, "verdict": l.Verdict} {
		if value != "" {
			query.Set(name, value)
		}
	}
	query.Set("page", strconv.Itoa(page))
	return "/?" + query.Encode() + "#resources"
}

// resourcePage is one resource with its shadow.
type resourcePage struct {
	View     penumbra.ShadowView
	Settings []penumbra.SettingView // the gravest first
	Shown    string                 // the path whose history is plotted, "" for none
	Why      string                 // what moved its forecast, or led to its verdict
	History  []penumbra.HistoryPoint
	Plot     *plot
}

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
	shown := shownSetting(data.Settings, view.History, r.URL.Query().Get("path"))
	if shown != nil {
		data.Shown = shown.Path
		data.Why = s.why(r, address, shown.Path)[shown.Path]
		data.Plot = plotOf(shown, view.History, view.Time)
		data.History = latestFirst(view.History, shown.Path)
	}
	s.show(w, http.StatusOK, "resource.html", s.frame(view.Resource.Address.Local(), sess, data))
	return nil
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

// driftPage is one drift; the ways to resolve it follow once they are made.
type driftPage struct {
	Drift penumbra.Drift
	Runs  []penumbra.Run
	Why   map[string]string // a sentence by the finding's path
}

// why returns a sentence for each path. A page does without where none can be
// had: it says what is, and not only why.
func (s *site) why(r *http.Request, address penumbra.Address, path string) map[string]string {
	explanations, err := s.service.Explain(r.Context(), address, path)
	if err != nil {
		return nil
	}
	out := make(map[string]string, len(explanations))
	for i := range explanations {
		out[explanations[i].Path] = explanations[i].Sentence
	}
	return out
}

type proposalsPart struct {
	Drift     penumbra.Drift
	Proposals []proposalView
	Omitted   []penumbra.Omitted
	Failure   *failure
}

// proposalView is a proposal as one article of a page.
type proposalView struct {
	penumbra.Proposal
	Open    bool // shown unfolded
	Form    string
	By      string
	Changes []penumbra.PlannedChange // what is destroyed or replaced first
}

func viewOf(p penumbra.Proposal, sess session, open bool) proposalView {
	v := proposalView{Proposal: p, Open: open, Form: sess.form, By: sess.by}
	if p.Plan != nil {
		v.Changes = slices.Clone(p.Plan.Changes)
		slices.SortStableFunc(v.Changes, func(a, b penumbra.PlannedChange) int {
			return cmp.Compare(weight(a.Action), weight(b.Action))
		})
	}
	return v
}

// weight orders the actions of a plan by how much they take away.
func weight(a penumbra.PlanAction) int {
	return slices.Index([]penumbra.PlanAction{penumbra.Destroy, penumbra.Replace, penumbra.Update, penumbra.Create, penumbra.Read, penumbra.NoChange}, a)
}

// drift sends what is known at once: making proposals may take as long as a
// plan does, and the second part of the page follows when they are there.
func (s *site) drift(w http.ResponseWriter, r *http.Request, sess session) error {
	id := r.URL.Query().Get("id")
	found, err := s.service.Drifts(r.Context(), penumbra.DriftQuery{ID: id})
	if err != nil {
		return err
	}
	if id == "" || len(found) == 0 {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no drift " + id, Remedy: "see the overview for those that there are"}
	}
	d := found[0]
	runs, err := s.service.Runs(r.Context(), penumbra.RunQuery{Stack: d.Resource.Stack()})
	if err != nil {
		return err
	}
	runs = slices.DeleteFunc(slices.Clone(runs), func(run penumbra.Run) bool { return run.Drift != d.ID })
	page := driftPage{Drift: d, Runs: runs}
	if d.Active() {
		page.Why = s.why(r, d.Resource, "")
	}
	s.show(w, http.StatusOK, "drift.html", s.frame(d.Resource.Local(), sess, page))
	if d.Active() {
		_ = http.NewResponseController(w).Flush() // a writer that cannot flush sends it all at the end
	}
	s.showRest(w, r, sess, d)
	return nil
}

func (s *site) showRest(w http.ResponseWriter, r *http.Request, sess session, d penumbra.Drift) {
	part := proposalsPart{Drift: d}
	if d.Active() {
		proposals, omitted, err := s.service.Proposals(r.Context(), d.ID)
		if err != nil {
			f := failureOf(err)
			part.Failure = &f
		}
		part.Omitted = omitted
		for i, p := range proposals {
			part.Proposals = append(part.Proposals, viewOf(p, sess, i == 0))
		}
	}
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, "drift-rest.html", s.frame("", sess, &part)); err != nil {
		// The header is sent: breaking off is all that tells of a fault now.
		panic(http.ErrAbortHandler)
	}
	_, _ = b.WriteTo(w)
}

func (s *site) proposal(w http.ResponseWriter, r *http.Request, sess session) error {
	id := r.URL.Query().Get("id")
	if id == "" {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "no proposal is named", Remedy: "choose one on the page of a drift"}
	}
	p, err := s.service.Proposal(r.Context(), id)
	if err != nil {
		return err
	}
	s.show(w, http.StatusOK, "proposal.html", s.frame(p.Title, sess, viewOf(p, sess, true)))
	return nil
}

// runRefresh is how often the page of a run that has not ended loads itself.
const runRefresh = 2

func (s *site) run(w http.ResponseWriter, r *http.Request, sess session) error {
	id := r.URL.Query().Get("id")
	runs, err := s.service.Runs(r.Context(), penumbra.RunQuery{ID: id})
	if err != nil {
		return err
	}
	if id == "" || len(runs) == 0 {
		return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no run " + id, Remedy: "see the page of the drift"}
	}
	f := s.frame("Run "+id, sess, runs[0])
	if !runs[0].State.Ended() {
		f.Refresh = runRefresh
	}
	s.show(w, http.StatusOK, "run.html", f)
	return nil
}
