package guard_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/guard"
	"github.com/penumbra-iac/penumbra/policy"
)

// planted is what values have in them that not everybody may see.
const planted = "planted-value"

// estate is a loop with two stacks that are alike, shop and pay, each with a database
// and a machine.
type estate struct {
	guard.Inner      // nil: what no test asks for
	parted      bool // drifts have two settings, of which one can be adopted
	mu          sync.Mutex
	calls       []string
}

var at = time.Date(2026, 3, 14, 9, 41, 0, 0, time.UTC)

var stacks = []string{"shop", "pay"}

func (e *estate) note(call string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, call)
}

func (e *estate) resources() []penumbra.ResourceStatus {
	var out []penumbra.ResourceStatus
	for _, s := range stacks {
		for kind, name := range map[string]string{"aws_db": "aws_db.main", "vm": "vm.a"} {
			out = append(out, penumbra.ResourceStatus{Address: penumbra.Address(s + "/" + name), Type: kind, Verdict: penumbra.Drifted, Settings: 3})
		}
	}
	return out
}

func (e *estate) Status(ctx context.Context) (penumbra.Status, error) {
	return e.StatusOf(ctx, penumbra.StatusQuery{})
}

func (e *estate) StatusOf(_ context.Context, q penumbra.StatusQuery) (penumbra.Status, error) {
	st := penumbra.Status{
		Stacks: []penumbra.StackStatus{{Name: "shop"}, {Name: "pay"}}, Verdicts: map[penumbra.Verdict]int{}, Drifts: map[penumbra.Verdict]int{},
		Observations: 99, Quarantined: 1, Inputs: []penumbra.InputStatus{{Name: "logs"}}, Model: "pooled", Time: at,
	}
	for _, r := range e.resources() {
		stack := r.Address.Stack()
		st.Closer = append(st.Closer, penumbra.Attention{Resource: r.Address})
		if q.Drifts.Includes(stack, r.Type) {
			st.Drifts[penumbra.Drifted]++
		}
		if q.Anomalies.Includes(stack, r.Type) && r.Type == "vm" {
			st.Anomalies++
		}
		if q.Resources.Includes(stack, r.Type) {
			x := &st.Stacks[slices.Index(stacks, stack)]
			x.Resources++
			x.Worst = r.Verdict
			st.Resources++
			st.Settings += r.Settings
			st.Verdicts[r.Verdict]++
		}
	}
	return st, nil
}

func (e *estate) TypeOf(a penumbra.Address) string {
	for _, r := range e.resources() {
		if r.Address == a {
			return r.Type
		}
	}
	return ""
}

func (e *estate) Resources(_ context.Context, stack string) ([]penumbra.ResourceStatus, error) {
	var out []penumbra.ResourceStatus
	for _, r := range e.resources() {
		if stack == "" || r.Address.Stack() == stack {
			out = append(out, r)
		}
	}
	return out, nil
}

func driftsOf() []penumbra.Drift {
	secret := penumbra.String(planted)
	var out []penumbra.Drift
	for _, s := range stacks {
		for kind, name := range map[string]string{"aws_db": "aws_db.main", "vm": "vm.a"} {
			out = append(out, penumbra.Drift{
				ID: "d-" + s + "-" + kind, Resource: penumbra.Address(s + "/" + name), Type: kind, Verdict: penumbra.Drifted, Cause: penumbra.Cause{Key: "k", Actor: "ann"},
				Findings: []penumbra.Finding{{Path: "size", Verdict: penumbra.Drifted, Template: secret, Actual: secret, Hazard: planted, Expectation: penumbra.Expectation{
					Path: "size", Values: []penumbra.Candidate{{Value: secret, Probability: 1}}, Interval: &penumbra.Interval{Low: 1, High: 2},
				}}},
				Opened: at, Changed: at,
			})
		}
	}
	return out
}

func (e *estate) Drifts(_ context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	var out []penumbra.Drift
	for _, d := range driftsOf() {
		if e.parted {
			d.Findings = append(d.Findings, penumbra.Finding{Path: "zone", Verdict: penumbra.Drifted, Actual: penumbra.String("b")})
		}
		if (q.ID == "" || d.ID == q.ID) && (q.Stack == "" || d.Resource.Stack() == q.Stack) && (q.Limit == 0 || len(out) < q.Limit) {
			out = append(out, d)
		}
	}
	return out, nil
}

