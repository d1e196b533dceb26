package web

import (
	"slices"
	"testing"

	"golang.org/x/net/html"

	"github.com/penumbra-iac/penumbra"
)

// TestButtonsGoWithTheirActs holds that a page leaves out the forms of an act that is
// not allowed, and those alone.
func TestButtonsGoWithTheirActs(t *testing.T) {
	t.Parallel()
	forms := func(doc *html.Node) (out []string) {
		for _, f := range all(doc, "form", "method=post") {
			out = append(out, attr(f, "action"))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	for act, tc := range map[penumbra.Act]struct{ page, form string }{
		"proposal.approve": {"/proposal?id=p-adopt", "/approve"}, "proposal.reject": {"/proposal?id=p-adopt", "/reject"}, "proposal.customize": {"/proposal?id=p-adopt", "/customize"},
		"drift.acknowledge": {"/drift?id=d-db", "/acknowledge"}, "drift.snooze": {"/drift?id=d-db", "/snooze"}, "drift.accept": {"/drift?id=d-db", "/accept"}, "proposal.adopt": {"/drift?id=d-db", "/adopt"},
		"run.rollback": {"/run?id=r-1", "/rollback"}, "stack.freeze": {"/freezes", "/freeze"}, "stack.unfreeze": {"/freezes", "/unfreeze"}, "audit.verify": {"/audit", "/audit"},
		"account.change": {"/people", "/people"}, "notice.change": {"/notifications", "/notifications/test"},
	} {
		s := newShop(t)
		s.freezes = []penumbra.Freeze{{ID: "f-1", Reason: "the sale", By: "olga", From: before(1)}}
		v := signIn(t, s)
		whole := forms(v.page(tc.page))
		if !slices.Contains(whole, tc.form) {
			t.Errorf("%s has no form to %s: %v", tc.page, tc.form, whole)
			continue
		}
		s.forbidden = map[penumbra.Act]bool{act: true}
		less := forms(v.page(tc.page))
		gone := slices.DeleteFunc(slices.Clone(whole), func(f string) bool { return slices.Contains(less, f) })
		want := []string{tc.form}
		switch act {
		case "account.change":
			want = append(want, "/people/change")
		case "notice.change":
			want = []string{"/notifications/resend", "/notifications/test"}
		}
		if !slices.Equal(gone, want) {
			t.Errorf("without %s %s lacks %v, want %v", act, tc.page, gone, want)
		}
	}
}

// TestNavigationLeadsNowhereInVain holds that pages which somebody may not see are not
// in the list that stands on each, nor their keys.
func TestNavigationLeadsNowhereInVain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.forbidden = map[penumbra.Act]bool{"audit.read": true, "notice.read": true}
	doc := signIn(t, s).page("/")
	for _, page := range []string{"/audit", "/notifications"} {
		if len(all(doc, "a", "href="+page)) != 0 {
			t.Errorf("the list leads to %s", page)
		}
	}
	if len(all(doc, "a", "href=/people")) != 1 || !shows(text(one(t, doc, "dl", "class=keys")), "g s Sources") || shows(text(one(t, doc, "dl", "class=keys")), "Audit log") {
		t.Errorf("keys: %s", text(one(t, doc, "dl", "class=keys")))
	}
}

// TestPoliciesThatRefuseTakeTheButton holds that there is nothing to approve with where
// policies refuse who is signed in.
func TestPoliciesThatRefuseTakeTheButton(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.report = penumbra.PolicyReport{InWindow: true, Answers: []penumbra.PolicyAnswer{{Verb: penumbra.Approve, By: "carol", Reason: "refused by policy ops-only"}}}
	doc := signIn(t, s).page("/proposal?id=p-adopt")
	if len(all(doc, "form", "action=/approve")) != 0 || !shows(text(doc), "carol may not approve it: refused by policy ops-only") || len(all(doc, "form", "action=/reject")) != 1 {
		t.Errorf("%s", text(doc))
	}
}
