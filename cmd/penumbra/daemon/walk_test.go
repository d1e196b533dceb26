package daemon

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/telemetry"
)

var update = flag.Bool("update", false, "write the table of who may call what beside API and pages into docs/authorisation.md")

const (
	besideFile  = "../../../docs/authorisation.md"
	besideBegin = "<!-- this table is written by go test ./cmd/penumbra/daemon -run TestWalkBeside -update -->\n"
	besideEnd   = "<!-- its end -->\n"
)

// called is a route as the walk calls it. Of an input it is called for one that the
// grant of a sender names, and for another.
type called struct{ pattern, method, path, body, kind string }

// TestWalkBeside walks the routes of a daemon that are none of the API's and of the
// pages', with tokens that a keeper made, and holds what they answer against the table in
// docs/authorisation.md. A route that is not called here fails it.
func TestWalkBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var inputs strings.Builder
	for _, in := range []string{"json", "kubernetes", "otlp", "remote-write"} {
		fmt.Fprintf(&inputs, "  - {name: %s, kind: %s}\n  - {name: other-%s, kind: %s}\n", in, in, in, in)
	}
	check(t, os.WriteFile(filepath.Join(dir, "penumbra.yaml"), []byte("inputs:\n"+inputs.String()), 0o600))
	c, err := wire.LoadConfig(filepath.Join(dir, "penumbra.yaml"))
	check(t, err)
	o := wire.Options{Log: slog.New(slog.DiscardHandler), Version: "test"}
	o.Telemetry, err = telemetry.New(t.Context(), "test")
	check(t, err)
	loop, err := wire.Open(t.Context(), c, o)
	check(t, err)
	t.Cleanup(func() { check(t, loop.Close(context.Background())); check(t, o.Telemetry.Close(context.Background())) })
	loop.Measure(o.Telemetry, c, o.Clock())
	key, err := wire.SealingKey(c.DataDir())
	check(t, err)
	receivers := wire.Receivers(c, key, o, loop)
	routes := beside(c, loop.Access, receivers, o.Telemetry, loop)
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.Handle(pattern, h)
	}

	calls := []called{
		{"POST /v1/inputs/{name}", "POST", "/v1/inputs/INPUT", "{}", "json"},
		{"POST /v1/inputs/{name}", "POST", "/v1/inputs/INPUT", `{"items":[]}`, "kubernetes"},
		{"POST /v1/inputs/{name}/v1/logs", "POST", "/v1/inputs/INPUT/v1/logs", "", "otlp"},
		{"POST /v1/inputs/{name}/v1/metrics", "POST", "/v1/inputs/INPUT/v1/metrics", "", "otlp"},
		{"POST /v1/inputs/{name}/write", "POST", "/v1/inputs/INPUT/write", "", "remote-write"},
		{"GET /metrics", "GET", "/metrics", "", ""}, {"GET /healthz", "GET", "/healthz", "", ""}, {"GET /readyz", "GET", "/readyz", "", ""},
	}
	var known []string
	for _, call := range calls {
		known = append(known, call.method+" "+strings.ReplaceAll(call.path, "INPUT", call.kind), call.method+" "+strings.ReplaceAll(call.path, "INPUT", "other-"+call.kind))
	}
	for _, pattern := range receivers.Patterns() {
		if !slices.Contains(known, pattern) {
			t.Errorf("the walk does not call %s: add it to calls", pattern)
		}
	}
	for pattern := range routes {
		if pattern != "/v1/inputs/{name}" && pattern != "/v1/inputs/{name}/" && !slices.Contains(known, pattern) {
			t.Errorf("the walk does not call %s: add it to calls", pattern)
		}
	}

	keys := besideKeys(t, loop.Access)
	ask := func(call called, input, secret string) string {
		r := httptest.NewRequest(call.method, "http://localhost"+strings.ReplaceAll(call.path, "INPUT", input), strings.NewReader(call.body))
		switch call.kind {
		case "json", "kubernetes":
			r.Header.Set("Content-Type", "application/json")
		case "otlp", "remote-write":
			r.Header.Set("Content-Type", "application/x-protobuf")
		}
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusUnauthorized:
			return "401"
		case http.StatusForbidden:
			return "no"
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			t.Errorf("%s %s answers %d: the walk asks for what is not there", call.method, r.URL.Path, w.Code)
		}
		return "yes"
	}
	lines := map[string]bool{}
	for _, call := range calls {
		act := "`input.send`"
		switch {
		case call.kind == "" && call.path != "/metrics":
			act = "`public`"
		case call.kind == "":
			act = "any credential"
		}
		line := []string{"`" + call.pattern + "`", act}
		for _, role := range besideRoles {
			of, other := ask(call, call.kind, keys[role]), ask(call, "other-"+call.kind, keys[role])
			if role == "sender" && of == "yes" && other == "no" {
				of, other = "in scope", "in scope"
			}
			if of != other {
				t.Errorf("%s as %s: %s of one input and %s of another", call.pattern, role, of, other)
			}
			line = append(line, of)
		}
		lines["| "+strings.Join(line, " | ")+" |\n"] = true
	}
	table := "| route | act | " + strings.Join(besideRoles, " | ") + " |\n|" + strings.Repeat("---|", len(besideRoles)+2) + "\n"
	for _, line := range slices.Sorted(maps.Keys(lines)) {
		table += line
	}
	text, err := os.ReadFile(besideFile)
	check(t, err)
	above, rest, begun := strings.Cut(string(text), besideBegin)
	was, below, ended := strings.Cut(rest, besideEnd)
	if !begun || !ended {
		t.Fatalf("%s has no place for the table", besideFile)
	}
	if *update && !t.Failed() {
		check(t, os.WriteFile(besideFile, []byte(above+besideBegin+"\n"+table+"\n"+besideEnd+below), 0o644))
		return
	}
	if d := cmp.Diff(strings.TrimSpace(was), strings.TrimSpace(table)); d != "" {
		t.Errorf("who may call what is not as the table says; if it is to be so, -update writes it (-want +got)\n%s", d)
	}
}

// besideRoles are those that walk: a sender may send to the inputs that its grant names,
// all others are without bounds.
var besideRoles = []string{"nobody", "no grant", "sender", "viewer", "operator", "approver", "admin"}

// besideKeys makes a token of each of those.
func besideKeys(t *testing.T, k *access.Keeper) map[string]string {
	t.Helper()
	keys := map[string]string{"nobody": ""}
	owner := access.Owner("test")
	as := func(p penumbra.Principal, n penumbra.NewToken) string {
		t.Helper()
		made, err := k.AddToken(penumbra.WithPrincipal(t.Context(), &p), n)
		check(t, err)
		return made.Secret
	}
	_, err := k.AddAccount(penumbra.WithPrincipal(t.Context(), &owner), penumbra.NewAccount{Name: "nil"})
	check(t, err)
	keys["no grant"] = as(penumbra.Principal{ID: "user:nil", Name: "nil", Kind: penumbra.PersonPrincipal, Via: access.ViaPassword}, penumbra.NewToken{Name: "none", Kind: penumbra.PersonPrincipal})
	keys["sender"] = as(owner, penumbra.NewToken{Name: "sender", Kind: penumbra.SourcePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Sender, Inputs: []string{"json", "kubernetes", "otlp", "remote-write"}}}})
	for _, role := range []penumbra.Role{penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin} {
		keys[string(role)] = as(owner, penumbra.NewToken{Name: string(role), Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: role, Values: true, Logs: true}}})
	}
	return keys
}
