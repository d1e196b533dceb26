package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

func TestAuditPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	if doc := v.page("/audit"); !shows(text(doc), "Nothing is recorded yet") {
		t.Error("an empty log is not told of")
	}
	for i := range 120 {
		s.entries = append(s.entries, penumbra.AuditEntry{
			Sequence: int64(500 - i), Time: before(time.Duration(i) * time.Minute), Name: hostile, Via: "oidc", Act: "drift.accept", Outcome: penumbra.AuditRefused, Count: 1200,
			Target: penumbra.Target{Stack: "shop", ID: "d-" + hostile}, Details: map[string]string{"reason": hostile},
		})
	}
	s.audited = penumbra.AuditReport{Entries: 500, Keyed: 400, Head: penumbra.AuditHead{Sequence: 500, Hash: "sha256:77"}, Fault: &penumbra.AuditFault{Sequence: 44, What: "it was changed"}}
	doc := v.page("/audit?who=alice&act=drift.*&outcome=refused&on=d-1&stack=shop&before=501")
	checkNothingRuns(t, "/audit", doc)
	want := penumbra.AuditQuery{Principal: "alice", Act: "drift.*", Outcome: penumbra.AuditRefused, ID: "d-1", Stack: "shop", Before: 501, Limit: shownEntries, Latest: true}
	if s.asked != want {
		t.Errorf("asked for %+v, want %+v", s.asked, want)
	}
	for _, words := range []string{"500 entries", "sha256:77", "by oidc", grouped("1200") + " times", "refused", "Older entries"} {
		if !shows(text(doc), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if href := attr(one(t, doc, "a", "href=/audit?act=drift.%2A&before=401&on=d-1&outcome=refused&stack=shop&who=alice"), "href"); href == "" {
		t.Error("no way to older entries")
	}
	if strings.Contains(fmt.Sprint(text(doc)), "broken") {
		t.Error("a verification is shown that nobody asked for")
	}
	if w := v.send("POST", "/audit", url.Values{}); w.Code != http.StatusForbidden {
		t.Errorf("verified without the form's token: %d", w.Code)
	}
	w := v.send("POST", "/audit", v.filled(url.Values{}))
	if w.Code != http.StatusOK || !shows(text(parse(t, w)), "Entry 44 is broken: it was changed") {
		t.Errorf("%d: the fault is not told", w.Code)
	}
	s.audited.Fault = nil
	if doc := parse(t, v.send("POST", "/audit", v.filled(url.Values{}))); !shows(text(doc), "All 500 entries are as they were written; 400 of them were made with a key") {
		t.Errorf("%s", text(doc))
	}
}
