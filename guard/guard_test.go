package guard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/guard"
)

func before(t testing.TB) (*guard.Service, *estate, *journal) {
	e, j := &estate{}, &journal{}
	return guard.New(e, rights(t), j), e, j
}

// reads are all methods that show something of one stack or of all.
var reads = map[string]func(context.Context, *guard.Service) (any, error){
	"resources": func(ctx context.Context, s *guard.Service) (any, error) { return s.Resources(ctx, "") },
	"drifts":    func(ctx context.Context, s *guard.Service) (any, error) { return s.Drifts(ctx, penumbra.DriftQuery{}) },
	"found resources": func(ctx context.Context, s *guard.Service) (any, error) {
		page, err := s.FindResources(ctx, penumbra.ResourceQuery{})
		return page.Resources, err
	},
	"found drifts": func(ctx context.Context, s *guard.Service) (any, error) {
		page, err := s.FindDrifts(ctx, penumbra.DriftQuery{})
		return page.Drifts, err
	},
	"the found drift": func(ctx context.Context, s *guard.Service) (any, error) {
		page, err := s.FindDrifts(ctx, penumbra.DriftQuery{ID: "d-shop-vm"})
		return page.Drifts, err
	},
	"a drift": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Drifts(ctx, penumbra.DriftQuery{ID: "d-shop-vm"})
	},
	"a shadow":     func(ctx context.Context, s *guard.Service) (any, error) { return s.Shadow(ctx, "shop/vm.a") },
	"explanations": func(ctx context.Context, s *guard.Service) (any, error) { return s.Explain(ctx, "shop/vm.a", "size") },
	"proposals": func(ctx context.Context, s *guard.Service) (any, error) {
		list, omitted, err := s.Proposals(ctx, "d-shop-vm")
		return []any{list, omitted}, err
	},
	"a proposal": func(ctx context.Context, s *guard.Service) (any, error) { return s.Proposal(ctx, "p-d-shop-vm") },
	"runs":       func(ctx context.Context, s *guard.Service) (any, error) { return s.Runs(ctx, penumbra.RunQuery{}) },
	"a run": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Runs(ctx, penumbra.RunQuery{ID: "r-d-shop-vm"})
	},
	"anomalies": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Anomalies(ctx, penumbra.AnomalyQuery{})
	},
	"unmapped": func(ctx context.Context, s *guard.Service) (any, error) { return s.Unmapped(ctx, 0) },
	"decisions": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Decisions(ctx, penumbra.DecisionQuery{})
	},
	"freezes": func(ctx context.Context, s *guard.Service) (any, error) { return s.Freezes(ctx) },
	"rollups": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Rollups(ctx, penumbra.RollupQuery{})
	},
	"status": func(ctx context.Context, s *guard.Service) (any, error) { return s.Status(ctx) },
	"news":   func(ctx context.Context, s *guard.Service) (any, error) { return s.News(ctx, 0) },
	"an approval": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Approve(ctx, "p-d-shop-vm", "h", "mallory")
	},
	"a customised proposal": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Customize(ctx, "p-d-shop-vm", penumbra.Edit{}, "mallory")
	},
	"an adoption": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.AdoptPart(ctx, "d-shop-vm", nil, false, "")
	},
	"renames":            func(ctx context.Context, s *guard.Service) (any, error) { return s.Moved(ctx, "shop") },
	"a way back":         func(ctx context.Context, s *guard.Service) (any, error) { return s.Rollback(ctx, "r-d-shop-vm", "") },
	"a review":           func(ctx context.Context, s *guard.Service) (any, error) { return s.Review(ctx, "r-d-shop-vm") },
	"an acknowledgement": func(ctx context.Context, s *guard.Service) (any, error) { return s.Acknowledge(ctx, "d-shop-vm", "") },
	"an acceptance": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Accept(ctx, "d-shop-vm", "", "", time.Time{})
	},
	"a snooze": func(ctx context.Context, s *guard.Service) (any, error) {
		return s.Snooze(ctx, "d-shop-vm", "", "", time.Time{})
	},
}

// have are those of them that hold values.
var have = []string{"drifts", "found drifts", "the found drift", "a drift", "a shadow", "explanations", "proposals", "a proposal", "runs", "a run", "anomalies", "unmapped", "an approval",
	"a customised proposal", "an adoption", "a way back", "renames", "a review", "an acknowledgement", "an acceptance", "a snooze"}

