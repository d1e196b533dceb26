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

// filled returns the form's fields with the session's token.
func (v *visitor) filled(fields url.Values) url.Values {
	fields.Set("form", attr(all(v.page("/"), "input", "name=form")[0], "value"))
	return fields
}

func TestPostponing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path string
		form url.Values
		call []any // nil: nothing is decided
		to   string
	}{
		{"/snooze", url.Values{"drift": {"d-db"}, "for": {"4h"}, "reason": {" later "}}, []any{"snooze", "d-db", "carol", "later", fixedNow.Add(4 * time.Hour)}, "/drift?id=d-tag"},
		{"/snooze", url.Values{"drift": {"d-db"}, "for": {""}}, []any{"snooze", "d-db", "carol", "", time.Time{}}, "/drift?id=d-tag"},
		{"/snooze", url.Values{"drift": {"d-db"}, "for": {"99y"}}, nil, ""},
		{"/accept", url.Values{"drift": {"d-db"}, "for": {"7d"}, "reason": {"right"}}, []any{"accept", "d-db", "carol", "right", fixedNow.Add(7 * 24 * time.Hour)}, "/drift?id=d-tag"},
		{"/accept", url.Values{"drift": {"d-db"}, "for": {""}, "reason": {"right"}}, []any{"accept", "d-db", "carol", "right", time.Time{}}, "/drift?id=d-tag"},
		{"/customize", url.Values{"proposal": {"p-adopt"}, "values": {"iops=4000\r\n\r\n instance_class=\"db.t3.medium\" "}},
			[]any{"customize", "p-adopt", penumbra.Edit{Values: []penumbra.Setting{{Path: "instance_class", Value: penumbra.String("db.t3.medium")}, {Path: "iops", Value: penumbra.Number(4000)}}}, "carol"}, "/proposal?id=p-adopt"},
		{"/customize", url.Values{"proposal": {"p-adopt"}, "path": {"main.tf", "vars.tf"}, "content": {"a = 1\r\nb = 2\r\n", "c"}},
			[]any{"customize", "p-adopt", penumbra.Edit{Files: []penumbra.FileEdit{{Path: "main.tf", Content: "a = 1\nb = 2\n"}, {Path: "vars.tf", Content: "c"}}}, "carol"}, "/proposal?id=p-adopt"},
		{"/customize", url.Values{"proposal": {"p-adopt"}, "values": {"iops"}}, nil, ""},
		{"/adopt", url.Values{"drift": {"d-db"}, "only": {"iops", "tags.team"}, "rest": {"revert"}}, []any{"adopt", "d-db", []string{"iops", "tags.team"}, true, "carol"}, "/proposal?id=p-adopt"},
		{"/adopt", url.Values{"drift": {"d-db"}, "only": {"iops"}, "rest": {"leave"}}, []any{"adopt", "d-db", []string{"iops"}, false, "carol"}, "/proposal?id=p-adopt"},
		{"/adopt", url.Values{"drift": {"d-db"}, "rest": {"leave"}}, nil, ""},
	} {
		s := newShop(t)
		v := signIn(t, s)
		if w := v.send("POST", tc.path, tc.form); w.Code != http.StatusForbidden || s.calls != nil {
			t.Errorf("%s without the form's token: %d, %v", tc.path, w.Code, s.calls)
		}
		w := v.send("POST", tc.path, v.filled(tc.form))
		if tc.call == nil {
			if w.Code != http.StatusUnprocessableEntity || s.calls != nil {
				t.Errorf("%s %v: %d, decided %v", tc.path, tc.form, w.Code, s.calls)
			}
			continue
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != tc.to || len(s.calls) != 1 {
			t.Fatalf("%s %v: %d to %q, calls %v", tc.path, tc.form, w.Code, w.Header().Get("Location"), s.calls)
		}
		same := cmp.Options{cmp.Comparer(func(a, b penumbra.Value) bool { return a == b }), cmp.Transformer("list", func(s penumbra.Settings) []penumbra.Setting { return s })}
		if d := cmp.Diff(tc.call, s.calls[0], same); d != "" {
			t.Errorf("%s: call (-want +got)\n%s", tc.path, d)
		}
	}
}

func TestApprovalThatWaits(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.approval = &penumbra.Approval{By: []string{"carol"}, Needs: 2}
	v := signIn(t, s)
	w := v.send("POST", "/approve", v.filled(url.Values{"proposal": {"p-adopt"}, "hash": {"h"}}))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/proposal?id=p-adopt" {
		t.Fatalf("%d to %q", w.Code, w.Header().Get("Location"))
	}
	s.proposals[0].ApprovedBy, s.proposals[0].Needs = []string{"carol", hostile}, 3
	s.report = penumbra.PolicyReport{
		NextWindow: fixedNow.Add(5 * time.Hour), Freeze: &penumbra.Freeze{Reason: "the sale " + hostile, Until: fixedNow.Add(24 * time.Hour)},
		Answers: []penumbra.PolicyAnswer{{Verb: penumbra.Approve, By: "carol", Reason: "refused by policy ops-only"}, {Verb: penumbra.Approve}},
	}
	s.decisions = []penumbra.Decision{{Proposal: "p-adopt", Drift: "d-db", Verb: penumbra.Reject, By: "bo", Reason: "not on a Friday " + hostile, Time: before(time.Hour)}}
	doc := v.page("/proposal?id=p-adopt")
	for _, want := range []string{"2 of 3 approvals: carol", "Frozen until 2026-03-15 09:41:00 UTC: the sale", "the next opens in 5 h", "carol may not approve it: refused by policy ops-only", "reject bo, 1 h ago not on a Friday"} {
		if !shows(text(doc), want) {
			t.Errorf("the page does not show %q: %s", want, text(doc))
		}
	}
	checkNothingRuns(t, "the proposal", doc)
	s.report.Answers[0] = penumbra.PolicyAnswer{Verb: penumbra.Approve, By: "carol", Allowed: true, Needs: 2, Reason: "needs 2 people, says policy two"}
	if got := text(v.page("/proposal?id=p-adopt")); !strings.Contains(got, "It needs 2 people, says policy two.") {
		t.Errorf("%s", got)
	}
	s.proposals[0].State, s.proposals[0].Due = penumbra.Scheduled, fixedNow.Add(5*time.Hour)
	doc = v.page("/proposal?id=p-adopt")
	if !strings.Contains(text(doc), "scheduled for 2026-03-14 14:41:00 UTC") || len(all(doc, "form", "action=/approve")) != 0 || len(all(doc, "form", "action=/reject")) != 1 {
		t.Errorf("scheduled: %s", text(doc))
	}
}

