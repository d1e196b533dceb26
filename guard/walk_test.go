package guard_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/guard"
	"github.com/penumbra-iac/penumbra/web"
)

var update = flag.Bool("update", false, "write the table of who may call what into testdata and docs/authorisation.md")

// door knows principals by their secrets.
type door map[string]*penumbra.Principal

func (d door) Enter(_ context.Context, secret, _ string) (*penumbra.Principal, error) {
	if p := d[secret]; p != nil {
		return p, nil
	}
	return nil, &penumbra.Error{Kind: penumbra.Refused, What: "that opens nothing", Remedy: "sign in"}
}

func (d door) Authenticate(r *http.Request) (*penumbra.Principal, error) {
	return d.Enter(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "")
}

func (d door) SignIn(ctx context.Context, name, _, _ string) (*penumbra.Principal, error) {
	return d.Enter(ctx, name, "")
}

func (d door) Return(_ context.Context, p penumbra.Principal, _ time.Time) (*penumbra.Principal, error) {
	return &p, nil
}

func (d door) SignOut(context.Context) error { return nil }

func (d door) Invited(string) bool { return false }

func (d door) SetUp(ctx context.Context, secret, _, _, _ string) (*penumbra.Principal, error) {
	return d.Enter(ctx, secret, "")
}

// browsers keeps sessions in memory.
type browsers struct {
	mu  sync.Mutex
	all map[string]penumbra.Session
}

func (b *browsers) SaveSession(_ context.Context, x penumbra.Session) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[x.ID] = x
	return nil
}

func (b *browsers) Session(_ context.Context, id string) (penumbra.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x, ok := b.all[id]; ok {
		return x, nil
	}
	return penumbra.Session{}, &penumbra.Error{Kind: penumbra.NotFound, What: "no such session"}
}

func (b *browsers) DeleteSession(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, id)
	return nil
}

func (b *browsers) TrimSessions(context.Context, time.Time) error { return nil }

// who are those that walk, by the columns of the table: each role bounded to the stack
// shop, and without a bound.
var who = []struct {
	column string
	role   penumbra.Role
}{{"nobody", ""}, {"no grant", "none"}, {"sender", penumbra.Sender}, {"viewer", penumbra.Viewer}, {"operator", penumbra.Operator}, {"approver", penumbra.Approver}, {"admin", penumbra.Admin}}

func walkers() door {
	d := door{}
	for _, w := range who[1:] {
		p := &penumbra.Principal{ID: "user:" + w.column, Name: strings.ReplaceAll(w.column, " ", "-"), Kind: penumbra.PersonPrincipal}
		unbounded := *p
		unbounded.ID += " everywhere"
		if w.role != "none" {
			p.Grants = []penumbra.Grant{{Role: w.role, Stacks: []string{"shop"}, Values: true, Logs: true}}
			unbounded.Grants = []penumbra.Grant{{Role: w.role, Values: true, Logs: true}}
		}
		d[w.column], d[w.column+" everywhere"] = p, &unbounded
	}
	return d
}

// filled puts what a stack has into the place holders of a path.
func filled(path, stack string) string {
	for _, p := range []struct{ before, id string }{
		{"/drifts/{id}", "d-" + stack + "-vm"}, {"/proposals/{id}", "p-d-" + stack + "-vm"}, {"/runs/{id}", "r-d-" + stack + "-vm"}, {"/anomalies/{id}", "a-" + stack},
		{"/freezes/{id}", "f-" + stack}, {"/stacks/{name}", stack},
	} {
		noun, place, _ := strings.Cut(strings.TrimPrefix(p.before, "/"), "/")
		path = strings.ReplaceAll(path, "/"+noun+"/"+place, "/"+noun+"/"+p.id)
	}
	for place, text := range map[string]string{"{number}": "1", "{name}": "x", "{id}": "x"} {
		path = strings.ReplaceAll(path, place, text)
	}
	return path
}

// bodies are what routes of the API are sent, STACK standing for the stack. A route
// that takes one and is not here fails the test.
var bodies = map[string]string{
	"login": `{"name":"x","password":"y"}`, "add-user": `{"name":"x"}`, "change-user": `{"sign_out":true}`, "add-token": `{"name":"x","kind":"person"}`, "revoke-token": "",
	"verify-audit": `{}`, "snooze-drift": `{}`, "accept-drift": `{}`, "acknowledge-drift": `{}`, "adopt-part": `{"only":["size"]}`,
	"approve-proposal": `{"hash":"h"}`, "reject-proposal": `{}`, "customize-proposal": `{"values":[{"path":"size","value":1}]}`,
	"rollback-run": `{}`, "review-run": "", "freeze": `{"stacks":["STACK"],"reason":"r"}`, "lift-freeze": `{}`, "read-stack": "", "retry-unmapped": "",
	"add-model-version":     `{"version":{"number":0,"family":"pooled","origin":"trained","state":"candidate","created":"2026-01-01T00:00:00Z","sources":[],"observations":0,"why":"","seed":0,"before":0,"kept":false,"size":0}}`,
	"promote-model-version": `{}`, "rollback-model": `{}`, "ingest-observations": "{}", "start-recording": "", "end-recording": "",
	"test-channel": "", "resend-notice": "", "find-moved": "", "start-model-task": `{"kind":"train"}`,
}