func written(t testing.TB, x any) string {
	t.Helper()
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestValuesAreHiddenAndNotAbsent(t *testing.T) {
	t.Parallel()
	for name, read := range reads {
		s, _, j := before(t)
		shown, err := read(as(t, penumbra.Grant{Role: penumbra.Admin, Values: true, Logs: true}), s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Contains(written(t, shown), planted); got != slices.Contains(have, name) {
			t.Fatalf("%s has values: %v; the list of those that have is wrong", name, got)
		}
		if recorded := slices.ContainsFunc(j.entries, func(e penumbra.AuditEntry) bool {
			return e.Outcome == penumbra.AuditDone && (e.Act == "values.read" || e.Act == "logs.read") && e.Principal == "user:ann"
		}); slices.Contains(have, name) && !recorded {
			t.Errorf("%s: that values were read is not recorded", name)
		}
		hidden, err := read(as(t, penumbra.Grant{Role: penumbra.Admin}), s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text := written(t, hidden)
		if strings.Contains(text, planted) {
			t.Errorf("%s shows a value to who may not see it:\n%s", name, text)
		}
		if slices.Contains(have, name) && !strings.Contains(text, guard.Hidden) {
			t.Errorf("%s: values are left out rather than hidden", name)
		}
	}
}

// What is hidden for one is not hidden for the next: the loop's own data stays.
func TestHidingChangesNothing(t *testing.T) {
	t.Parallel()
	kept := &holding{d: driftsOf()[0]}
	s := guard.New(kept, rights(t), &journal{})
	if _, err := s.Drifts(as(t, penumbra.Grant{Role: penumbra.Viewer}), penumbra.DriftQuery{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(written(t, kept.d), planted) || kept.d.Findings[0].Expectation.Interval == nil {
		t.Error("the loop's own drift lost its values")
	}
}

type holding struct {
	estate
	d penumbra.Drift
}

func (h *holding) Drifts(context.Context, penumbra.DriftQuery) ([]penumbra.Drift, error) {
	return []penumbra.Drift{h.d}, nil
}

// listing counts how often it is asked for a list.
type listing struct {
	estate
	times int
}

func (l *listing) Resources(ctx context.Context, stack string) ([]penumbra.ResourceStatus, error) {
	l.times++
	return l.estate.Resources(ctx, stack)
}

func (l *listing) Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	l.times++
	return l.estate.Drifts(ctx, q)
}

func (l *listing) Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	l.times++
	return l.estate.Anomalies(ctx, q)
}

func TestListsHoldWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	for scope, grant := range map[string]penumbra.Grant{
		"a stack":        {Role: penumbra.Admin, Stacks: []string{"sh*"}, Values: true, Logs: true},
		"an environment": {Role: penumbra.Admin, Environments: []string{"prod"}, Values: true, Logs: true},
	} {
		for name, read := range reads {
			s, _, _ := before(t)
			shown, err := read(as(t, grant), s)
			if err != nil {
				t.Errorf("%s, %s: %v", name, scope, err)
				continue
			}
			if text := written(t, shown); strings.Contains(text, `"pay`) || strings.Contains(text, "-pay") {
				t.Errorf("%s, %s shows what is of another: %s", name, scope, text)
			}
		}
	}
	s, _, _ := before(t)
	ctx := as(t, penumbra.Grant{Role: penumbra.Viewer, Types: []string{"aws_*"}, Values: true})
	for name, want := range map[string]int{"resources": 2, "drifts": 2, "found resources": 2, "found drifts": 2, "runs": 2, "decisions": 2, "rollups": 2, "anomalies": 0} {
		shown, err := reads[name](ctx, s)
		if err != nil {
			t.Fatalf("%s of a type: %v", name, err)
		}
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(written(t, shown)), &list); err != nil || len(list) != want {
			t.Errorf("%s of a type: %d, want %d", name, len(list), want)
		}
	}
	status, err := s.Status(ctx)
	if err != nil || status.Resources != 2 || status.Settings != 6 || status.Drifts[penumbra.Drifted] != 2 || status.Observations != 0 || status.Anomalies != 0 || len(status.Stacks) != 2 || status.Stacks[0].Resources != 1 || len(status.Closer) != 2 {
		t.Errorf("status of a type: %+v, %v", status, err)
	}
	listed := &listing{}
	if _, err := guard.New(listed, rights(t), &journal{}).Status(ctx); err != nil || listed.times > 0 {
		t.Errorf("a status of a type lists what it counts %d times, %v", listed.times, err)
	}
	if list, err := s.Drifts(ctx, penumbra.DriftQuery{Limit: 2}); err != nil || len(list) != 2 {
		t.Errorf("what is left out counts: %d of 2, %v", len(list), err)
	}
}

// Who asks for what they may not see is told so, and it is recorded.
func TestWhatIsOutOfScopeIsRefused(t *testing.T) {
	t.Parallel()
	ctx := as(t, penumbra.Grant{Role: penumbra.Admin, Stacks: []string{"shop"}, Values: true, Logs: true})
	for name, call := range map[string]func(*guard.Service) error{
		"a drift":      func(s *guard.Service) error { _, err := s.Drifts(ctx, penumbra.DriftQuery{ID: "d-pay-vm"}); return err },
		"drifts":       func(s *guard.Service) error { _, err := s.Drifts(ctx, penumbra.DriftQuery{Stack: "pay"}); return err },
		"resources":    func(s *guard.Service) error { _, err := s.Resources(ctx, "pay"); return err },
		"a shadow":     func(s *guard.Service) error { _, err := s.Shadow(ctx, "pay/vm.a"); return err },
		"a curve":      func(s *guard.Service) error { _, err := s.Expected(ctx, "pay/vm.a", "size"); return err },
		"explanations": func(s *guard.Service) error { _, err := s.Explain(ctx, "pay/vm.a", ""); return err },
		"an anomaly": func(s *guard.Service) error {
			_, err := s.Anomalies(ctx, penumbra.AnomalyQuery{ID: "a-pay"})
			return err
		},
		"rollups": func(s *guard.Service) error {
			_, err := s.Rollups(ctx, penumbra.RollupQuery{Resource: "pay/vm.a"})
			return err
		},
		"proposals":   func(s *guard.Service) error { _, _, err := s.Proposals(ctx, "d-pay-vm"); return err },
		"a run":       func(s *guard.Service) error { _, err := s.Runs(ctx, penumbra.RunQuery{ID: "r-d-pay-vm"}); return err },
		"an approval": func(s *guard.Service) error { _, err := s.Approve(ctx, "p-d-pay-vm", "h", "ann"); return err },
		"a rejection": func(s *guard.Service) error { return s.Reject(ctx, "p-d-pay-vm", "ann", "") },
		"a snooze":    func(s *guard.Service) error { _, err := s.Snooze(ctx, "d-pay-vm", "ann", "", time.Time{}); return err },
		"a freeze of both": func(s *guard.Service) error {
			_, err := s.Freeze(ctx, penumbra.Freeze{Stacks: []string{"shop", "pay"}, Reason: "r"})
			return err
		},
		"a freeze of all": func(s *guard.Service) error { _, err := s.Freeze(ctx, penumbra.Freeze{Reason: "r"}); return err },
		"the end of one":  func(s *guard.Service) error { _, err := s.Unfreeze(ctx, "f-all", ""); return err },
		"a read":          func(s *guard.Service) error { return s.Trigger(ctx, "pay") },
		"a whole export": func(s *guard.Service) error {
			_, err := s.Export(ctx, penumbra.ObservationQuery{}, io.Discard)
			return err
		},
		"another's export": func(s *guard.Service) error {
			_, err := s.Export(ctx, penumbra.ObservationQuery{Resource: "pay/vm.a"}, io.Discard)
			return err
		},
		"an ingestion":  func(s *guard.Service) error { _, err := s.Ingest(ctx, strings.NewReader(""), "x"); return err },
		"a recording":   func(s *guard.Service) error { _, err := s.StartRecording(ctx); return err },
		"the audit log": func(s *guard.Service) error { _, err := s.AuditEntries(ctx, penumbra.AuditQuery{}); return err },
		"an account": func(s *guard.Service) error {
			_, err := s.AddAccount(ctx, penumbra.NewAccount{Name: "bob"})
			return err
		},
		"another's account": func(s *guard.Service) error {
			_, err := s.ChangeAccount(ctx, "bob", penumbra.AccountChange{SignOut: true})
			return err
		},
		"one's own grants": func(s *guard.Service) error {
			_, err := s.ChangeAccount(ctx, "ann", penumbra.AccountChange{Grants: &[]penumbra.Grant{{Role: penumbra.Admin}}})
			return err
		},
		"a version": func(s *guard.Service) error { _, err := s.Promote(ctx, 1, "", ""); return err },
		"a retry":   func(s *guard.Service) error { _, err := s.Remap(ctx); return err },
		"an input":  func(s *guard.Service) error { return s.Send(ctx, "logs") },
	} {
		s, e, j := before(t)
		err := call(s)
		if penumbra.KindOf(err) != penumbra.Refused || len(e.calls) > 0 {
			t.Errorf("%s: %v, calls %v", name, err, e.calls)
		}
		if !slices.ContainsFunc(j.entries, func(e penumbra.AuditEntry) bool {
			return e.Outcome == penumbra.AuditRefused && e.Principal == "user:ann"
		}) {
			t.Errorf("%s: the refusal is not recorded", name)
		}
	}
	s, e, _ := before(t)
	if _, err := s.Export(ctx, penumbra.ObservationQuery{Stack: "shop"}, io.Discard); err != nil || len(e.calls) != 1 {
		t.Errorf("an export of one's own stack: %v", err)
	}
	if _, err := s.ChangeAccount(ctx, "Ann", penumbra.AccountChange{SignOut: true}); err != nil {
		t.Errorf("one's own sessions: %v", err)
	}
}

// A plan may change resources of other types than the drift's: each is asked about.
func TestAnApprovalIsOfAllThatThePlanChanges(t *testing.T) {
	t.Parallel()
	e := &widePlan{}
	s := guard.New(e, rights(t), &journal{})
	_, err := s.Approve(as(t, penumbra.Grant{Role: penumbra.Approver, Types: []string{"vm"}}), "p-d-shop-vm", "h", "")
	if penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "type aws_iam_role") || len(e.calls) > 0 {
		t.Errorf("%v, calls %v", err, e.calls)
	}
}

