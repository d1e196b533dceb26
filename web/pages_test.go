package web

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/penumbra-iac/penumbra"
)

// visitor is a browser without a window: it keeps its cookie.
type visitor struct {
	t       testing.TB
	handler http.Handler
	cookie  *http.Cookie
}

// signIn returns a visitor with a session.
func signIn(t testing.TB, s Service) *visitor {
	t.Helper()
	v := &visitor{t: t, handler: Handler(s, entrance(testToken), about, clock)}
	w := v.send("GET", "/?token="+testToken, nil)
	if w.Code != http.StatusSeeOther || len(w.Result().Cookies()) != 1 {
		t.Fatalf("signing in answers %d with %v", w.Code, w.Header())
	}
	v.cookie = w.Result().Cookies()[0]
	return v
}

func (v *visitor) send(method, target string, form url.Values) *httptest.ResponseRecorder {
	v.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != nil {
		r.AddCookie(v.cookie)
	}
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, r)
	return w
}

// page parses a page that has to be there.
func (v *visitor) page(target string) *html.Node {
	v.t.Helper()
	w := v.send("GET", target, nil)
	if w.Code != http.StatusOK {
		v.t.Fatalf("%s answers %d: %s", target, w.Code, text(parse(v.t, w)))
	}
	return parse(v.t, w)
}

func parse(t testing.TB, w *httptest.ResponseRecorder) *html.Node {
	t.Helper()
	body := w.Body.String()
	if !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		t.Fatalf("the page breaks off: ...%s", body[max(0, len(body)-200):])
	}
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// all returns the elements of a name for which every "attribute=value" holds.
func all(doc *html.Node, name string, attributes ...string) []*html.Node {
	var out []*html.Node
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != name {
			continue
		}
		if !slices.ContainsFunc(attributes, func(want string) bool {
			key, value, _ := strings.Cut(want, "=")
			return key == "class" && !slices.Contains(strings.Fields(attr(n, key)), value) || key != "class" && attr(n, key) != value
		}) {
			out = append(out, n)
		}
	}
	return out
}

func one(t testing.TB, doc *html.Node, name string, attributes ...string) *html.Node {
	t.Helper()
	found := all(doc, name, attributes...)
	if len(found) != 1 {
		t.Fatalf("%d elements %s %v", len(found), name, attributes)
	}
	return found[0]
}

// shows reports whether a page says something, wherever its elements break.
func shows(got, want string) bool {
	bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
	return strings.Contains(bare(got), bare(want))
}

// text is what a person reads, its white space joined.
func text(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
		if n.Data == "script" || n.Data == "style" {
			return
		}
		for c := range n.ChildNodes() {
			walk(c)
		}
	}
	walk(n)
	return strings.Join(strings.Fields(b.String()), " ")
}

var pages = []string{
	"/", "/resources?q=lambda&page=2", "/resources?verdict=not+checked&order=seen", "/drifts", "/drifts?state=quiet", "/drifts?state=resolved&q=db", "/anomalies", "/runs", "/model",
	"/sources", "/freezes", "/notifications", "/notifications?channel=pager&state=dead", "/knowledge", "/knowledge?q=database+takes", "/settings", "/people", "/account", "/resource?address=" + string(mainDB), "/resource?path=tags.note&address=" + string(mainDB),
	"/resource?path=master_password&address=" + string(mainDB), "/drift?id=d-db", "/drift?id=d-sg", "/drift?id=d-asg", "/proposal?id=p-revert", "/run?id=r-2", "/run?id=r-1",
	"/anomaly?id=a-lat", "/anomaly?id=a-quiet", "/anomaly?id=a-cpu",
}