// queries are what routes are asked besides, where what they are on stands there.
var queries = map[string]string{
	"get-shadow": "address=STACK/vm.a", "explain": "address=STACK/vm.a", "list-rollups": "resource=STACK/vm.a", "list-drifts": "stack=STACK", "list-resources": "stack=STACK",
	"list-anomalies": "stack=STACK", "list-runs": "stack=STACK", "export-observations": "stack=STACK",
	"GET /drift": "id=d-STACK-vm", "GET /proposal": "id=p-d-STACK-vm", "GET /run": "id=r-d-STACK-vm", "GET /anomaly": "id=a-STACK", "GET /resource": "address=STACK/vm.a",
}

// forms are what pages are sent.
var forms = map[string]url.Values{
	"POST /audit": {}, "POST /signout": {}, "POST /theme": {"theme": {"dark"}}, "POST /signin": {"token": {"x"}}, "POST /setup": {"key": {"x"}},
	"POST /people": {"name": {"x"}, "role": {"viewer"}}, "POST /people/change": {"name": {"x"}, "change": {"disable"}}, "POST /tokens": {"name": {"x"}, "kind": {"person"}},
	"POST /tokens/revoke": {"token": {"x"}}, "POST /account/password": {"current": {"x"}, "password": {"y"}, "again": {"y"}}, "POST /oidc/{provider}": {},
	"POST /approve": {"proposal": {"p-d-STACK-vm"}, "hash": {"h"}}, "POST /reject": {"proposal": {"p-d-STACK-vm"}, "drift": {"d-STACK-vm"}},
	"POST /acknowledge": {"drift": {"d-STACK-vm"}}, "POST /rollback": {"run": {"r-d-STACK-vm"}}, "POST /adopt": {"drift": {"d-STACK-vm"}, "only": {"size"}}, "POST /customize": {"proposal": {"p-d-STACK-vm"}, "values": {"size=1"}},
	"POST /snooze": {"drift": {"d-STACK-vm"}, "for": {"4h"}}, "POST /accept": {"drift": {"d-STACK-vm"}}, "POST /freeze": {"stack": {"STACK"}, "stacks": {"STACK"}, "reason": {"r"}},
	"POST /notifications/test": {"channel": {"x"}}, "POST /notifications/resend": {"notice": {"x"}},
	"POST /unfreeze": {"freeze": {"f-STACK"}, "id": {"f-STACK"}},
}

func onStack(text, stack string) string { return strings.ReplaceAll(text, "STACK", stack) }

// answers to a call: may, may not, or has to say who asks.
const (
	yes    = "yes"
	no     = "no"
	signIn = "401"
)

func meant(t *testing.T, what string, status int) string {
	t.Helper()
	switch {
	case status == http.StatusUnauthorized:
		return signIn
	case status == http.StatusForbidden:
		return no
	case status >= 500 || status == http.StatusUnprocessableEntity || status == http.StatusBadRequest || status == http.StatusNotFound:
		t.Errorf("%s: status %d: the walk asks for what is not there, so that it shows nothing", what, status)
	}
	return yes
}

// walk calls a route as each of those who walk, in and out of the stack, and returns
// the line of the table.
func walk(t *testing.T, route, act string, ask func(secret, stack string) int) []string {
	line := []string{route, act}
	for _, w := range who {
		if w.column == "nobody" {
			line = append(line, meant(t, route+" as nobody", ask("", "shop")))
			continue
		}
		inside := meant(t, route+" as "+w.column+" in shop", ask(w.column, "shop"))
		outside := meant(t, route+" as "+w.column+" in pay", ask(w.column, "pay"))
		everywhere := meant(t, route+" as "+w.column+" everywhere", ask(w.column+" everywhere", "pay"))
		switch [3]string{inside, outside, everywhere} {
		case [3]string{yes, yes, yes}:
			line = append(line, yes)
		case [3]string{yes, no, yes}:
			line = append(line, "in scope")
		case [3]string{no, no, yes}:
			line = append(line, "unbounded")
		case [3]string{no, no, no}:
			line = append(line, no)
		default:
			t.Errorf("%s as %s: in scope %s, out of scope %s, without a bound %s", route, w.column, inside, outside, everywhere)
			line = append(line, "?")
		}
	}
	return line
}