type widePlan struct{ estate }

func (e *widePlan) Proposal(ctx context.Context, id string) (penumbra.Proposal, error) {
	p, err := e.estate.Proposal(ctx, id)
	p.Plan.Changes = append(p.Plan.Changes, penumbra.PlannedChange{Type: "aws_iam_role", Action: penumbra.Update})
	return p, err
}

func TestDecisionsAreInTheNameOfWhoAsks(t *testing.T) {
	t.Parallel()
	s, e, _ := before(t)
	ctx := as(t, penumbra.Grant{Role: penumbra.Admin})
	_, _ = s.Approve(ctx, "p-d-shop-vm", "h", "mallory")
	_ = s.Reject(ctx, "p-d-shop-vm", "mallory", "")
	_, _ = s.Customize(ctx, "p-d-shop-vm", penumbra.Edit{}, "mallory")
	_, _ = s.AdoptPart(ctx, "d-shop-vm", nil, false, "mallory")
	_, _ = s.Rollback(ctx, "r-d-shop-vm", "mallory")
	_, _ = s.Acknowledge(ctx, "d-shop-vm", "mallory")
	_, _ = s.Accept(ctx, "d-shop-vm", "mallory", "", time.Time{})
	_, _ = s.Snooze(ctx, "d-shop-vm", "mallory", "", time.Time{})
	_, _ = s.Freeze(ctx, penumbra.Freeze{Reason: "r", By: "mallory"})
	_, _ = s.Unfreeze(ctx, "f-all", "mallory")
	_, _ = s.Promote(ctx, 1, "mallory", "")
	_, _ = s.RollbackModel(ctx, "mallory")
	if len(e.calls) != 12 {
		t.Fatalf("calls %v", e.calls)
	}
	for _, call := range e.calls {
		if !strings.HasSuffix(call, " by ann") {
			t.Errorf("%s", call)
		}
	}
}