func TestCustomisedShowsItsDifference(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	p := &s.proposals[1]
	p.Kind, p.Author, p.Customizes, p.Difference = penumbra.Custom, "carol", "p-adopt", "--- proposed\n+++ customised\n@@ -1 +1 @@\n-db.t3.large\n+db.t3.medium <script>\n"
	p.Plan.Targets = []penumbra.Address{mainDB}
	doc := signIn(t, s).page("/proposal?id=p-revert")
	diff := one(t, doc, "pre", "class=difference")
	if len(all(diff, "span", "class=added")) != 1 || !shows(text(doc), "By: carol") || !shows(text(doc), "made from proposal p-adopt") {
		t.Errorf("%s", text(doc))
	}
	// The form begins with what the plan would set on the resource itself.
	values := all(doc, "textarea", "name=values")
	if len(values) != 1 || strings.TrimSpace(text(values[0])) != `instance_class="db.t3.small"` {
		t.Errorf("the form offers %q", text(values[0]))
	}
	doc = signIn(t, s).page("/proposal?id=p-adopt")
	if got := attr(one(t, doc, "input", "name=path"), "value"); got != "main.tf" {
		t.Errorf("the code to edit is %q", got)
	}
}

func TestSnoozedAndFrozenOverview(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	d := &s.drifts[3]
	d.SnoozedUntil, d.SnoozedBy, d.SnoozeReason = fixedNow.Add(3*time.Hour), "carol", "after lunch"
	s.freezes = []penumbra.Freeze{
		{Reason: "the sale", By: "olga", Stacks: []string{"shop"}, From: before(time.Hour), Until: fixedNow.Add(time.Hour)},
		{Reason: "long ago", From: before(2 * time.Hour), Until: before(time.Hour)},
		{Reason: "to come", From: fixedNow.Add(time.Hour)},
	}
	v := signIn(t, s)
	doc := v.page("/")
	got := text(doc)
	for _, want := range []string{"Frozen: shop until 2026-03-14 10:41:00 UTC. the sale (olga)", "To be frozen: all stacks from 2026-03-14 10:41:00 UTC. to come", "1 drift is snoozed", "1 drift open"} {
		if !shows(got, want) {
			t.Errorf("the overview does not show %q: %s", want, got)
		}
	}
	if strings.Contains(got, "long ago") {
		t.Error("a freeze that has ended is shown")
	}
	if got := text(v.page("/drifts?state=snoozed")); !shows(got, "snoozed, back in 3 h") {
		t.Errorf("the snoozed ones: %s", got)
	}
	doc = v.page("/drift?id=d-db")
	if !shows(text(doc), "Snoozed by carol, until in 3 h after lunch") || attr(one(t, one(t, doc, "form", "action=/snooze"), "input", "name=for"), "value") != "" {
		t.Errorf("%s", text(doc))
	}
	doc = v.page("/drift?id=d-sg")
	if len(all(doc, "form", "action=/snooze")) != 1 || len(all(doc, "form", "action=/accept")) != 1 {
		t.Error("an open drift can be neither snoozed nor accepted")
	}
	d.Status, d.Resolution, d.AcceptedUntil = penumbra.Resolved, penumbra.Accepted, fixedNow.Add(48*time.Hour)
	doc = v.page("/drift?id=d-db")
	if len(all(doc, "form", "action=/snooze")) != 0 || !shows(text(doc), "Accepted until in 2 days") {
		t.Errorf("%s", text(doc))
	}
}

func TestPartsOfADriftCanBeChosen(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := signIn(t, s)
	for i := range s.drifts {
		d := &s.drifts[i]
		var want, got []string
		for _, f := range parts(d) {
			want = append(want, f.Path)
		}
		if !d.Active() {
			want = nil
		}
		for _, box := range all(v.page("/drift?id="+d.ID), "input", "name=only") {
			got = append(got, attr(box, "value"))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: boxes (-want +got)\n%s", s.drifts[i].ID, d)
		}
	}
	secret := penumbra.Finding{Path: "password", Sensitive: true, Actual: penumbra.String("x")}
	d := penumbra.Drift{Verdict: penumbra.Drifted, Findings: []penumbra.Finding{{Path: "a"}, {Path: "b"}, secret}}
	if list := parts(&d); len(list) != 2 || list[1].Path != "b" {
		t.Errorf("parts: %+v", list)
	}
}
