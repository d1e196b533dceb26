package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/penumbra-iac/penumbra"
)

func request(h http.Handler, method, target, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+testToken)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func readProblem(t testing.TB, w *httptest.ResponseRecorder) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("status %d: %v in %q", w.Code, err, w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != problemType {
		t.Errorf("content type %q", got)
	}
	if p.Status != w.Code || p.Title == "" || p.Detail == "" || p.Type != "about:blank" {
		t.Errorf("status %d: incomplete problem %+v", w.Code, p)
	}
	if _, ok := kindNamed(p.Kind); !ok {
		t.Errorf("kind %q is none", p.Kind)
	}
	return p
}

// description returns the API's own, with the registry that made it.
func description(t testing.TB) *huma.OpenAPI {
	t.Helper()
	a := humachi.New(chi.NewRouter(), config("1.2.3"))
	addRoutes(a, &recorder{})
	return a.OpenAPI()
}

type operation struct {
	method, path string
	op           *huma.Operation
}

func operations(t testing.TB) []operation {
	t.Helper()
	var all []operation
	for path, item := range description(t).Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete, item.Head, item.Options, item.Trace} {
			if op != nil {
				all = append(all, operation{op.Method, path, op})
			}
		}
	}
	if len(all) < 30 {
		t.Fatalf("found %d operations", len(all))
	}
	return all
}

// TestNoRouteWithoutToken walks all routes that the description lists, and
// some that it does not.
func TestNoRouteWithoutToken(t *testing.T) {
	t.Parallel()
	r := fullRecorder(t)
	h := Handler(r, opens(testToken), "0")
	all := append(operations(t), operation{"GET", "/v1/openapi.json", nil}, operation{"GET", "/", nil}, operation{"GET", "/v1/none", nil}, operation{"PUT", "/healthz", nil})
	for name, header := range map[string]string{
		"none": "", "wrong": "Bearer wrong", "empty": "Bearer ", "scheme only": "Bearer", "basic": "Basic " + testToken, "bare": testToken, "longer": "Bearer " + testToken + "x",
	} {
		for _, o := range all {
			if o.path == loginPath {
				continue // it gives the credential; TestLogin
			}
			path := strings.NewReplacer("{id}", "x", "{name}", "shop", "{number}", "3").Replace(o.path)
			w := request(h, o.method, path, "{}", func(req *http.Request) { req.Header.Set("Authorization", header) })
			if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s token: %s %s answers %d", name, o.method, o.path, w.Code)
			}
			readProblem(t, w)
		}
	}
	if r.called() != nil {
		t.Errorf("the service was called: %v", r.called())
	}
	if w := request(h, "GET", "/healthz", "", func(req *http.Request) { req.Header.Del("Authorization") }); w.Code != http.StatusOK {
		t.Errorf("/healthz answers %d", w.Code)
	}
}