func (e *estate) Shadow(_ context.Context, a penumbra.Address) (penumbra.ShadowView, error) {
	secret := penumbra.String(planted)
	drifts := driftsOf()
	return penumbra.ShadowView{
		Resource: penumbra.Resource{Address: a, Type: "vm", Actual: penumbra.NewSettings(penumbra.Setting{Path: "size", Value: secret})}, Time: at, Verdict: penumbra.Drifted,
		Settings: []penumbra.SettingView{{Path: "size", Template: secret, Actual: secret, Forecast: penumbra.Forecast{Path: "size", Next: secret, Reason: planted}}},
		Drifts:   drifts[:1], History: []penumbra.HistoryPoint{{Time: at, Kind: penumbra.SnapshotKind, Path: "size", Value: secret}},
	}, nil
}

func (e *estate) Explain(_ context.Context, a penumbra.Address, path string) ([]penumbra.Explanation, error) {
	return []penumbra.Explanation{{Resource: a, Path: path, Sentence: "it is " + planted, Influences: []penumbra.Influence{{Text: planted}}}}, nil
}

func (e *estate) Expected(context.Context, penumbra.Address, string) ([]penumbra.ExpectedPoint, error) {
	return []penumbra.ExpectedPoint{{}}, nil
}

func (e *estate) proposal(drift string) penumbra.Proposal {
	d := driftsOf()
	stack, kind := "shop", "vm"
	for i := range d {
		if d[i].ID == drift {
			stack, kind = d[i].Resource.Stack(), d[i].Type
		}
	}
	secret := penumbra.String(planted)
	return penumbra.Proposal{
		ID: "p-" + drift, Drift: drift, Kind: penumbra.Revert, Title: "Set it to " + planted, State: penumbra.Proposed, Hash: "h", Script: planted, Explanation: planted,
		Impact: planted, WayBack: planted, Difference: planted, Created: at,
		Plan: &penumbra.Plan{Hash: "h", Stack: stack, Text: planted, Command: planted, Changes: []penumbra.PlannedChange{
			{Resource: penumbra.Address(stack + "/vm.a"), Type: kind, Action: penumbra.Update, Changes: []penumbra.PathChange{{Path: "size", Before: secret, After: secret}}},
		}},
		Patch:  &penumbra.Patch{Stack: stack, Note: planted, Files: []penumbra.FilePatch{{Path: "main.tf", Before: planted, After: planted, Diff: planted}}},
		Values: penumbra.NewSettings(penumbra.Setting{Path: "size", Value: secret}),
		Facts:  []penumbra.Fact{{Title: "t", Best: &penumbra.Best{Value: secret, Why: planted}}},
	}
}

func (e *estate) Proposals(_ context.Context, drift string) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	return []penumbra.Proposal{e.proposal(drift)}, []penumbra.Omitted{{Kind: penumbra.Adopt, Reason: "it is " + planted}}, nil
}

func (e *estate) Proposal(_ context.Context, id string) (penumbra.Proposal, error) {
	if len(id) < 3 {
		return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.NotFound, What: "no proposal " + id}
	}
	return e.proposal(id[2:]), nil
}

func (e *estate) Runs(_ context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	var out []penumbra.Run
	for _, d := range driftsOf() {
		run := penumbra.Run{
			ID: "r-" + d.ID, Proposal: "p-" + d.ID, Drift: d.ID, Stack: d.Resource.Stack(), State: penumbra.Done, Started: at, Log: "tofu says " + planted, Outcome: planted,
			Before: map[penumbra.Address]penumbra.Settings{d.Resource: penumbra.NewSettings(penumbra.Setting{Path: "size", Value: penumbra.String(planted)})},
			Steps:  []penumbra.RunStep{{State: penumbra.Done, Time: at, Note: planted}},
		}
		if (q.ID == "" || run.ID == q.ID) && (q.Stack == "" || run.Stack == q.Stack) && (q.Limit == 0 || len(out) < q.Limit) {
			out = append(out, run)
		}
	}
	return out, nil
}