// While the audit log cannot be written, nothing is done and no values are shown.
func TestWhatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	ctx := as(t, penumbra.Grant{Role: penumbra.Admin, Values: true, Logs: true})
	for _, name := range have {
		s, e, j := before(t)
		j.full = true
		shown, err := reads[name](ctx, s)
		if err == nil && strings.Contains(written(t, shown), planted) {
			t.Errorf("%s shows values that are not recorded", name)
		}
		for _, call := range e.calls {
			// These are recorded by the store itself, which refuses them then.
			if !slices.ContainsFunc([]string{"approve", "customize", "accept", "snooze"}, func(w string) bool { return strings.HasPrefix(call, w) }) {
				t.Errorf("%s: %s is done and not recorded", name, call)
			}
		}
	}
	s, e, j := before(t)
	j.full = true
	for what, err := range map[string]error{
		"export": func() error { _, err := s.Export(ctx, penumbra.ObservationQuery{}, io.Discard); return err }(),
		"ingest": func() error { _, err := s.Ingest(ctx, strings.NewReader(""), "x"); return err }(),
		"audit":  func() error { _, err := s.AuditEntries(ctx, penumbra.AuditQuery{}); return err }(),
	} {
		if err == nil {
			t.Errorf("%s goes on unrecorded", what)
		}
	}
	if len(e.calls) > 0 {
		t.Errorf("calls %v", e.calls)
	}
}