// TestEveryPage holds what must be so on each.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	v := signIn(t, newShop(t))
	for _, target := range pages {
		w := v.send("GET", target, nil)
		doc := parse(t, w)
		if w.Code != http.StatusOK || len(all(doc, "h1")) != 1 || len(all(doc, "main")) != 1 || attr(one(t, doc, "html"), "lang") != "en" {
			t.Errorf("%s: status %d, %d headings", target, w.Code, len(all(doc, "h1")))
		}
		for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", target, name, got)
			}
		}
		checkNothingRuns(t, target, doc)
		if body := w.Body.String(); strings.Contains(body, hidden().Text()) || strings.Contains(body, penumbra.SecretPrefix) {
			t.Errorf("%s shows a keyed hash", target)
		}
		checkIDs(t, target, doc)
		for _, input := range slices.Concat(all(doc, "input"), all(doc, "select")) {
			if attr(input, "type") != "hidden" && input.Parent.Data != "label" {
				t.Errorf("%s: field %q has no label", target, attr(input, "name"))
			}
		}
		for _, form := range all(doc, "form", "method=post") {
			if len(all(form, "input", "name=form")) != 1 {
				t.Errorf("%s: the form to %s has no token of the session", target, attr(form, "action"))
			}
		}
	}
}

// checkNothingRuns holds that the only scripts are the page's own files and
// data, and that nothing of a setting became an element or a handler.
func checkNothingRuns(t *testing.T, target string, doc *html.Node) {
	t.Helper()
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		src := attr(n, "src")
		switch {
		case n.Data == "script" && attr(n, "type") == "application/json":
		case n.Data == "script" && strings.HasPrefix(src, "/assets/") && n.FirstChild == nil:
		case n.Data == "script", n.Data == "img", n.Data == "style", n.Data == "iframe":
			t.Errorf("%s: element %s %v", target, n.Data, n.Attr)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
				t.Errorf("%s: %s has %s=%q", target, n.Data, a.Key, a.Val)
			}
		}
	}
}

func checkIDs(t *testing.T, target string, doc *html.Node) {
	t.Helper()
	seen := map[string]bool{}
	for n := range doc.Descendants() {
		if id := attr(n, "id"); id != "" && seen[id] {
			t.Errorf("%s: two elements have the id %s", target, id)
		} else {
			seen[id] = true
		}
	}
	for n := range doc.Descendants() {
		if by := attr(n, "aria-labelledby"); by != "" && !seen[by] {
			t.Errorf("%s: no element has the id %s", target, by)
		}
	}
}

func TestOverview(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	doc := signIn(t, s).page("/")
	if got := text(one(t, doc, "h1")); got != "2 drifts open" {
		t.Errorf("heading %q", got)
	}
	// What is critical comes first, with its cause, and leads to its page at once.
	pressing := one(t, doc, "section", "aria-labelledby=pressing")
	if got := text(pressing); !shows(got, "Critical shop/aws_db_instance.main") || !shows(got, "Who alice@example.com (user)") || !shows(got, "ModifyDBInstance in cloudtrail") || !shows(got, "latency_seconds 97x worse") {
		t.Errorf("the most pressing drift: %s", got)
	}
	if len(all(pressing, "a", "href=/drift?id=d-db")) != 2 {
		t.Error("it does not lead to the drift")
	}
	lists := all(doc, "ul", "class=drifts")
	if len(lists) != 3 { // the other cause, what is impending, and the last one is of metrics
		t.Fatalf("%d lists of drifts", len(lists))
	}
	if got := text(lists[0]); !strings.Contains(got, "unexpected") || !strings.Contains(got, hostile) {
		t.Errorf("the other drift: %s", got)
	}
	if got := text(lists[1]); !strings.Contains(got, "impending") || !strings.Contains(got, "63 % within 1d") {
		t.Errorf("impending: %s", got)
	}
	if quiet := one(t, doc, "a", "href=/drifts?state=quiet"); text(quiet) != "1 quiet finding" {
		t.Errorf("what is tolerated: %s", text(quiet))
	}
	counts := text(one(t, doc, "ul", "class=counts"))
	if !shows(counts, "3 not checked") || !shows(counts, "1 drifted") {
		t.Errorf("counts %q", counts)
	}
	for _, row := range all(doc, "tr") {
		got := text(row)
		if strings.HasPrefix(got, "new tofu") && (!strings.Contains(got, "not checked") || strings.Contains(got, "in sync") || !strings.Contains(got, "never")) {
			t.Errorf("a stack that was never read: %s", got)
		}
		if strings.Contains(got, "AccessDenied") && strings.Contains(got, "in sync") {
			t.Errorf("not checked shown as in sync: %s", got)
		}
	}
	if !strings.Contains(text(doc), "Last read failed: tofu plan: the state is locked by ci-1") {
		t.Error("the error of a stack is not shown")
	}
}

