package web

import (
	"net/http"
	"net/url"
	"testing"
)

func TestOwnPassword(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	if got := text(v.page("/account")); !shows(got, "carol, a person, signed in by password. You may: admin") {
		t.Errorf("%s", got)
	}
	form := url.Values{"current": {"old"}, "password": {"a new password"}, "again": {"a new password"}}
	if w := v.send("POST", "/account/password", form); w.Code != http.StatusForbidden || s.calls != nil {
		t.Errorf("without the form's token: %d %v", w.Code, s.calls)
	}
	if w := v.send("POST", "/account/password", v.filled(url.Values{"current": {"old"}, "password": {"a new password"}, "again": {"another"}})); w.Code != http.StatusUnprocessableEntity || s.calls != nil {
		t.Errorf("two that differ: %d", w.Code)
	}
	w := v.keep(v.send("POST", "/account/password", v.filled(form)))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/signin" || v.cookie != nil || len(s.calls) != 1 {
		t.Errorf("%d %v", w.Code, s.calls)
	}
}