func TestEmptyTokenOpensNothing(t *testing.T) {
	t.Parallel()
	h := Handler(&recorder{}, opens(""), "0")
	for _, header := range []string{"", "Bearer", "Bearer "} {
		if w := request(h, "GET", "/v1/status", "", func(r *http.Request) { r.Header.Set("Authorization", header) }); w.Code != http.StatusUnauthorized {
			t.Errorf("%q answers %d", header, w.Code)
		}
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	h := Handler(&recorder{}, opens(testToken), "0")
	for host, want := range map[string]int{
		"localhost": 200, "localhost:7777": 200, "LocalHost.": 200, "127.0.0.1": 200, "127.9.9.9:80": 200, "[::1]": 200, "[::1]:7777": 200, "::1": 200,
		"": 421, "evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:80": 421, "10.0.0.1": 421, "0.0.0.0:80": 421,
		"[::]": 421, "localhost:7777:1": 421, "127.1": 421, "[::ffff:10.0.0.1]": 421, "localhost@evil.example": 421,
	} {
		for _, path := range []string{"/v1/status", "/healthz"} {
			if w := request(h, "GET", path, "", func(r *http.Request) { r.Host = host }); w.Code != want {
				t.Errorf("host %q: %s answers %d, want %d", host, path, w.Code, want)
			}
		}
	}
}

func TestNoCORS(t *testing.T) {
	t.Parallel()
	h := Handler(&recorder{}, opens(testToken), "0")
	for _, method := range []string{"GET", "OPTIONS"} {
		w := request(h, method, "/v1/status", "", func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Access-Control-Request-Method", "GET")
		})
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s answers with %s", method, name)
			}
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", method, w.Header())
		}
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		method, target, body string
		status               int
		detail               string
	}{
		{"GET", "/v1/shadow", "", 422, "address"},
		{"GET", "/v1/explanations", "", 422, "address"},
		{"GET", "/v1/drifts?limit=-1", "", 422, "limit"},
		{"GET", "/v1/drifts?limit=many", "", 422, "limit"},
		{"GET", "/v1/drifts?activ=true", "", 422, "activ"},
		{"GET", "/v1/unmapped?limit=-1", "", 422, "limit"},
		{"GET", "/v1/anomalies?limit=-1", "", 422, "limit"},
		{"GET", "/v1/anomalies?from=yesterday", "", 422, "from"},
		{"GET", "/v1/metrics?span=minute", "", 422, "span"},
		{"GET", "/v1/metrics?span=-1m", "", 422, "span"},
		{"GET", "/v1/metrics?span=60000000000", "", 422, "span"},
		{"GET", "/v1/recordings/v/values?after=-1", "", 422, "after"},
		{"GET", "/v1/observations?kinds=events", "", 422, "kinds"},
		{"GET", "/v1/observations?from=yesterday", "", 422, "from"},
		{"POST", "/v1/proposals/p/approve", "", 400, "body"},
		{"POST", "/v1/proposals/p/approve", "{", 400, "body"},
		{"POST", "/v1/proposals/p/approve", `{"by":"alice"}`, 422, "hash"},
		{"POST", "/v1/proposals/p/approve", `{"by":"bob","hash":"a"}`, 403, "bob"},
		{"PATCH", "/v1/users/alice", `{"pasword":"x"}`, 422, "pasword"},
		{"POST", "/v1/users", `{"password":"x"}`, 422, "name"},
		{"POST", "/v1/tokens", `{"name":"x"}`, 422, "kind"},
		{"POST", "/v1/proposals/p/approve", `{"by":"alice","hash":""}`, 422, "hash"},
		{"POST", "/v1/proposals/p/approve", `{"by":"alice","hash":"a","force":true}`, 422, "force"},
		{"POST", "/v1/drifts/d/adopt", `{"only":[]}`, 422, "only"},
		{"POST", "/v1/proposals/p/customize", `{"values":[]}`, 422, "values"},
		{"POST", "/v1/proposals/p/customize", `{"values":[{"path":"a","value":[1]}]}`, 422, "scalar"},
		{"POST", "/v1/proposals/p/reject", `{"by":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "large"},
		{"GET", "/v1/none", "", 404, "/v1/none"},
		{"DELETE", "/v1/drifts/d", "", 405, "DELETE"},
	} {
		r := &recorder{}
		w := request(Handler(r, opens(testToken), "0"), tc.method, tc.target, tc.body, nil)
		p := readProblem(t, w)
		if w.Code != tc.status || !strings.Contains(p.Detail, tc.detail) {
			t.Errorf("%s %s %.60s: %d %s", tc.method, tc.target, tc.body, w.Code, p.Detail)
		}
		if r.called() != nil {
			t.Errorf("%s %s: the service was called", tc.method, tc.target)
		}
	}
}

// TestProblemsDoNotEcho holds that a value sent to the wrong place is not
// repeated in the answer.
func TestProblemsDoNotEcho(t *testing.T) {
	t.Parallel()
	h := Handler(&recorder{}, opens(testToken), "0")
	for _, body := range []string{`{"by":"alice","hash":7,"password":"hunter2"}`, `"hunter2"`, `{"by":["hunter2"],"hash":"x"}`} {
		if w := request(h, "POST", "/v1/proposals/p/approve", body, nil); w.Code < 400 || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%s answers %d %s", body, w.Code, w.Body)
		}
	}
}

func TestOne(t *testing.T) {
	t.Parallel()
	full := Handler(fullRecorder(t), opens(testToken), "0")
	empty := Handler(&recorder{}, opens(testToken), "0")
	for path, id := range map[string]string{"/v1/drifts/": "d-4c1e", "/v1/runs/": "r-02b9", "/v1/anomalies/": "a-52c0"} {
		w := request(full, "GET", path+id, "", nil)
		var got struct{ ID string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || got.ID != id {
			t.Errorf("%s answers %d %s", path+id, w.Code, w.Body)
		}
		if w := request(empty, "GET", path+"none", "", nil); w.Code != 404 || readProblem(t, w).Kind != "not found" {
			t.Errorf("%snone answers %d", path, w.Code)
		}
	}
	for _, path := range []string{"/v1/resources", "/v1/drifts", "/v1/runs", "/v1/drifts/d/proposals", "/v1/inputs", "/v1/nodes", "/v1/unmapped", "/v1/anomalies", "/v1/metrics", "/v1/recordings/v/values"} {
		if w := request(empty, "GET", path, "", nil); strings.Contains(w.Body.String(), "null") || !strings.Contains(w.Body.String(), "[]") {
			t.Errorf("%s: an empty list is %s", path, w.Body)
		}
	}
}

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestIngestEncodings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		encoding, body string
		status         int
	}{
		{"", exampleLine, 200}, {"identity", exampleLine, 200}, {"gzip", gzipped(t, exampleLine), 200}, {"GZIP", gzipped(t, exampleLine), 200},
		{"gzip", exampleLine, 422}, {"br", exampleLine, 422}, {"gzip", "", 422},
	} {
		r := &recorder{}
		w := request(Handler(r, opens(testToken), "0"), "POST", "/v1/observations?source=s", tc.body, func(req *http.Request) { req.Header.Set("Content-Encoding", tc.encoding) })
		if w.Code != tc.status {
			t.Errorf("%q: status %d %s", tc.encoding, w.Code, w.Body)
		}
		if tc.status == 200 && string(r.taken) != exampleLine {
			t.Errorf("%q: took in %q", tc.encoding, r.taken)
		}
	}
	cut := gzipped(t, strings.Repeat(exampleLine, 100))
	w := request(Handler(&recorder{}, opens(testToken), "0"), "POST", "/v1/observations", cut[:len(cut)/2], func(req *http.Request) { req.Header.Set("Content-Encoding", "gzip") })
	if w.Code < 400 {
		t.Errorf("half a gzip stream answers %d", w.Code)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestIngestIsBounded(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("moves 1 GiB")
	}
	r := &recorder{ingest: func(in io.Reader) error { _, err := io.Copy(io.Discard, in); return err }}
	_, err := InProcess(Handler(r, opens(testToken), "0"), testToken).Ingest(t.Context(), zeros{}, "endless")
	var e *penumbra.Error
	if !errors.As(err, &e) || e.Kind != penumbra.Invalid || !strings.Contains(e.Remedy, "split") {
		t.Errorf("got %v", err)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	w := request(Handler(&recorder{}, opens(testToken), "1.2.3"), "GET", "/v1/openapi.json", "", nil)
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			Summary, Description, OperationID string
			Tags                              []string
			Parameters                        []struct{ Name, Description string }
			Responses                         map[string]any
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Version != "1.2.3" || len(doc.Paths) < 28 {
		t.Errorf("%s %+v with %d paths", doc.OpenAPI, doc.Info, len(doc.Paths))
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			answers := 2
			if polled[path] && method == "get" {
				answers = 3 // that nothing is different too
			}
			if op.Summary == "" || op.Description == "" || op.OperationID == "" || len(op.Tags) != 1 || op.Responses["default"] == nil || len(op.Responses) != answers {
				t.Errorf("%s %s is not fully described: %+v", method, path, op)
			}
			for _, p := range op.Parameters {
				if p.Description == "" {
					t.Errorf("%s %s: parameter %s has no description", method, path, p.Name)
				}
			}
		}
	}
	for _, verdict := range []string{`"in sync"`, `"not checked"`, `"rolled back"`, `"acknowledged"`, `"level shift"`, `"either"`} {
		if !strings.Contains(w.Body.String(), verdict) {
			t.Errorf("the description does not list %s", verdict)
		}
	}
}

// TestExamplesFit holds each example against the schema beside it.
func TestExamplesFit(t *testing.T) {
	t.Parallel()
	registry := description(t).Components.Schemas
	checked := 0
	for _, o := range operations(t) {
		for status, response := range o.op.Responses {
			media := response.Content["application/json"]
			if media == nil {
				continue
			}
			data, err := json.Marshal(media.Example)
			if err != nil {
				t.Fatal(err)
			}
			var plain any
			if err := json.Unmarshal(data, &plain); err != nil {
				t.Fatal(err)
			}
			result := &huma.ValidateResult{}
			huma.Validate(registry, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, plain, result)
			if plain == nil || len(result.Errors) > 0 {
				t.Errorf("%s %s %s: %v", o.method, o.path, status, result.Errors)
			}
			checked++
		}
	}
	if checked < 22 {
		t.Errorf("only %d examples", checked)
	}
}

func TestKindsAndStatuses(t *testing.T) {
	t.Parallel()
	for kind := penumbra.Internal; kind <= penumbra.Damaged; kind++ {
		status := statusOf(kind)
		if status < 400 || http.StatusText(status) == "" {
			t.Errorf("%v has status %d", kind, status)
		}
		if back := kindOfStatus(status); statusOf(back) != status {
			t.Errorf("%v: status %d comes back as %v", kind, status, back)
		}
		if got, ok := kindNamed(kind.String()); !ok || got != kind {
			t.Errorf("%v is read back as %v", kind, got)
		}
	}
	f, _ := reflect.TypeFor[Problem]().FieldByName("Kind")
	if got := strings.Split(f.Tag.Get("enum"), ","); len(got) != len(statuses) || got[penumbra.Stale] != "stale" {
		t.Errorf("the description lists the kinds %q", got)
	}
}

// FuzzRequest holds that whatever is asked, the answer is one of the API's
// own: JSON, JSON Lines or a problem.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/v1/shadow?address=a%2Fb", "", "")
	f.Add("GET", "/v1/observations?kinds=event,metric&from=2026-03-01T00:00:00Z&after=3", "", "")
	f.Add("GET", "/v1/observations?kinds=,&to=0000", "", "")
	f.Add("POST", "/v1/observations?source=x", exampleLine, "gzip")
	f.Add("POST", "/v1/observations", gzipped(f, exampleLine), "gzip")
	f.Add("POST", "/v1/proposals/a%2F..%2Fb/approve", `{"hash":"h","by":"b"}`, "")
	f.Add("POST", "/v1/drifts/d/accept", `{"by":"b","until":"2026-13-01T00:00:00Z"}`, "")
	f.Add("POST", "/v1/proposals/p/customize", `{"values":[{"path":"a","value":1e999,"sensitive":true}]}`, "")
	f.Add("POST", "/v1/stacks/../read", "", "")
	f.Add("GET", "/v1/metrics?span=1e9h&from=2026-03-01T00:00:00Z&metric=%00", "", "")
	f.Add("POST", "/v1/unmapped/retry", "{}", "")
	h := Handler(&recorder{}, opens(testToken), "0")
	f.Fuzz(func(t *testing.T, method, target, body, encoding string) {
		r, err := http.NewRequest(method, "http://localhost"+target, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(target, "/") {
			t.Skip("no request")
		}
		r.Host = "localhost"
		r.Header.Set("Authorization", "Bearer "+testToken)
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch {
		case w.Code >= 500:
			t.Errorf("%s %s answers %d %s", method, target, w.Code, w.Body)
		case w.Code >= 400:
			readProblem(t, w)
		}
	})
}

// FuzzErrorOf holds that any body makes an error with a known kind and words.
func FuzzErrorOf(f *testing.F) {
	f.Add(409, []byte(`{"type":"about:blank","detail":"moved","kind":"stale","remedy":"look again"}`))
	f.Add(502, []byte(`<html>`))
	f.Add(200, []byte(`{"detail":1}`))
	f.Add(-1, []byte(`{"detail":"x","kind":"INTERNAL"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := errorOf("GET /", status, body)
		if e.What == "" || e.Kind > penumbra.Damaged {
			t.Errorf("got %#v", e)
		}
	})
}

func FuzzIsLoopback(f *testing.F) {
	for _, host := range []string{"localhost:1", "[::1]:7", "127.0.0.1", "a.localhost", "[", "]:", "::"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if isLoopback(host) && !strings.ContainsAny(host, "lL1") {
			t.Errorf("%q is taken for loopback", host)
		}
	})
}