func TestAResourceThatIsGone(t *testing.T) {
	t.Parallel()
	s := &shop{drifts: []penumbra.Drift{{
		ID: "d-1", Resource: "shop/vm.a", Verdict: penumbra.Drifted, Opened: fixedNow, Changed: fixedNow,
		Findings: []penumbra.Finding{{Verdict: penumbra.Drifted, Declared: true}},
	}}}
	if got := text(signIn(t, s).page("/")); !strings.Contains(got, "the resource is gone") {
		t.Errorf("overview: %s", got)
	}
	if got := text(signIn(t, s).page("/drift?id=d-1")); !strings.Contains(got, "the whole resource") {
		t.Errorf("drift: %s", got)
	}
}

func TestNothingKnownIsNotGreen(t *testing.T) {
	t.Parallel()
	s := &shop{status: penumbra.Status{Resources: 2, Verdicts: map[penumbra.Verdict]int{penumbra.NotChecked: 2}}}
	if got := text(signIn(t, s).page("/")); !strings.Contains(got, "2 resources were not checked, so nothing is known of them") {
		t.Errorf("got %s", got)
	}
	if got := text(signIn(t, &shop{}).page("/")); !strings.Contains(got, "Nothing is watched yet") {
		t.Errorf("got %s", got)
	}
}

// TestDriftsArePaged walks the list of more drifts than a page has, and holds that no
// page is made of more than it shows.
func TestDriftsArePaged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for i := range 250 {
		d := penumbra.Drift{ID: fmt.Sprint("d-many-", i), Resource: penumbra.NewAddress("many", fmt.Sprint("vm.a", i)), Type: "vm", Verdict: penumbra.Drifted, Opened: before(time.Hour), Changed: before(time.Hour)}
		if i%25 == 0 {
			d.Status, d.Resolution, d.ResolvedAt = penumbra.Resolved, penumbra.Returned, before(time.Minute)
		}
		s.drifts = append(s.drifts, d)
	}
	v := signIn(t, s)
	seen := map[string]bool{}
	pages := 0
	for target := "/drifts?stack=many"; target != ""; pages++ {
		doc := v.page(target)
		for _, a := range all(doc, "a", "class=cover") {
			if seen[attr(a, "href")] {
				t.Errorf("%s twice", attr(a, "href"))
			}
			seen[attr(a, "href")] = true
		}
		target = ""
		if next := all(doc, "a", "rel=next"); len(next) == 1 {
			target, _, _ = strings.Cut(attr(next[0], "href"), "#")
		}
	}
	if len(seen) != 240 || pages != 3 {
		t.Errorf("%d of 240 drifts on %d pages", len(seen), pages)
	}
	for query, want := range map[string]string{"": "Open 242", "stack=many": "Open 240", "q=VM.A11": "Open 11", "stack=none": "None that fits the filter", "page=99": "page 3 of 3", "state=quiet&page=2": "Quiet 1", "state=resolved&stack=many": "returned", "state=resolved": "Impending 1"} {
		if got := text(v.page("/drifts?" + query)); !shows(got, want) {
			t.Errorf("%s does not show %q: %s", query, want, got)
		}
	}
	if got := text(v.page("/")); !shows(got, "242 drifts open") || !shows(got, "All 242") {
		t.Errorf("the overview: %s", got)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.most > driftsPerPage {
		t.Errorf("a page was made of %d drifts", s.most)
	}
}

func TestResourcesAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	seen := map[string]bool{}
	for target := "/resources?stack=shop&q=aws_"; target != ""; {
		doc := v.page(target)
		for _, a := range all(doc, "a", "class=address") {
			if seen[attr(a, "href")] {
				t.Errorf("%s twice", attr(a, "href"))
			}
			seen[attr(a, "href")] = true
		}
		target = ""
		if next := all(doc, "a", "rel=next"); len(next) == 1 {
			target, _, _ = strings.Cut(attr(next[0], "href"), "#")
		}
	}
	if want, _ := s.FindResources(t.Context(), penumbra.ResourceQuery{Stack: "shop", Page: penumbra.Page{Limit: 1000}}); len(seen) != want.Found {
		t.Errorf("paging shows %d of %d", len(seen), want.Found)
	}
	for query, want := range map[string]string{"q=LAMBDA": "36 of 184 resources", "verdict=not+checked": "3 of 184 resources", "q=none": "0 of 184 resources", "page=99": "page 4 of 4", "page=99999999999999999999": "page 4 of 4", "page=-1": "page 1 of 4", "page=x": "page 1 of 4"} {
		if got := text(v.page("/resources?" + query)); !strings.Contains(got, want) {
			t.Errorf("%s does not show %q", query, want)
		}
	}
}

func TestResourcePage(t *testing.T) {
	t.Parallel()
	doc := signIn(t, newShop(t)).page("/resource?address=" + string(mainDB))
	table := text(one(t, doc, "table", "class=shadow"))
	for _, want := range []string{"(sensitive)", "undeclared", "something new 40 %", "2900 to 3400", hostile, ">99 %"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not show %q: %s", want, table)
		}
	}
	if got := len(all(doc, "svg", "class=bars")); got != 6 {
		t.Errorf("%d forecasts", got)
	}
	if got := attr(all(doc, "svg", "class=bars")[0], "aria-label"); !strings.Contains(got, "11 % within 1d") {
		t.Errorf("forecast %q", got)
	}
	if got := text(one(t, doc, "h2", "id=history")); got != "History of instance_class" {
		t.Errorf("plots %q", got)
	}
	var p plot
	if err := json.Unmarshal([]byte(one(t, doc, "script", "id=plot-data").FirstChild.Data), &p); err != nil {
		t.Fatal(err)
	}
	if p.Numeric || len(p.Lanes) != 3 || p.Lanes[0] != `"db.t3.small"` || len(p.Marks) != 4 || p.Marks[3].Actor != "alice@example.com" {
		t.Errorf("plot %+v", p)
	}
	// A day is drawn, since its drift is news: what was held before and is ahead of it
	// stands where it holds.
	if p.Now-p.From != 86400 || p.Until-p.Now != 21600 || len(p.Held) != 5 || p.Held[0].From != p.From || p.Held[1].Probability != .28 || !p.Held[4].Ahead || p.Held[4].To != p.Until {
		t.Errorf("held %+v", p.Held)
	}
	odds := text(one(t, doc, "section", "aria-labelledby=odds"))
	if !shows(odds, `"db.t3.small" 97 %`) || !shows(odds, `"db.t3.large" actual 0 %`) {
		t.Errorf("odds: %s", odds)
	}
	if got := text(one(t, doc, "section", "aria-labelledby=forecast")); !shows(got, "within 1d 11 %") {
		t.Errorf("forecast: %s", got)
	}
}

func TestHostileHistoryStaysData(t *testing.T) {
	t.Parallel()
	doc := signIn(t, newShop(t)).page("/resource?path=tags.note&address=" + string(mainDB))
	var p plot
	if err := json.Unmarshal([]byte(one(t, doc, "script", "id=plot-data").FirstChild.Data), &p); err != nil {
		t.Fatal(err)
	}
	if got := text(one(t, doc, "p", "class=why")); !strings.Contains(got, "<script>alert(3)</script> changed it") {
		t.Errorf("the explanation came as %q", got)
	}
	if p.Marks[0].Actor != "</script><script>alert(2)</script>" {
		t.Errorf("the actor came as %q", p.Marks[0].Actor)
	}
}

func TestDriftPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	doc := signIn(t, s).page("/drift?id=d-db")
	if got := text(one(t, doc, "dl", "class=facts")); !shows(got, "Who alice@example.com (user)") || !shows(got, "ModifyDBInstance in cloudtrail") || !strings.Contains(got, "38 min ago") {
		t.Errorf("facts: %s", got)
	}
	if got := text(all(one(t, doc, "section", "aria-labelledby=findings"), "span", "class=reason")[0]); got != s.explained[0].Sentence {
		t.Errorf("the first finding is explained by %q", got)
	}
	// Those that can be chosen stand side by side.
	ways := one(t, doc, "table", "class=ways")
	if rows, heads := all(ways, "tr"), all(ways, "th", "scope=col"); len(rows) != 8 || len(heads) != 3 || !shows(text(rows[2]), "Destroys or replaces nothing") || !shows(text(rows[1]), "success 86 % risk 4 % effort 22 %") {
		t.Errorf("side by side: %s", text(ways))
	}
	proposals := all(doc, "details", "class=proposal")
	if len(proposals) != 3 || attr(proposals[0], "data-proposal") != "p-adopt" {
		t.Fatalf("%d proposals", len(proposals))
	}
	for _, want := range []string{"success 86 % risk 4 % effort 22 %", "git apply adopt.patch", "Revert the commit", "It changes nothing"} {
		if !shows(text(proposals[0]), want) {
			t.Errorf("the first proposal does not show %q: %s", want, text(proposals[0]))
		}
	}
	if got := len(all(proposals[0], "span", "class=added")); got != 1 {
		t.Errorf("%d added lines in the diff", got)
	}
	var actions []string
	for _, a := range all(proposals[1], "strong", "class=action") {
		actions = append(actions, text(a))
	}
	if !slices.Equal(actions, []string{"delete", "replace", "update"}) {
		t.Errorf("the plan is shown in the order %q", actions)
	}
	if got := text(proposals[1]); !strings.Contains(got, "Destroys or replaces 2") || !strings.Contains(got, "forced by iops") {
		t.Errorf("what is destroyed is not told: %s", got)
	}
	approve := one(t, proposals[1], "form", "action=/approve")
	if got := attr(one(t, approve, "input", "name=hash"), "value"); got != s.proposals[1].Hash {
		t.Errorf("the form approves %s", got)
	}
	if box := one(t, approve, "input", "name=disrupts"); !slices.ContainsFunc(box.Attr, func(a html.Attribute) bool { return a.Key == "required" }) {
		t.Error("a destructive plan needs no confirmation")
	}
	if len(all(proposals[2], "form")) != 0 {
		t.Error("a rejected proposal can be decided again")
	}
	if got := text(doc); !shows(got, "ignore-changes the drift is critical") || !shows(got, "r-1 done") || strings.Contains(got, "r-0") {
		t.Errorf("omitted ways or runs: %s", got)
	}
	s.planning = &penumbra.Error{Kind: penumbra.Locked, What: "plan shop: locked by ci-1", Remedy: "wait for it"}
	if got := text(signIn(t, s).page("/drift?id=d-db")); !strings.Contains(got, "plan shop: locked by ci-1") || !strings.Contains(got, "wait for it") {
		t.Errorf("a failed plan is not told: %s", got)
	}
}

