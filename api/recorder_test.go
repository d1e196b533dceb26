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
	report    penumbra.IngestReport
	model     penumbra.ModelStatus
	versions  []penumbra.ModelVersion
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

func (r *recorder) Approve(_ context.Context, proposal, hash, by string) (penumbra.Run, error) {
	return first(r.runs), r.record("Approve", proposal, hash, by)
}

func (r *recorder) Reject(_ context.Context, proposal, by, reason string) error {
	return r.record("Reject", proposal, by, reason)
}

func (r *recorder) Customize(_ context.Context, proposal string, values []penumbra.Setting, by string) (penumbra.Proposal, error) {
	return first(r.proposals), r.record("Customize", proposal, values, by)
}

func (r *recorder) Rollback(_ context.Context, run, by string) (penumbra.Proposal, error) {
	return first(r.proposals), r.record("Rollback", run, by)
}

func (r *recorder) Acknowledge(_ context.Context, drift, by string) (penumbra.Drift, error) {
	return first(r.drifts), r.record("Acknowledge", drift, by)
}

func (r *recorder) Accept(_ context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error) {
	return first(r.drifts), r.record("Accept", drift, by, reason, until)
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