func (e *estate) Approve(_ context.Context, id, _, by string) (penumbra.Approval, error) {
	e.note("approve by " + by)
	runs, _ := e.Runs(context.Background(), penumbra.RunQuery{ID: "r-" + id[2:]})
	return penumbra.Approval{Decision: penumbra.Decision{ID: "c-1", By: by}, By: []string{by}, Needs: 1, Run: &runs[0]}, nil
}

func (e *estate) Reject(_ context.Context, _, by, _ string) error {
	e.note("reject by " + by)
	return nil
}

func (e *estate) Customize(_ context.Context, id string, _ penumbra.Edit, by string) (penumbra.Proposal, error) {
	e.note("customize by " + by)
	return e.proposal(id[2:]), nil
}

func (e *estate) AdoptPart(_ context.Context, drift string, _ []string, _ bool, by string) (penumbra.Proposal, error) {
	e.note("adopt by " + by)
	return e.proposal(drift), nil
}

func (e *estate) Rollback(_ context.Context, run, by string) (penumbra.Proposal, error) {
	e.note("rollback by " + by)
	return e.proposal(run[2:]), nil
}

func (e *estate) Review(_ context.Context, run string) (penumbra.Run, error) {
	e.note("review")
	runs, err := e.Runs(context.Background(), penumbra.RunQuery{ID: run})
	return runs[0], err
}

func (e *estate) one(id, call string) (penumbra.Drift, error) {
	e.note(call)
	found, err := e.Drifts(context.Background(), penumbra.DriftQuery{ID: id})
	return found[0], err
}

func (e *estate) Acknowledge(_ context.Context, drift, by string) (penumbra.Drift, error) {
	return e.one(drift, "acknowledge by "+by)
}

func (e *estate) Accept(_ context.Context, drift, by, _ string, _ time.Time) (penumbra.Drift, error) {
	return e.one(drift, "accept by "+by)
}

func (e *estate) Snooze(_ context.Context, drift, by, _ string, _ time.Time) (penumbra.Drift, error) {
	return e.one(drift, "snooze by "+by)
}

func (e *estate) Decisions(_ context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	var out []penumbra.Decision
	for _, d := range driftsOf() {
		if q.Drift == "" || q.Drift == d.ID {
			out = append(out, penumbra.Decision{ID: "c-" + d.ID, Drift: d.ID, Verb: penumbra.Snooze, By: "ann", Time: at})
		}
	}
	return out, nil
}

func (e *estate) Policies(_ context.Context, proposal, by string) (penumbra.PolicyReport, error) {
	return penumbra.PolicyReport{Proposal: proposal, By: by, InWindow: true, Answers: []penumbra.PolicyAnswer{{Verb: penumbra.Approve, By: by, Allowed: true, Needs: 1}, {Verb: penumbra.Approve}}}, nil
}

func (e *estate) Freezes(context.Context) ([]penumbra.Freeze, error) {
	return []penumbra.Freeze{{ID: "f-shop", Stacks: []string{"shop"}, Reason: "r", Created: at, From: at}, {ID: "f-pay", Stacks: []string{"pay"}, Reason: "r", Created: at, From: at}, {ID: "f-all", Reason: "r", Created: at, From: at}}, nil
}

func (e *estate) Freeze(_ context.Context, f penumbra.Freeze) (penumbra.Freeze, error) {
	e.note("freeze by " + f.By)
	return f, nil
}

func (e *estate) Unfreeze(_ context.Context, id, by string) (penumbra.Freeze, error) {
	e.note("unfreeze by " + by)
	return penumbra.Freeze{ID: id}, nil
}

func (e *estate) Ingest(_ context.Context, r io.Reader, _ string) (penumbra.IngestReport, error) {
	e.note("ingest")
	_, err := io.Copy(io.Discard, r)
	return penumbra.IngestReport{}, err
}

func (e *estate) Export(_ context.Context, _ penumbra.ObservationQuery, w io.Writer) (int, error) {
	e.note("export")
	return io.WriteString(w, planted)
}

func (e *estate) Trigger(context.Context, string) error {
	e.note("read")
	return nil
}

func (e *estate) Model(context.Context) (penumbra.ModelStatus, error) {
	return penumbra.ModelStatus{Family: "pooled"}, nil
}

func (e *estate) Versions(context.Context) ([]penumbra.ModelVersion, error) { return nil, nil }