func TestRunPage(t *testing.T) {
	t.Parallel()
	v := signIn(t, newShop(t))
	if got := v.send("GET", "/run?id=r-2", nil).Body.String(); !strings.Contains(got, `<noscript><meta http-equiv="refresh" content="2"></noscript>`) || !strings.Contains(got, `hx-trigger="news, every 1s"`) {
		t.Errorf("a run that goes on: %v", got)
	}
	doc := v.page("/run?id=r-1")
	if len(all(doc, "noscript")) != 0 || len(all(doc, "form", "action=/rollback")) != 1 || !strings.Contains(text(doc), "<b>1</b> changed") {
		t.Errorf("a run that ended: %s", text(doc))
	}
}

func TestRunThatHurt(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.runs[1].Watch = &penumbra.Watch{Until: before(-time.Minute)}
	v := signIn(t, s)
	if got := text(v.page("/run?id=r-1")); !strings.Contains(got, "metrics are watched until") {
		t.Errorf("a run that is watched: %s", got)
	}
	s.runs[1].Watch.WayBack, s.runs[1].Watch.Note = "p-back", hostile
	s.runs[1].Watch.Harm = []penumbra.Harm{{Resource: mainDB, Impact: penumbra.Impact{Anomaly: "a-1", Metric: "latency", Time: before(time.Minute), Before: 1, After: 3, Worse: true, Coincidence: .04}}}
	doc := v.page("/run?id=r-1")
	for _, want := range []string{"Hurt " + string(mainDB), "3.0x worse", "chance of coincidence 4.0 %"} {
		if got := text(doc); !strings.Contains(got, want) {
			t.Errorf("it does not say %q: %s", want, got)
		}
	}
	for _, link := range []string{"/resource?address=" + url.QueryEscape(string(mainDB)), "/anomaly?id=a-1", "/proposal?id=p-back"} {
		if len(all(doc, "a", "href="+link)) == 0 {
			t.Errorf("there is no link to %s", link)
		}
	}
}

func TestChangeUnderReview(t *testing.T) {
	t.Parallel()
	const address = "https://forge.example/team/estate/pull/7"
	s := newShop(t)
	s.runs[1].Code = &penumbra.CodeChange{Way: penumbra.PullRequestWay, Branch: "penumbra/d-db-adopt", Base: "main", Remote: "origin", Pushed: true, Number: 7, URL: address, State: penumbra.ReviewOpen, Note: hostile, Seen: before(time.Minute)}
	for i := range s.drifts {
		if s.drifts[i].ID == "d-db" {
			s.drifts[i].Code = s.runs[1].Code
		}
	}
	v := signIn(t, s)
	for _, page := range []string{"/run?id=r-1", "/drift?id=d-db"} {
		doc := v.page(page)
		if got := all(doc, "a", "href="+address); len(got) != 1 || !strings.Contains(text(doc), "penumbra/d-db-adopt") || !strings.Contains(text(doc), "open") {
			t.Errorf("%s: %d links; %s", page, len(got), text(doc))
		}
	}
	s.runs[1].Code.URL = "javascript:alert(4)"
	for _, link := range all(v.page("/run?id=r-1"), "a") {
		if strings.HasPrefix(attr(link, "href"), "javascript:") {
			t.Errorf("a link that runs code: %s", attr(link, "href"))
		}
	}
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path string
		form url.Values
		call []any // nil: nothing is decided
		to   string
		code int
	}{
		{"/approve", url.Values{"proposal": {"p-adopt"}, "hash": {"h"}}, []any{"approve", "p-adopt", "h", "carol"}, "/run?id=r-2", 303},
		{"/approve", url.Values{"proposal": {"p-revert"}, "hash": {"h"}}, nil, "", 422},
		{"/approve", url.Values{"proposal": {"p-revert"}, "hash": {"h"}, "disrupts": {"yes"}}, []any{"approve", "p-revert", "h", "carol"}, "/run?id=r-2", 303},
		{"/approve", url.Values{"proposal": {"p-adopt"}, "hash": {"h"}, "by": {"mallory"}}, []any{"approve", "p-adopt", "h", "carol"}, "/run?id=r-2", 303},
		{"/approve", url.Values{"proposal": {"none"}, "hash": {"h"}}, nil, "", 404},
		{"/reject", url.Values{"proposal": {"p-adopt"}, "drift": {"d-db"}, "reason": {"no"}}, []any{"reject", "p-adopt", "carol", "no"}, "/drift?id=d-db", 303},
		{"/acknowledge", url.Values{"drift": {"d-db"}}, []any{"acknowledge", "d-db", "carol"}, "/drift?id=d-tag", 303},
		{"/rollback", url.Values{"run": {"r-1"}}, []any{"rollback", "r-1", "carol"}, "/proposal?id=p-adopt", 303},
	} {
		s := newShop(t)
		v := signIn(t, s)
		for name, token := range map[string]string{"no": "", "wrong": "x"} {
			forged := url.Values{"form": {token}}
			for k, x := range tc.form {
				forged[k] = x
			}
			if w := v.send("POST", tc.path, forged); w.Code != http.StatusForbidden || s.calls != nil {
				t.Errorf("%s with %s form token: %d, %v", tc.path, name, w.Code, s.calls)
			}
		}
		tc.form.Set("form", attr(all(v.page("/"), "input", "name=form")[0], "value"))
		w := v.send("POST", tc.path, tc.form)
		if w.Code != tc.code || w.Header().Get("Location") != tc.to {
			t.Errorf("%s %v: %d to %q", tc.path, tc.form, w.Code, w.Header().Get("Location"))
		}
		switch {
		case tc.call == nil && len(s.calls) > 0:
			t.Errorf("%s %v: decided %v", tc.path, tc.form, s.calls)
		case tc.call != nil && (len(s.calls) != 1 || !slices.Equal(s.calls[0], tc.call)):
			t.Errorf("%s: calls %v, want %v", tc.path, s.calls, tc.call)
		}
	}
}

