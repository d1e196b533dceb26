package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

func TestPeople(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	doc := v.page("/people")
	got := text(doc)
	for _, want := range []string{"carol", "admin values", "viewer of shop", "disabled", "ci service operator"} {
		if !shows(got, want) {
			t.Errorf("it does not show %q: %s", want, got)
		}
	}
	if strings.Contains(got, "argon2id") || len(all(doc, "input", "value=t-0")) != 0 {
		t.Error("a password's hash or a revoked token is shown")
	}
	s.unshown = &penumbra.Error{Kind: penumbra.Refused, What: "carol may not see accounts", Remedy: "ask an admin"}
	if got := text(v.page("/people")); !shows(got, "carol may not see accounts. ask an admin") || !shows(got, "ci service") {
		t.Errorf("of who may see no accounts: %s", got)
	}
}

func TestPeopleAreChanged(t *testing.T) {
	t.Parallel()
	yes := true
	viewer := []penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{"shop", "net-*"}, Values: true}}
	for _, tc := range []struct {
		path string
		form url.Values
		call []any // nil: nothing is done
		code int
	}{
		{"/people", url.Values{"name": {" eve "}, "password": {"a long password"}, "role": {"viewer"}, "stacks": {"shop, net-*"}, "values": {"yes"}}, []any{"add person", penumbra.NewAccount{Name: "eve", Password: "a long password", Grants: viewer}}, 303},
		{"/people/change", url.Values{"name": {"eve"}, "change": {"disable"}}, []any{"change person", "eve", penumbra.AccountChange{Disabled: &yes}}, 303},
		{"/people/change", url.Values{"name": {"eve"}, "change": {"grant"}, "role": {"viewer"}, "stacks": {"shop net-*"}, "values": {"yes"}}, []any{"change person", "eve", penumbra.AccountChange{Grants: &viewer}}, 303},
		{"/people/change", url.Values{"name": {"eve"}, "change": {"signout"}}, []any{"change person", "eve", penumbra.AccountChange{SignOut: true}}, 303},
		{"/people/change", url.Values{"name": {"eve"}}, nil, 422},
		{"/tokens", url.Values{"name": {"ci"}, "kind": {"service"}, "for": {"7d"}, "role": {""}}, []any{"add token", penumbra.NewToken{Name: "ci", Kind: penumbra.ServicePrincipal, Lasts: 7 * 24 * time.Hour}}, 200},
		{"/tokens", url.Values{"name": {"ci"}, "kind": {"service"}, "for": {"99y"}}, nil, 422},
		{"/tokens/revoke", url.Values{"token": {"t-1"}}, []any{"revoke", "t-1"}, 303},
	} {
		s := newShop(t)
		v := signIn(t, s)
		if w := v.send("POST", tc.path, tc.form); w.Code != http.StatusForbidden || s.calls != nil {
			t.Errorf("%s without the form's token: %d, %v", tc.path, w.Code, s.calls)
		}
		w := v.send("POST", tc.path, v.filled(tc.form))
		var call []any
		if len(s.calls) > 0 {
			call = s.calls[0]
		}
		if d := cmp.Diff(tc.call, call); w.Code != tc.code || d != "" {
			t.Errorf("%s %v: %d, call (-want +got)\n%s", tc.path, tc.form, w.Code, d)
		}
		if tc.code == 200 && !strings.Contains(w.Body.String(), "pnb_made") {
			t.Error("the secret is not shown")
		}
	}
}
