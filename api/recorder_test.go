package api

import (
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
)

func TestMain(m *testing.M) {
	if code := m.Run(); code != 0 {
		os.Exit(code)
	}
	// Connections that a client keeps open are closed by the tests' servers.
	if err := goleak.Find(); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

// recorder is a Service that remembers its last call and answers with what it
// was given.
type recorder struct {
	mu   sync.Mutex
	call []any // the method's name, then its arguments
	err  error

	status    penumbra.Status
	resources []penumbra.ResourceStatus
	shadow    penumbra.ShadowView
	explained []penumbra.Explanation
	drifts    []penumbra.Drift
	proposals []penumbra.Proposal
	omitted   []penumbra.Omitted
	runs      []penumbra.Run
	approval  penumbra.Approval
	decisions []penumbra.Decision
	policies  penumbra.PolicyReport
	freezes   []penumbra.Freeze
	entries   []penumbra.AuditEntry
	audited   penumbra.AuditReport
	report    penumbra.IngestReport
	model     penumbra.ModelStatus
	versions  []penumbra.ModelVersion
	nodes     penumbra.Nodes
	inputs    []penumbra.InputStatus
	unmapped  penumbra.Unmapped
	remapped  penumbra.RemapReport
	anomalies []penumbra.Anomaly
	rollups   []penumbra.Rollup
	channels  []penumbra.ChannelStatus
	notices   []penumbra.Notice
	known     []penumbra.KnowledgeEntry
	recording string
	recorded  penumbra.RecordedValues
	told      bulletin
	taken     []byte
	ingest    func(io.Reader) error
	export    func(io.Writer) (int, error)
}

var _ Service = (*recorder)(nil)

func (r *recorder) record(call ...any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call = call
	return r.err
}

func (r *recorder) called() []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.call
}

func first[T any](list []T) (x T) {
	if len(list) > 0 {
		x = list[0]
	}
	return x
}

func (r *recorder) Status(context.Context) (penumbra.Status, error) {
	return r.status, r.record("Status")
}

func (r *recorder) Resources(_ context.Context, stack string) ([]penumbra.ResourceStatus, error) {
	return r.resources, r.record("Resources", stack)
}

func (r *recorder) Shadow(_ context.Context, a penumbra.Address) (penumbra.ShadowView, error) {
	return r.shadow, r.record("Shadow", a)
}

func (r *recorder) Explain(_ context.Context, a penumbra.Address, path string) ([]penumbra.Explanation, error) {
	return r.explained, r.record("Explain", a, path)
}

func (r *recorder) Drifts(_ context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	return r.drifts, r.record("Drifts", q)
}

func (r *recorder) Proposals(_ context.Context, drift string) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	return r.proposals, r.omitted, r.record("Proposals", drift)
}

func (r *recorder) Proposal(_ context.Context, id string) (penumbra.Proposal, error) {
	return first(r.proposals), r.record("Proposal", id)
}

func (r *recorder) Runs(_ context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	return r.runs, r.record("Runs", q)
}

func (r *recorder) Approve(_ context.Context, proposal, hash, by string) (penumbra.Approval, error) {
	return r.approval, r.record("Approve", proposal, hash, by)
}

func (r *recorder) Reject(_ context.Context, proposal, by, reason string) error {
	return r.record("Reject", proposal, by, reason)
}

func (r *recorder) Customize(_ context.Context, proposal string, edit penumbra.Edit, by string) (penumbra.Proposal, error) {
	return first(r.proposals), r.record("Customize", proposal, edit, by)
}

func (r *recorder) AdoptPart(_ context.Context, drift string, only []string, revert bool, by string) (penumbra.Proposal, error) {
	return first(r.proposals), r.record("AdoptPart", drift, only, revert, by)
}

func (r *recorder) Rollback(_ context.Context, run, by string) (penumbra.Proposal, error) {
	return first(r.proposals), r.record("Rollback", run, by)
}

func (r *recorder) Review(_ context.Context, run string) (penumbra.Run, error) {
	return first(r.runs), r.record("Review", run)
}

func (r *recorder) Acknowledge(_ context.Context, drift, by string) (penumbra.Drift, error) {
	return first(r.drifts), r.record("Acknowledge", drift, by)
}

func (r *recorder) Accept(_ context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error) {
	return first(r.drifts), r.record("Accept", drift, by, reason, until)
}

func (r *recorder) Snooze(_ context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error) {
	return first(r.drifts), r.record("Snooze", drift, by, reason, until)
}

func (r *recorder) Decisions(_ context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	return r.decisions, r.record("Decisions", q)
}

func (r *recorder) Policies(_ context.Context, proposal, by string) (penumbra.PolicyReport, error) {
	return r.policies, r.record("Policies", proposal, by)
}

func (r *recorder) Freezes(context.Context) ([]penumbra.Freeze, error) {
	return r.freezes, r.record("Freezes")
}

func (r *recorder) Freeze(_ context.Context, f penumbra.Freeze) (penumbra.Freeze, error) {
	return first(r.freezes), r.record("Freeze", f)
}

func (r *recorder) Unfreeze(_ context.Context, id, by string) (penumbra.Freeze, error) {
	return first(r.freezes), r.record("Unfreeze", id, by)
}

func (r *recorder) Reach(context.Context, penumbra.Act) error { return nil }

func (r *recorder) AuditEntries(_ context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	return r.entries, r.record("AuditEntries", q)
}

func (r *recorder) AuditHead(context.Context) (penumbra.AuditHead, error) {
	return r.audited.Head, r.record("AuditHead")
}

