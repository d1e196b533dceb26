package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra"
)

func TestNotifications(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	doc := v.page("/notifications")
	got := text(doc)
	for _, want := range []string{"ops slack arrives", "pager webhook gives up", "503 Service Unavailable", "mail email quiet until 2026-03-14 18:41:00 UTC", "through pager, 12 tries", "Critical Drift on shop/aws_db_instance.main", "waiting 2 tries so far", "3 notices, the newest first"} {
		if !shows(got, want) {
			t.Errorf("it does not show %q: %s", want, got)
		}
	}
	if first := one(t, doc, "a", "href=/drift?id=d-db"); !strings.HasPrefix(text(first), "Drift on shop") {
		t.Errorf("the link to the drift says %q", text(first)) // and the notice of several has none
	}
	if len(all(doc, "form", "action=/notifications/test")) != 3 || len(all(doc, "form", "action=/notifications/resend")) != 1 {
		t.Error("channels cannot be tested, or what was given up not sent again")
	}
	narrow := v.page("/notifications?channel=pager&state=waiting")
	if got := text(narrow); !shows(got, "1 notice, the newest first") || !shows(got, "3 drifts on shop") || shows(got, "latency_seconds rose") {
		t.Errorf("narrowed: %s", got)
	}
	if got := text(v.page("/notifications?channel=ops&state=dead")); !shows(got, "There is none like that") {
		t.Errorf("of none: %s", got)
	}
	s.forbidden = map[penumbra.Act]bool{"notice.change": true}
	doc = v.page("/notifications")
	if len(all(doc, "form", "action=/notifications/test")) != 0 || len(all(doc, "form", "action=/notifications/resend")) != 0 {
		t.Error("who may not is offered to test and to send again")
	}
	s.channels, s.notices = nil, nil
	if got := text(v.page("/notifications")); !shows(got, "None is configured") || !shows(got, "Nobody was told anything yet") {
		t.Errorf("without channels: %s", got)
	}
}

func TestChannelsAreTested(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path string
		form url.Values
		call []any
		to   string
	}{
		{"/notifications/test", url.Values{"channel": {"ops"}}, []any{"test", "ops", "carol"}, "/notifications#m-test"},
		{"/notifications/resend", url.Values{"notice": {"m-old"}}, []any{"resend", "m-old"}, "/notifications#m-old"},
	} {
		s := newShop(t)
		v := signIn(t, s)
		if w := v.send("POST", tc.path, tc.form); w.Code != http.StatusForbidden || s.calls != nil {
			t.Errorf("%s without the form's token: %d, %v", tc.path, w.Code, s.calls)
		}
		w := v.send("POST", tc.path, v.filled(tc.form))
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != tc.to || len(s.calls) != 1 {
			t.Fatalf("%s: %d to %q, calls %v", tc.path, w.Code, w.Header().Get("Location"), s.calls)
		}
		if d := cmp.Diff(tc.call, s.calls[0]); d != "" {
			t.Errorf("%s: call (-want +got)\n%s", tc.path, d)
		}
		s.err = &penumbra.Error{Kind: penumbra.Unavailable, What: "post to the webhook of channel ops: 503 " + hostile, Remedy: "look at the receiver"}
		if w := v.send("POST", tc.path, v.filled(tc.form)); w.Code != http.StatusServiceUnavailable || !shows(text(parse(t, w)), "post to the webhook of channel ops: 503") {
			t.Errorf("%s that fails: %d %s", tc.path, w.Code, w.Body)
		}
	}
}