func TestNewsOfOthersHaveTheirNumbersAlone(t *testing.T) {
	t.Parallel()
	s, _, _ := before(t)
	news, err := s.News(as(t, penumbra.Grant{Role: penumbra.Viewer, Stacks: []string{"shop"}, Types: []string{"vm"}}), 0)
	if err != nil || len(news) != 2 || news[0].ID != "d-shop-vm" || news[1].Seq != 2 || news[1].ID != "" || news[1].Topic != "" {
		t.Errorf("%+v, %v", news, err)
	}
	if _, err := s.News(as(t), 0); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("somebody without a grant: %v", err)
	}
}

func TestNobodySeesNothing(t *testing.T) {
	t.Parallel()
	s, e, _ := before(t)
	for name, read := range reads {
		if _, err := read(t.Context(), s); penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(e.calls) > 0 {
		t.Errorf("calls %v", e.calls)
	}
}

func BenchmarkDrifts(b *testing.B) {
	for _, hidden := range []bool{false, true} {
		b.Run(fmt.Sprintf("hidden=%v", hidden), func(b *testing.B) {
			s, _, _ := before(b)
			ctx := as(b, penumbra.Grant{Role: penumbra.Viewer, Stacks: []string{"shop"}, Values: !hidden, Logs: !hidden})
			for b.Loop() {
				if _, err := s.Drifts(ctx, penumbra.DriftQuery{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Policies are the admins', and hold for all: who may approve on a stack may not have
// one written, or taken away.
func TestPoliciesAreTheAdmins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		grant penumbra.Grant
		ok    bool
	}{
		{penumbra.Grant{Role: penumbra.Approver}, false},
		{penumbra.Grant{Role: penumbra.Admin, Stacks: []string{"shop"}}, false},
		{penumbra.Grant{Role: penumbra.Admin}, true},
	} {
		e, j := &lawful{}, &journal{}
		s := guard.New(e, rights(t), j)
		if may := s.MayOn(as(t, c.grant), "proposal.approve", "p-d-shop-vm") == nil; may != c.ok {
			t.Errorf("%+v: what is shown is that they may: %v", c.grant, may)
		}
		_, err := s.Approve(as(t, c.grant), "p-d-shop-vm", "h", "")
		if (err == nil) != c.ok || c.ok != (len(e.calls) == 1) || !c.ok && (penumbra.KindOf(err) != penumbra.Refused || !strings.Contains(err.Error(), "may not policy.change")) {
			t.Errorf("%+v: %v, calls %v", c.grant, err, e.calls)
		}
		if refused := slices.ContainsFunc(j.entries, func(x penumbra.AuditEntry) bool {
			return x.Act == "policy.change" && x.Outcome == penumbra.AuditRefused
		}); refused == c.ok {
			t.Errorf("%+v: that it was refused is recorded: %v", c.grant, refused)
		}
	}
}

type lawful struct{ estate }

func (e *lawful) Proposal(ctx context.Context, id string) (penumbra.Proposal, error) {
	p, err := e.estate.Proposal(ctx, id)
	p.Kind, p.Plan, p.Patch, p.Policy = penumbra.GuardPolicy, nil, nil, &penumbra.PolicyFile{Name: "guard.cedar"}
	return p, err
}

// The figures of a model are of the whole estate: who sees a part of it sees how it went.
func TestFiguresAreForWhoMayAskForThem(t *testing.T) {
	t.Parallel()
	s, _, _ := before(t)
	for role, want := range map[penumbra.Role]bool{penumbra.Viewer: false, penumbra.Approver: false, penumbra.Admin: true} {
		list, err := s.ModelTasks(as(t, penumbra.Grant{Role: role, Values: true, Logs: true}))
		if err != nil || len(list) != 1 || list[0].ID != "x" || (list[0].Figures != nil) != want {
			t.Errorf("%s: %+v, %v", role, list, err)
		}
	}
}