// TestWalk walks all routes of the API and of the pages, as the routers have them, as
// nobody and as each role, in scope and out of it, and holds what they answer against
// the table in testdata, which docs/authorisation.md shows.
func TestWalk(t *testing.T) {
	t.Parallel()
	doors := walkers()
	service := guard.New(&estate{}, rights(t), &journal{})
	var table [][]string
	handler := api.Handler(service, doors, "test")
	for _, r := range api.Routes() {
		if r.Act == "" {
			t.Errorf("%s %s has no act", r.Method, r.Path)
		}
		body, known := bodies[r.Operation]
		if r.Method != http.MethodGet && !known {
			t.Errorf("the walk has no body for %s: add one to bodies", r.Operation)
			continue
		}
		table = append(table, walk(t, r.Method+" "+r.Path, string(r.Act), func(secret, stack string) int {
			target := filled(r.Path, stack)
			if q := queries[r.Operation]; q != "" {
				target += "?" + onStack(q, stack)
			}
			req := httptest.NewRequest(r.Method, "http://localhost"+target, strings.NewReader(onStack(body, stack)))
			if body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			if secret != "" {
				req.Header.Set("Authorization", "Bearer "+secret)
			}
			ctx, cancel := context.WithTimeout(req.Context(), 50*time.Millisecond) // ends a stream
			defer cancel()
			if r.Operation != "stream-news" {
				ctx = req.Context()
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req.WithContext(ctx))
			if r.IsPublic() && w.Code < http.StatusInternalServerError {
				return http.StatusOK
			}
			if w.Code >= 400 && w.Code != 401 && w.Code != 403 {
				t.Logf("%s %s: %s", r.Method, target, w.Body)
			}
			return w.Code
		}))
	}
	pages := web.Handler(service, web.Entrance{Door: doors, Founder: doors, Sessions: &browsers{all: map[string]penumbra.Session{}}}, web.About{Knowledge: func() []web.KnowledgeEntry { return nil }}, func() time.Time { return at })
	server := httptest.NewServer(pages)
	defer server.Close()
	for _, r := range pages.Routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if path == "" {
			method, path = http.MethodGet, "/nothing/here"
		}
		path = strings.TrimSuffix(path, "{$}")
		if path == "/assets/" {
			path += "style.css"
		}
		form, known := forms[r.Pattern]
		if method == http.MethodPost && !known {
			t.Errorf("the walk has no form for %s: add one to forms", r.Pattern)
			continue
		}
		table = append(table, walk(t, "page "+r.Pattern, string(r.Act), func(secret, stack string) int {
			v := visit(t, server, secret)
			target := path
			if q := queries[r.Pattern]; q != "" {
				target += "?" + onStack(q, stack)
			}
			filled := url.Values{}
			for name, values := range form {
				for _, value := range values {
					filled.Add(name, onStack(value, stack))
				}
			}
			if r.Pattern == "GET /news" {
				return v.first(target)
			}
			status := v.send(method, target, filled)
			if r.IsPublic() && status < http.StatusInternalServerError || r.Pattern == "/" && status == http.StatusNotFound {
				return http.StatusOK // it answers everybody: that the token opens nothing, that there is no such page
			}
			return status
		}))
	}
	checkTable(t, table)
}

// visitor is a browser.
type visitor struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
}

func visit(t *testing.T, server *httptest.Server, secret string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, server, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if secret != "" {
		v.do(http.MethodGet, "/?token="+url.QueryEscape(secret), nil)
	}
	return v
}

func (v *visitor) do(method, target string, form url.Values) (int, string) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.server.URL+target, body)
	if err != nil {
		v.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// first returns the status of a page that never ends.
func (v *visitor) first(target string) int {
	ctx, cancel := context.WithCancel(v.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.server.URL+target, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

var formToken = regexp.MustCompile(`name="form" value="([^"]*)"`)

func (v *visitor) send(method, target string, form url.Values) int {
	if method == http.MethodPost {
		_, page := v.do(http.MethodGet, "/", nil) // refused or not, it has the session's form token
		if m := formToken.FindStringSubmatch(page); m != nil {
			form.Set("form", m[1])
		}
		status, _ := v.do(method, target, form)
		return status
	}
	status, _ := v.do(method, target, nil)
	return status
}

const (
	tableFile = "testdata/access.md"
	docFile   = "../docs/authorisation.md"
	docBegin  = "<!-- the table is written by go test ./guard -run TestWalk -update -->\n"
)

func checkTable(t *testing.T, table [][]string) {
	t.Helper()
	slices.SortFunc(table, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	var b strings.Builder
	header := []string{"route", "act"}
	for _, w := range who {
		header = append(header, w.column)
	}
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, line := range table {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", line[0], line[1], strings.Join(line[2:], " | "))
	}
	got := b.String()
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	above, _, found := strings.Cut(string(doc), docBegin)
	if !found {
		t.Fatalf("%s has no place for the table", docFile)
	}
	if *update && !t.Failed() {
		for name, text := range map[string]string{tableFile: got, docFile: above + docBegin + "\n" + got} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	if t.Failed() {
		return
	}
	want, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("who may call what is not as the table says; if it is to be so, -update writes it (-want +got)\n%s", d)
	}
	if string(doc) != above+docBegin+"\n"+got {
		t.Errorf("%s does not show the table; -update writes it", docFile)
	}
}