func (e *estate) AddVersion(context.Context, penumbra.ModelVersion, []byte) (penumbra.ModelVersion, error) {
	e.note("add version")
	return penumbra.ModelVersion{}, nil
}

func (e *estate) Promote(_ context.Context, _ int, by, _ string) (penumbra.ModelVersion, error) {
	e.note("promote by " + by)
	return penumbra.ModelVersion{}, nil
}

func (e *estate) RollbackModel(_ context.Context, by string) (penumbra.ModelVersion, error) {
	e.note("rollback model by " + by)
	return penumbra.ModelVersion{}, nil
}

func (e *estate) Nodes(context.Context) (penumbra.Nodes, error) {
	return penumbra.Nodes{Nodes: []penumbra.Node{{Name: "a"}}}, nil
}

func (e *estate) Inputs(context.Context) ([]penumbra.InputStatus, error) {
	return []penumbra.InputStatus{{Name: "logs"}}, nil
}

func (e *estate) Unmapped(context.Context, int) (penumbra.Unmapped, error) {
	return penumbra.Unmapped{Records: 1, Kinds: []penumbra.UnmappedKind{{Input: "logs", Format: "json", Action: "a", Reason: "no rule", Target: planted, Example: planted, Count: 1}}}, nil
}

func (e *estate) Remap(context.Context) (penumbra.RemapReport, error) {
	e.note("remap")
	return penumbra.RemapReport{}, nil
}

func (e *estate) Anomalies(_ context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	var out []penumbra.Anomaly
	for _, s := range stacks {
		a := penumbra.Anomaly{ID: "a-" + s, Resource: penumbra.Address(s + "/vm.a"), Metric: "cpu", Onset: at, Time: at, Worse: true}
		for _, of := range stacks {
			a.Suspects = append(a.Suspects, penumbra.Suspect{Resource: penumbra.Address(of + "/aws_db.main"), Path: "size", Before: penumbra.String(planted), After: penumbra.String(planted), Reason: planted, Time: at})
		}
		if q.ID == "" || q.ID == a.ID {
			out = append(out, a)
		}
	}
	return out, nil
}

func (e *estate) Rollups(_ context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	var out []penumbra.Rollup
	for _, r := range e.resources() {
		if q.Resource == "" || q.Resource == r.Address {
			out = append(out, penumbra.Rollup{Resource: r.Address, Metric: "cpu", Start: at, Span: time.Minute, Count: 1})
		}
	}
	return out, nil
}

func (e *estate) StartRecording(context.Context) (string, error) { return "v-1", nil }
func (e *estate) EndRecording(context.Context, string) error     { return nil }
func (e *estate) RecordedValues(context.Context, string, int64) (penumbra.RecordedValues, error) {
	return penumbra.RecordedValues{}, nil
}

func (e *estate) AuditEntries(context.Context, penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	return []penumbra.AuditEntry{{Sequence: 1, Time: at, Act: "run.start", Outcome: penumbra.AuditDone, Count: 1, Hash: "sha256:1"}}, nil
}

func (e *estate) AuditHead(context.Context) (penumbra.AuditHead, error) {
	return penumbra.AuditHead{Sequence: 1, Hash: "sha256:1", Time: at}, nil
}

func (e *estate) VerifyAudit(context.Context, []penumbra.AuditHead) (penumbra.AuditReport, error) {
	return penumbra.AuditReport{Entries: 1}, nil
}

func (e *estate) Accounts(context.Context) ([]penumbra.Account, error) { return nil, nil }
func (e *estate) AddAccount(_ context.Context, n penumbra.NewAccount) (penumbra.Account, error) {
	e.note("add account")
	return penumbra.Account{Name: n.Name}, nil
}

func (e *estate) ChangeAccount(_ context.Context, name string, _ penumbra.AccountChange) (penumbra.Account, error) {
	e.note("change account")
	return penumbra.Account{Name: name}, nil
}

func (e *estate) Tokens(context.Context) ([]penumbra.Token, error) { return nil, nil }
func (e *estate) AddToken(context.Context, penumbra.NewToken) (penumbra.MadeToken, error) {
	e.note("add token")
	return penumbra.MadeToken{}, nil
}

func (e *estate) RevokeToken(context.Context, string) (penumbra.Token, error) {
	e.note("revoke token")
	return penumbra.Token{}, nil
}