func (r *recorder) VerifyAudit(_ context.Context, heads []penumbra.AuditHead) (penumbra.AuditReport, error) {
	return r.audited, r.record("VerifyAudit", heads)
}

func (r *recorder) Ingest(_ context.Context, in io.Reader, source string) (penumbra.IngestReport, error) {
	if r.ingest != nil {
		if err := r.ingest(in); err != nil {
			return penumbra.IngestReport{}, err
		}
		return r.report, r.record("Ingest", source)
	}
	taken, err := io.ReadAll(in)
	r.taken = taken
	if err != nil {
		return penumbra.IngestReport{}, err
	}
	return r.report, r.record("Ingest", source)
}

func (r *recorder) Export(_ context.Context, q penumbra.ObservationQuery, w io.Writer) (int, error) {
	if err := r.record("Export", q); err != nil {
		return 0, err
	}
	if r.export == nil {
		return 0, nil
	}
	return r.export(w)
}

func (r *recorder) Trigger(_ context.Context, stack string) error {
	return r.record("Trigger", stack)
}

func (r *recorder) Model(context.Context) (penumbra.ModelStatus, error) {
	return r.model, r.record("Model")
}

func (r *recorder) Versions(context.Context) ([]penumbra.ModelVersion, error) {
	return r.versions, r.record("Versions")
}

func (r *recorder) AddVersion(_ context.Context, v penumbra.ModelVersion, body []byte) (penumbra.ModelVersion, error) {
	return first(r.versions), r.record("AddVersion", v, body)
}

func (r *recorder) Promote(_ context.Context, number int, by, forced string) (penumbra.ModelVersion, error) {
	return first(r.versions), r.record("Promote", number, by, forced)
}

func (r *recorder) RollbackModel(_ context.Context, by string) (penumbra.ModelVersion, error) {
	return first(r.versions), r.record("RollbackModel", by)
}

func (r *recorder) Nodes(context.Context) (penumbra.Nodes, error) {
	return r.nodes, r.record("Nodes")
}

func (r *recorder) Inputs(context.Context) ([]penumbra.InputStatus, error) {
	return r.inputs, r.record("Inputs")
}

func (r *recorder) Unmapped(_ context.Context, limit int) (penumbra.Unmapped, error) {
	return r.unmapped, r.record("Unmapped", limit)
}

func (r *recorder) Remap(context.Context) (penumbra.RemapReport, error) {
	return r.remapped, r.record("Remap")
}

func (r *recorder) Anomalies(_ context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	return r.anomalies, r.record("Anomalies", q)
}

func (r *recorder) Rollups(_ context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	return r.rollups, r.record("Rollups", q)
}

func (r *recorder) StartRecording(context.Context) (string, error) {
	return r.recording, r.record("StartRecording")
}

func (r *recorder) RecordedValues(_ context.Context, recording string, after int64) (penumbra.RecordedValues, error) {
	return r.recorded, r.record("RecordedValues", recording, after)
}

func (r *recorder) EndRecording(_ context.Context, recording string) error {
	return r.record("EndRecording", recording)
}

func (r *recorder) Accounts(context.Context) ([]penumbra.Account, error) {
	return []penumbra.Account{exampleAccount()}, r.record("Accounts")
}

func (r *recorder) AddAccount(_ context.Context, n penumbra.NewAccount) (penumbra.Account, error) {
	return exampleAccount(), r.record("AddAccount", n)
}

func (r *recorder) ChangeAccount(_ context.Context, name string, c penumbra.AccountChange) (penumbra.Account, error) {
	return exampleAccount(), r.record("ChangeAccount", name, c)
}

func (r *recorder) SignIn(_ context.Context, name, password, from string) (*penumbra.Principal, error) {
	p := alice()
	return &p, r.record("SignIn", name, password, from)
}

func (r *recorder) Tokens(context.Context) ([]penumbra.Token, error) {
	return []penumbra.Token{exampleToken()}, r.record("Tokens")
}

func (r *recorder) AddToken(_ context.Context, n penumbra.NewToken) (penumbra.MadeToken, error) {
	return penumbra.MadeToken{Token: exampleToken(), Secret: "s"}, r.record("AddToken", n)
}

func (r *recorder) RevokeToken(_ context.Context, id string) (penumbra.Token, error) {
	return exampleToken(), r.record("RevokeToken", id)
}

func (r *recorder) LastNews() uint64 { return r.told.number() }

func (r *recorder) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	return r.told.after(ctx, after)
}

func (r *recorder) FindResources(_ context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error) {
	return penumbra.ResourcePage{Resources: r.resources, Found: len(r.resources)}, r.record("FindResources", q)
}

func (r *recorder) FindDrifts(_ context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error) {
	return penumbra.DriftPage{Drifts: r.drifts, Found: len(r.drifts)}, r.record("FindDrifts", q)
}

func (r *recorder) Knowledge(_ context.Context, q penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error) {
	return r.known, r.record("Knowledge", q)
}

func (r *recorder) Moved(_ context.Context, stack string) (penumbra.Renames, error) {
	return exampleRenames(), r.record("Moved", stack)
}

func (r *recorder) StartTask(_ context.Context, n penumbra.NewModelTask) (penumbra.ModelTask, error) {
	return exampleTask(), r.record("StartTask", n)
}

func (r *recorder) ModelTasks(context.Context) ([]penumbra.ModelTask, error) {
	return []penumbra.ModelTask{exampleTask()}, r.record("ModelTasks")
}
