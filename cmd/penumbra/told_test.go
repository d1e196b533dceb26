package main

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// tale is a daemon that answers what a file says, for what the verbs print of
// it: logs and metrics of all sorts do not come about in a script.
type tale struct {
	api.Service `json:"-"` // nil: what no script asks for

	Now    penumbra.Status
	Shared penumbra.Nodes
	Found  []penumbra.Drift
	Aside  penumbra.Unmapped
	Again  penumbra.RemapReport
	Noted  []penumbra.Anomaly
	Rolled []penumbra.Rollup
	Ran    []penumbra.Run
}

func (t *tale) Reach(context.Context, penumbra.Act) error { return nil }

func (t *tale) Status(context.Context) (penumbra.Status, error) { return t.Now, nil }

func (t *tale) Drifts(_ context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	return slices.DeleteFunc(slices.Clone(t.Found), func(d penumbra.Drift) bool { return q.ID != "" && q.ID != d.ID }), nil
}

func (t *tale) FindDrifts(ctx context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error) {
	found, err := t.Drifts(ctx, q)
	return penumbra.DriftPage{Drifts: found, Found: len(found)}, err
}

func (t *tale) Runs(_ context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	return slices.DeleteFunc(slices.Clone(t.Ran), func(r penumbra.Run) bool { return q.ID != "" && q.ID != r.ID }), nil
}

func (t *tale) Nodes(context.Context) (penumbra.Nodes, error) { return t.Shared, nil }

func (t *tale) Inputs(context.Context) ([]penumbra.InputStatus, error) { return t.Now.Inputs, nil }

func (t *tale) Unmapped(_ context.Context, limit int) (penumbra.Unmapped, error) {
	u := t.Aside
	if limit > 0 {
		u.Kinds = u.Kinds[:min(limit, len(u.Kinds))]
	}
	return u, nil
}

func (t *tale) Remap(context.Context) (penumbra.RemapReport, error) { return t.Again, nil }

func (t *tale) Anomalies(_ context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	found := slices.DeleteFunc(slices.Clone(t.Noted), func(a penumbra.Anomaly) bool {
		return q.ID != "" && q.ID != a.ID || q.Active && !a.Active() || q.Resource != "" && q.Resource != a.Resource
	})
	if q.ID != "" && len(found) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.NotFound, What: "there is no anomaly " + q.ID}
	}
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	return found, nil
}

func (t *tale) Rollups(context.Context, penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	return t.Rolled, nil
}

// told FILE runs a daemon on .penumbra that answers what the file says, until
// the script ends.
func told(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: told FILE")
	}
	var t tale
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &t))
	dir := ts.MkAbs(".penumbra")
	token, err := wire.SecretFile(dir, wire.TokenFile)
	ts.Check(err)
	server := httptest.NewServer(api.Handler(&t, access.New(access.Config{Local: access.Owner("test"), LocalSecret: token}), "test"))
	withdraw, err := console.AnnounceDaemon(filepath.Clean(dir), server.URL)
	ts.Check(err)
	ts.Defer(func() { withdraw(); server.Close() })
}