func (e *estate) LastNews() uint64 { return 0 }
func (e *estate) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	if after >= 2 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []penumbra.News{{Seq: 1, Time: at, Topic: penumbra.DriftNews, ID: "d-shop-vm", Stack: "shop", Verb: "opened"}, {Seq: 2, Time: at, Topic: penumbra.DriftNews, ID: "d-pay-vm", Stack: "pay", Verb: "opened"}}[after:], nil
}

// journal is an audit log in memory.
type journal struct {
	mu      sync.Mutex
	entries []penumbra.AuditEntry
	full    bool
}

var errFull = errors.New("no room")

func (j *journal) Record(ctx context.Context, e penumbra.AuditEntry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full {
		return &penumbra.Error{Kind: penumbra.Full, What: "write to the audit log", Err: errFull}
	}
	if p := penumbra.PrincipalOf(ctx); p != nil {
		e.Principal = p.ID
	}
	j.entries = append(j.entries, e)
	return nil
}

func (j *journal) Count(ctx context.Context, e penumbra.AuditEntry) error { return j.Record(ctx, e) }

// rights are those that ship, with shop in prod and pay in test.
func rights(t testing.TB) *policy.Access {
	t.Helper()
	a, mistakes, err := policy.LoadAccess(nil, map[string]string{"shop": "prod", "pay": "test"})
	if err != nil || len(mistakes) > 0 {
		t.Fatal(err, mistakes)
	}
	return a
}

// as is a context of somebody with grants.
func as(t testing.TB, grants ...penumbra.Grant) context.Context {
	return penumbra.WithPrincipal(t.Context(), &penumbra.Principal{ID: "user:ann", Name: "ann", Kind: penumbra.PersonPrincipal, Grants: grants})
}

func (e *estate) Channels(context.Context) ([]penumbra.ChannelStatus, error) { return nil, nil }
func (e *estate) Notices(context.Context, penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	return nil, nil
}

func (e *estate) ResendNotice(_ context.Context, id string) (penumbra.Notice, error) {
	e.note("resend")
	return penumbra.Notice{ID: id}, nil
}

func (e *estate) TestChannel(_ context.Context, channel, by string) (penumbra.Notice, error) {
	e.note("test by " + by)
	return penumbra.Notice{Channel: channel}, nil
}

func (e *estate) FindResources(_ context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error) {
	var page penumbra.ResourcePage
	for _, r := range e.resources() {
		if q.Sees.Includes(r.Address.Stack(), r.Type) {
			page.Resources = append(page.Resources, r)
		}
	}
	page.Found = len(page.Resources)
	return page, nil
}

func (e *estate) FindDrifts(_ context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error) {
	var page penumbra.DriftPage
	for _, d := range driftsOf() {
		if q.Sees.Includes(d.Resource.Stack(), d.Type) {
			page.Drifts = append(page.Drifts, d)
		}
	}
	page.Found = len(page.Drifts)
	return page, nil
}

func (e *estate) SignIn(_ context.Context, name, _, _ string) (*penumbra.Principal, error) {
	return &penumbra.Principal{ID: "user:" + name, Name: name, Kind: penumbra.PersonPrincipal}, nil
}

func (e *estate) Knowledge(context.Context, penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error) {
	return nil, nil
}

func (e *estate) StartTask(_ context.Context, n penumbra.NewModelTask) (penumbra.ModelTask, error) {
	e.note("start task")
	return penumbra.ModelTask{ID: "x", Asked: n}, nil
}

func (e *estate) ModelTasks(context.Context) ([]penumbra.ModelTask, error) {
	return []penumbra.ModelTask{{ID: "x", State: penumbra.TaskDone, Figures: []byte(`{"known":true}`)}}, nil
}

func (e *estate) Moved(_ context.Context, stack string) (penumbra.Renames, error) {
	e.note("plan " + stack)
	return penumbra.Renames{Moves: []penumbra.Rename{{From: penumbra.Address(stack + "/vm.a"), To: penumbra.Address(stack + "/vm.b")}}, Patch: &penumbra.Patch{Stack: stack, Note: planted, Files: []penumbra.FilePatch{{Path: "moved.tf", After: planted, Diff: planted}}}}, nil
}