func TestStaleApproval(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.err = &penumbra.Error{Kind: penumbra.Stale, What: "the world has moved", Remedy: "look at the drift again", Err: errors.New("token=abcdefgh")}
	v := signIn(t, s)
	form := url.Values{"form": {attr(all(v.page("/"), "input", "name=form")[0], "value")}, "proposal": {"p-adopt"}, "hash": {"old"}}
	w := v.send("POST", "/approve", form)
	if got := text(parse(t, w)); w.Code != http.StatusConflict || !strings.Contains(got, "the world has moved") || !strings.Contains(got, "look at the drift again") || strings.Contains(got, "abcdefgh") {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestFactsNameTheirSources(t *testing.T) {
	t.Parallel()
	v := signIn(t, newShop(t))
	links := all(v.page("/proposal?id=p-revert"), "a", "class=source")
	if len(links) != 2 || attr(links[0], "href") != "https://docs.example/rds" || text(links[0]) != "Settings for DB instances" {
		t.Fatalf("%d sources", len(links))
	}
	if href := attr(links[1], "href"); strings.HasPrefix(href, "javascript:") {
		t.Errorf("a source that is no page leads to %q", href)
	}
}

// TestPagesSayWho holds that forms say in whose name they decide, and ask for none.
func TestPagesSayWho(t *testing.T) {
	t.Parallel()
	v := signIn(t, newShop(t))
	for _, target := range pages {
		if doc := v.page(target); len(all(doc, "input", "name=by")) != 0 {
			t.Errorf("%s asks for a name", target)
		}
	}
	if got := text(one(t, v.page("/proposal?id=p-adopt"), "form", "action=/approve")); !strings.Contains(got, "as carol") {
		t.Errorf("the form says %q", got)
	}
}

func TestProgramsDecideNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	w := &site{service: s, now: clock}
	for _, decide := range []page{w.approve, w.reject, w.acknowledge, w.rollback, w.customize, w.postpone(s.Accept)} {
		r := httptest.NewRequest("POST", "/", strings.NewReader("proposal=p-adopt&hash=h&drift=d-db&run=r-1&for=1h"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if err := r.ParseForm(); err != nil {
			t.Fatal(err)
		}
		bot := carol()
		bot.Kind = penumbra.ServicePrincipal
		if err := decide(httptest.NewRecorder(), r, session{principal: bot}); penumbra.KindOf(err) != penumbra.Refused || s.calls != nil {
			t.Errorf("%v, and calls %v", err, s.calls)
		}
	}
}

func TestNoPageWithoutSession(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := &visitor{t: t, handler: Handler(s, entrance(testToken), about, clock)}
	targets := append(slices.Clone(pages), "/none", "/?token=wrong", "/?token=")
	for _, cookie := range []*http.Cookie{nil, {Name: cookieName, Value: testToken}, {Name: cookieName, Value: ""}} {
		v.cookie = cookie
		for _, target := range targets {
			w := v.send("GET", target, nil)
			doc := parse(t, w)
			if w.Code != http.StatusUnauthorized || len(all(doc, "form", "action=/signin")) != 2 || strings.Contains(text(doc), "aws_") || len(w.Result().Cookies()) > 0 {
				t.Errorf("%s answers %d: %s", target, w.Code, text(doc))
			}
		}
		for _, target := range []string{"/approve", "/reject", "/acknowledge", "/rollback", "/signout"} {
			if w := v.send("POST", target, url.Values{"form": {""}}); w.Code != http.StatusUnauthorized || s.calls != nil {
				t.Errorf("%s answers %d", target, w.Code)
			}
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	v := signIn(t, newShop(t))
	for _, target := range []string{"/none", "/drift", "/drift?id=none", "/resource", "/resource?address=" + url.QueryEscape(hostile), "/proposal", "/proposal?id=none", "/run", "/run?id=none"} {
		w := v.send("GET", target, nil)
		if doc := parse(t, w); w.Code != http.StatusNotFound || !strings.Contains(text(doc), "no ") {
			t.Errorf("%s answers %d: %s", target, w.Code, text(doc))
		} else {
			checkNothingRuns(t, target, doc)
		}
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	v := &visitor{t: t, handler: Handler(newShop(t), entrance(testToken), about, clock)}
	for path, kind := range map[string]string{"style.css": "text/css", "chart.js": "text/javascript", "uPlot.iife.min.js": "text/javascript", "uPlot.min.css": "text/css", "mark.svg": "image/svg+xml", "htmx.min.js": "text/javascript", "app.js": "text/javascript", "uPlot.LICENSE": "", "NOTICE": ""} {
		w := v.send("GET", "/assets/"+path, nil)
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := v.send("GET", "/assets/", nil); w.Code != 404 {
		t.Errorf("the folder answers %d", w.Code)
	}
	if got := v.send("GET", asset("style.css"), nil).Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("an asset by its digest is kept as %q", got)
	}
	if got := v.send("GET", "/assets/style.css?v=0", nil).Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("an asset by another digest is kept as %q", got)
	}
}

// TestVendored holds that the libraries are as they were fetched, and that their
// licences are with them.
func TestVendored(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		data, err := assetFiles.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	lines := strings.Split(strings.TrimSpace(read("SUMS")), "\n")
	if len(lines) != 5 {
		t.Errorf("%d sums", len(lines))
	}
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		if got := fmt.Sprintf("%x", sha256.Sum256([]byte(read(name)))); got != sum {
			t.Errorf("%s has the sum %s", name, got)
		}
	}
	if !strings.Contains(read("uPlot.LICENSE"), "MIT License") || !strings.Contains(read("NOTICE"), "uplot 1.6.32,") || !strings.Contains(read("uPlot.iife.min.js")[:100], "(v1.6.32)") {
		t.Error("licence, notice and file of uPlot do not agree")
	}
	if !strings.Contains(read("htmx.LICENSE"), "Zero-Clause BSD") || !strings.Contains(read("NOTICE"), "htmx.org 2.0.11,") || !strings.Contains(read("htmx.min.js"), `version:"2.0.11"`) {
		t.Error("licence, notice and file of htmx do not agree")
	}
}
