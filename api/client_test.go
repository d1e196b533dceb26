package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

const testToken = "test-token"

var asValues = cmp.Comparer(func(a, b penumbra.Value) bool { return a == b })

// ways are the two ways to reach a service: through a socket and without one.
func ways(t *testing.T, s Service) map[string]*Client {
	t.Helper()
	h := Handler(s, opens(testToken), "1.2.3")
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return map[string]*Client{
		"socket":    NewClient(server.URL, testToken, WithHTTPClient(server.Client())),
		"inprocess": InProcess(h, testToken),
	}
}

func secret(t *testing.T) penumbra.Value {
	t.Helper()
	v, ok := penumbra.Secret(penumbra.SecretPrefix + strings.Repeat("0a", 16))
	if !ok {
		t.Fatal("not the text of a secret")
	}
	return v
}

// hostileAddress has everything that a path or a query could trip over.
const hostileAddress = penumbra.Address(`shop/module.a["x/y"].aws_s3_bucket.b["k?&=%2F#+ é<script>"]`)

// fullRecorder answers with values that JSON alone would not bring across.
func fullRecorder(t *testing.T) *recorder {
	hidden := secret(t)
	view := exampleShadow()
	view.Settings = append(view.Settings,
		penumbra.SettingView{
			Path: "password", Declared: true, Sensitive: true, Template: hidden, Actual: hidden,
			Expectation: penumbra.Expectation{Path: "password", Values: []penumbra.Candidate{{Value: hidden, Probability: 1}}},
			Forecast:    penumbra.Forecast{Path: "password", Next: hidden},
		},
		penumbra.SettingView{Path: "endpoint", Declared: true, Template: penumbra.Unknown(), Actual: penumbra.String(hidden.Text())},
	)
	view.History = append(view.History,
		penumbra.HistoryPoint{Time: exampleTime, Kind: penumbra.SnapshotKind, Path: "password", Value: hidden},
		penumbra.HistoryPoint{Time: exampleTime, Kind: penumbra.SnapshotKind, Path: "endpoint", Value: penumbra.String(hidden.Text())})
	drift := exampleDrift()
	drift.Findings = append(drift.Findings, penumbra.Finding{
		Path: "password", Declared: true, Sensitive: true, Template: hidden, Actual: hidden,
		Forecast: &penumbra.Forecast{Next: hidden},
	})
	proposal := exampleProposal()
	proposal.Values = penumbra.NewSettings(penumbra.Setting{Path: "password", Value: hidden, Sensitive: true})
	proposal.Rule = &penumbra.Rule{ID: "u-1", Pattern: "a.b.c", Created: exampleTime, Value: &hidden}
	proposal.Plan.Changes[0].Changes = append(proposal.Plan.Changes[0].Changes,
		penumbra.PathChange{Path: "password", Before: hidden, After: penumbra.Unknown(), Unknown: true})
	run := exampleRun()
	run.Before = map[penumbra.Address]penumbra.Settings{hostileAddress: proposal.Values}
	anomaly := exampleAnomaly()
	anomaly.Suspects = append(anomaly.Suspects, penumbra.Suspect{Resource: hostileAddress, Path: "password", Before: hidden, After: penumbra.Value{}, Time: exampleTime, Probability: 0.04})
	return &recorder{
		nodes: exampleNodes(), inputs: exampleInputs(), unmapped: exampleUnmapped(), remapped: penumbra.RemapReport{Tried: 9, Mapped: 4},
		anomalies: []penumbra.Anomaly{anomaly, {ID: "a-1", Kind: penumbra.Silence, Time: exampleTime, Ended: exampleTime.Add(time.Hour)}}, rollups: []penumbra.Rollup{exampleRollup()},
		known: []penumbra.KnowledgeEntry{exampleKnowledge()}, channels: []penumbra.ChannelStatus{exampleChannel()}, notices: []penumbra.Notice{exampleNotice()},
		recording: "v-1", recorded: exampleRecorded(),
		status: exampleStatus(), resources: exampleResources(), shadow: view, explained: []penumbra.Explanation{exampleExplanation()}, drifts: []penumbra.Drift{drift},
		proposals: []penumbra.Proposal{proposal}, omitted: []penumbra.Omitted{{Kind: penumbra.Adopt, Reason: "sensitive"}},
		model: exampleModel(), versions: []penumbra.ModelVersion{exampleVersion(), {Number: 2, Created: exampleTime, State: penumbra.RefusedVersion}},
		approval:  penumbra.Approval{Decision: exampleDecision(), By: []string{"alice", "bob"}, Needs: 3, Scheduled: exampleTime},
		decisions: []penumbra.Decision{exampleDecision(), {ID: "c-12", Drift: "d-1", Verb: penumbra.Snooze, Until: exampleTime, Time: exampleTime}},
		policies:  exampleReport(), freezes: []penumbra.Freeze{exampleFreeze()},
		entries: []penumbra.AuditEntry{exampleEntry()},
		audited: penumbra.AuditReport{Entries: 3, Head: exampleHead(), Keyed: 2, Heads: 1, Fault: &penumbra.AuditFault{Sequence: 2, What: "changed"}},
		runs:    []penumbra.Run{run}, report: penumbra.IngestReport{Lines: 2, Added: 1, Bad: 1, BadLines: []penumbra.BadLine{exampleBadLine()}},
	}
}

// The service is asked for one more than is on a page: whether there is a next one.
func oneMore(q penumbra.RunQuery) penumbra.RunQuery { q.Limit++; return q }

func oneMoreNotice(q penumbra.NoticeQuery) penumbra.NoticeQuery { q.Limit++; return q }

func oneMoreAnomaly(q penumbra.AnomalyQuery) penumbra.AnomalyQuery { q.Limit++; return q }

// TestRoundTrip holds that each method passes its arguments on and returns what
// the service returned, unchanged.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	r := fullRecorder(t)
	until := exampleTime.Add(24 * time.Hour)
	driftQuery := penumbra.DriftQuery{
		ID: "d/1", Resource: hostileAddress, Stack: "shop", Active: true, Resolved: true, Critical: true, Snoozed: new(bool), Type: "a&b",
		Verdicts: []penumbra.Verdict{penumbra.NotChecked, penumbra.Drifted}, Text: "<é>", After: "c?1", Limit: 7,
	}
	resourceQuery := penumbra.ResourceQuery{
		Stack: "shop", Type: "a&b", Verdicts: []penumbra.Verdict{penumbra.InSync}, Text: "<é>", Order: penumbra.LongestUnseen,
		Page: penumbra.Page{Limit: 7, After: "c?1"},
	}
	runQuery := penumbra.RunQuery{ID: "r?1", Proposal: "p#1", Stack: "shop", Unended: true, Limit: 3}
	auditQuery := penumbra.AuditQuery{
		Principal: "user:a&b", Act: "drift.*", Outcome: penumbra.AuditRefused, Stack: "shop", ID: "d/1", From: exampleTime, To: until,
		After: 3, Before: 9, Limit: 5, Latest: true,
	}
	anomalyQuery := penumbra.AnomalyQuery{ID: "a/1", Resource: hostileAddress, Stack: "shop", Active: true, From: exampleTime, Limit: 9}
	taskAsked := penumbra.NewModelTask{Kind: penumbra.TrainTask, Families: []string{"pooled"}, Seed: 7, Window: .3, Sample: 2, Keep: true}
	knowledgeAsked := penumbra.KnowledgeQuery{Type: "aws_db_*", Path: "instance_class"}
	noticeQuery := penumbra.NoticeQuery{ID: "m/1", Channel: "ops", States: []penumbra.NoticeState{penumbra.NoticeDead}, Limit: 9}
	rollupQuery := penumbra.RollupQuery{Resource: hostileAddress, Metric: "a&b=<c>", Span: 15 * time.Minute, From: exampleTime, To: until}
	large := bytes.Repeat([]byte{0, 255, 7}, 1<<20) // more than a body may have elsewhere
	values := []penumbra.Setting{{Path: "tags.team", Value: penumbra.String("<pay>")}, {Path: "port", Value: penumbra.Number(5432)}}
	files := penumbra.Edit{Files: []penumbra.FileEdit{{Path: "main.tf", Content: "a = \"<b>\"\n"}}}
	asked := penumbra.Freeze{Stacks: []string{"shop"}, From: exampleTime, Until: until, Reason: "the sale", By: "alice"}
	newcomer := penumbra.NewAccount{Name: "bob", Password: "<a long password>", Grants: exampleAccount().Grants}
	password, off := "another", true
	change := penumbra.AccountChange{Password: &password, Current: "one", Grants: &[]penumbra.Grant{{Role: penumbra.Viewer}}, Disabled: &off, SignOut: true}
	issue := penumbra.NewToken{Name: "ci", Kind: penumbra.ServicePrincipal, Grants: exampleToken().Grants, Lasts: time.Hour}
	for _, tc := range []struct {
		do   func(context.Context, *Client) (any, error)
		want any
		call []any
	}{
		{func(ctx context.Context, c *Client) (any, error) { return c.Status(ctx) }, r.status, []any{"Status"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Resources(ctx, "shop") }, r.resources, []any{"FindResources", penumbra.ResourceQuery{Stack: "shop", Page: penumbra.Page{Limit: largestPage}}}},
		{func(ctx context.Context, c *Client) (any, error) { return c.FindResources(ctx, resourceQuery) }, penumbra.ResourcePage{Resources: r.resources, Found: len(r.resources)}, []any{"FindResources", resourceQuery}},
		{func(ctx context.Context, c *Client) (any, error) { return c.FindDrifts(ctx, driftQuery) }, penumbra.DriftPage{Drifts: r.drifts, Found: 1}, []any{"FindDrifts", driftQuery}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Shadow(ctx, hostileAddress) }, r.shadow, []any{"Shadow", hostileAddress}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Explain(ctx, hostileAddress, "tags.a b") }, r.explained, []any{"Explain", hostileAddress, "tags.a b"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Explain(ctx, hostileAddress, "") }, r.explained, []any{"Explain", hostileAddress, ""}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Drifts(ctx, driftQuery) }, r.drifts, []any{"FindDrifts", driftQuery}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Drifts(ctx, penumbra.DriftQuery{}) }, r.drifts, []any{"FindDrifts", penumbra.DriftQuery{Limit: largestPage}}},
		{func(ctx context.Context, c *Client) (any, error) {
			p, o, err := c.Proposals(ctx, "d/1 %2F")
			return []any{p, o}, err
		}, []any{r.proposals, r.omitted}, []any{"Proposals", "d/1 %2F"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Proposal(ctx, "p-1") }, r.proposals[0], []any{"Proposal", "p-1"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Runs(ctx, runQuery) }, r.runs, []any{"Runs", oneMore(runQuery)}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Approve(ctx, "p-1", exampleHash, "alice") }, r.approval, []any{"Approve", "p-1", exampleHash, "alice"}},
		{func(ctx context.Context, c *Client) (any, error) {
			return nil, c.Reject(ctx, "p-1", "alice", "no")
		}, nil, []any{"Reject", "p-1", "alice", "no"}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.AdoptPart(ctx, "d-1", []string{"tags"}, true, "alice")
		}, r.proposals[0], []any{"AdoptPart", "d-1", []string{"tags"}, true, "alice"}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.Customize(ctx, "p-1", penumbra.Edit{Values: values}, "alice")
		}, r.proposals[0], []any{"Customize", "p-1", penumbra.Edit{Values: values}, "alice"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Customize(ctx, "p-1", files, "alice") }, r.proposals[0], []any{"Customize", "p-1", files, "alice"}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.Snooze(ctx, "d-1", "alice", "later", until)
		}, r.drifts[0], []any{"Snooze", "d-1", "alice", "later", until}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.Snooze(ctx, "d-1", "alice", "", time.Time{})
		}, r.drifts[0], []any{"Snooze", "d-1", "alice", "", time.Time{}}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.Decisions(ctx, penumbra.DecisionQuery{Proposal: "p#1", Drift: "d?1"})
		}, r.decisions, []any{"Decisions", penumbra.DecisionQuery{Proposal: "p#1", Drift: "d?1", Limit: largestPage + 1}}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Policies(ctx, "p/1", "a&b") }, r.policies, []any{"Policies", "p/1", "a&b"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Freezes(ctx) }, r.freezes, []any{"Freezes"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Freeze(ctx, asked) }, r.freezes[0], []any{"Freeze", asked}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Unfreeze(ctx, "f/1", "alice") }, r.freezes[0], []any{"Unfreeze", "f/1", "alice"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.AuditEntries(ctx, auditQuery) }, r.entries, []any{"AuditEntries", auditQuery}},
		{func(ctx context.Context, c *Client) (any, error) { return c.AuditHead(ctx) }, r.audited.Head, []any{"AuditHead"}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.VerifyAudit(ctx, []penumbra.AuditHead{exampleHead()})
		}, r.audited, []any{"VerifyAudit", []penumbra.AuditHead{exampleHead()}}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Rollback(ctx, "r-1", "alice") }, r.proposals[0], []any{"Rollback", "r-1", "alice"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Review(ctx, "r-1") }, r.runs[0], []any{"Review", "r-1"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Acknowledge(ctx, "d-1", "alice") }, r.drifts[0], []any{"Acknowledge", "d-1", "alice"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Accept(ctx, "d-1", "alice", "ok", until) }, r.drifts[0], []any{"Accept", "d-1", "alice", "ok", until}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.Accept(ctx, "d-1", "alice", "", time.Time{})
		}, r.drifts[0], []any{"Accept", "d-1", "alice", "", time.Time{}}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.Ingest(ctx, strings.NewReader(exampleLine), "a file?")
		}, r.report, []any{"Ingest", "a file?"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Model(ctx) }, r.model, []any{"Model"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Versions(ctx) }, r.versions, []any{"Versions"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.AddVersion(ctx, exampleVersion(), large) }, r.versions[0], []any{"AddVersion", exampleVersion(), large}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Promote(ctx, 3, "alice", "a <reason>") }, r.versions[0], []any{"Promote", 3, "alice", "a <reason>"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.RollbackModel(ctx, "alice") }, r.versions[0], []any{"RollbackModel", "alice"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Nodes(ctx) }, r.nodes, []any{"Nodes"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Inputs(ctx) }, r.inputs, []any{"Inputs"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Unmapped(ctx, 40) }, r.unmapped, []any{"Unmapped", 41}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Unmapped(ctx, 0) }, r.unmapped, []any{"Unmapped", 1001}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Remap(ctx) }, r.remapped, []any{"Remap"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Anomalies(ctx, anomalyQuery) }, r.anomalies, []any{"Anomalies", oneMoreAnomaly(anomalyQuery)}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Anomalies(ctx, penumbra.AnomalyQuery{}) }, r.anomalies, []any{"Anomalies", penumbra.AnomalyQuery{Limit: largestPage + 1}}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Rollups(ctx, rollupQuery) }, r.rollups, []any{"Rollups", rollupQuery}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Rollups(ctx, penumbra.RollupQuery{}) }, r.rollups, []any{"Rollups", penumbra.RollupQuery{}}},
		{func(ctx context.Context, c *Client) (any, error) { return nil, c.Trigger(ctx, "shop") }, nil, []any{"Trigger", "shop"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Channels(ctx) }, r.channels, []any{"Channels"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Notices(ctx, noticeQuery) }, r.notices, []any{"Notices", oneMoreNotice(noticeQuery)}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Moved(ctx, "shop/a") }, exampleRenames(), []any{"Moved", "shop/a"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.StartTask(ctx, taskAsked) }, exampleTask(), []any{"StartTask", taskAsked}},
		{func(ctx context.Context, c *Client) (any, error) { return c.ModelTasks(ctx) }, []penumbra.ModelTask{exampleTask()}, []any{"ModelTasks"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Knowledge(ctx, knowledgeAsked) }, r.known, []any{"Knowledge", knowledgeAsked}},
		{func(ctx context.Context, c *Client) (any, error) { return c.ResendNotice(ctx, "m/1") }, r.notices[0], []any{"ResendNotice", "m/1"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.TestChannel(ctx, "ops", "eve") }, r.notices[0], []any{"TestChannel", "ops", "alice"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.StartRecording(ctx) }, r.recording, []any{"StartRecording"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.RecordedValues(ctx, "v/1", 41) }, r.recorded, []any{"RecordedValues", "v/1", int64(41)}},
		{func(ctx context.Context, c *Client) (any, error) { return nil, c.EndRecording(ctx, "v/1") }, nil, []any{"EndRecording", "v/1"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Accounts(ctx) }, []penumbra.Account{exampleAccount()}, []any{"Accounts"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.AddAccount(ctx, newcomer) }, exampleAccount(), []any{"AddAccount", newcomer}},
		{func(ctx context.Context, c *Client) (any, error) {
			return c.ChangeAccount(ctx, "oidc:https://id|7", change)
		}, exampleAccount(), []any{"ChangeAccount", "oidc:https://id|7", change}},
		{func(ctx context.Context, c *Client) (any, error) { return c.Tokens(ctx) }, []penumbra.Token{exampleToken()}, []any{"Tokens"}},
		{func(ctx context.Context, c *Client) (any, error) { return c.AddToken(ctx, issue) }, penumbra.MadeToken{Token: exampleToken(), Secret: "s"}, []any{"AddToken", issue}},
		{func(ctx context.Context, c *Client) (any, error) { return c.RevokeToken(ctx, "4f/2a") }, exampleToken(), []any{"RevokeToken", "4f/2a"}},
	} {
		for way, c := range ways(t, r) {
			got, err := tc.do(t.Context(), c)
			if err != nil {
				t.Errorf("%s %v: %v", way, tc.call[0], err)
				continue
			}
			if d := cmp.Diff(tc.want, got, asValues); d != "" {
				t.Errorf("%s %v: answer (-want +got)\n%s", way, tc.call[0], d)
			}
			if d := cmp.Diff(tc.call, r.called(), asValues); d != "" {
				t.Errorf("%s %v: call (-want +got)\n%s", way, tc.call[0], d)
			}
		}
	}
	if string(r.taken) != exampleLine {
		t.Errorf("the service took in %q", r.taken)
	}
}

func TestAddressesComeAcross(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := InProcess(Handler(r, opens(testToken), "0"), testToken)
	rapid.Check(t, func(t *rapid.T) {
		address := penumbra.Address(rapid.StringN(1, -1, -1).Draw(t, "address"))
		if _, err := c.Shadow(context.Background(), address); err != nil {
			t.Fatal(err)
		}
		if got := r.called()[1]; got != address {
			t.Fatalf("address %q arrived as %q", address, got)
		}
	})
}

func TestErrorsComeAcross(t *testing.T) {
	t.Parallel()
	for kind := penumbra.Internal; kind <= penumbra.Damaged; kind++ {
		sent := &penumbra.Error{Kind: kind, What: "read stack shop", Remedy: "look again", Err: errors.New("unexpected end")}
		for way, c := range ways(t, &recorder{err: sent}) {
			for name, call := range map[string]func() error{
				"body":   func() error { _, err := c.Status(t.Context()); return err },
				"empty":  func() error { return c.Trigger(t.Context(), "shop") },
				"stream": func() error { _, err := c.Export(t.Context(), penumbra.ObservationQuery{}, io.Discard); return err },
				"taken":  func() error { _, err := c.Ingest(t.Context(), strings.NewReader(""), ""); return err },
			} {
				var got *penumbra.Error
				if err := call(); !errors.As(err, &got) {
					t.Fatalf("%s %s: %v is no penumbra.Error", way, name, err)
				}
				if got.Kind != kind || got.Error() != sent.Error() || got.Remedy != sent.Remedy {
					t.Errorf("%s %s: sent %v (%v), got %v (%v)", way, name, sent, sent.Kind, got, got.Kind)
				}
			}
		}
	}
}

func TestSecretsInErrorsAreRedacted(t *testing.T) {
	t.Parallel()
	c := InProcess(Handler(&recorder{err: errors.New("open postgres://app:hunter2hunter2@db/shop")}, opens(testToken), "0"), testToken)
	_, err := c.Status(t.Context())
	if penumbra.KindOf(err) != penumbra.Internal || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "open postgres") {
		t.Errorf("got %v", err)
	}
}

func TestClientSaysWhatToDo(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<h1>hello</h1>", http.StatusBadGateway)
	}))
	defer stranger.Close()
	chatty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer chatty.Close()
	for name, tc := range map[string]struct {
		c    *Client
		kind penumbra.ErrorKind
	}{
		"no daemon":     {NewClient(gone.URL, testToken), penumbra.Unavailable},
		"not a daemon":  {NewClient(stranger.URL, testToken, WithHTTPClient(stranger.Client())), penumbra.Unavailable},
		"no JSON":       {NewClient(chatty.URL, testToken, WithHTTPClient(chatty.Client())), penumbra.Unavailable},
		"no address":    {NewClient("127.0.0.1:7777", testToken), penumbra.Invalid},
		"wrong token":   {InProcess(Handler(&recorder{}, opens(testToken), "0"), "other"), penumbra.Refused},
		"panic":         {InProcess(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no") }), ""), penumbra.Unavailable},
		"silent answer": {InProcess(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ""), penumbra.Unavailable},
	} {
		_, err := tc.c.Status(t.Context())
		var e *penumbra.Error
		if !errors.As(err, &e) || e.Kind != tc.kind || e.Remedy == "" || e.What == "" {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestEmptyIDIsRefused(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := InProcess(Handler(r, opens(testToken), "0"), testToken)
	if _, err := c.Proposal(t.Context(), ""); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("got %v", err)
	}
	if _, err := c.RecordedValues(t.Context(), "", 0); penumbra.KindOf(err) != penumbra.Invalid {
		t.Errorf("got %v", err)
	}
	if r.called() != nil {
		t.Errorf("it called %v", r.called())
	}
}

func TestCancelledCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := InProcess(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}), "")
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestIngestStreams holds that the service sees the first line before the
// second is sent, on both ways.
func TestIngestStreams(t *testing.T) {
	t.Parallel()
	seen := make(chan string)
	r := &recorder{ingest: func(in io.Reader) error {
		buf := make([]byte, len("first\n"))
		for range 2 {
			if _, err := io.ReadFull(in, buf); err != nil {
				return err
			}
			seen <- string(buf)
		}
		_, err := io.Copy(io.Discard, in)
		return err
	}}
	for way, c := range ways(t, r) {
		reader, writer := io.Pipe()
		failed := make(chan error, 1)
		go func() {
			_, err := c.Ingest(t.Context(), reader, "pipe")
			failed <- err
		}()
		for _, line := range []string{"first\n", "other\n"} {
			if _, err := io.WriteString(writer, line); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got != line {
				t.Errorf("%s: sent %q, seen %q", way, line, got)
			}
		}
		writer.Close()
		if err := <-failed; err != nil {
			t.Errorf("%s: %v", way, err)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	q := penumbra.ObservationQuery{
		Resource: hostileAddress, Stack: "shop", Kinds: []penumbra.ObservationKind{penumbra.EventKind, penumbra.MetricKind},
		From: exampleTime, To: exampleTime.Add(time.Hour), After: 9, Latest: 5,
	}
	for _, lines := range []int{0, 1, 5000} {
		text := strings.Repeat(exampleLine, lines)
		r := &recorder{export: func(w io.Writer) (int, error) {
			_, err := io.WriteString(w, text)
			return lines, err
		}}
		for way, c := range ways(t, r) {
			var got bytes.Buffer
			n, err := c.Export(t.Context(), q, &got)
			if err != nil || n != lines || got.String() != text {
				t.Errorf("%s: %d lines, %d bytes, %v; want %d, %d", way, n, got.Len(), err, lines, len(text))
			}
			if d := cmp.Diff([]any{"Export", q}, r.called()); d != "" {
				t.Errorf("%s: call (-want +got)\n%s", way, d)
			}
		}
	}
}

// TestBrokenExport holds that a part is never taken for the whole.
func TestBrokenExport(t *testing.T) {
	t.Parallel()
	r := &recorder{export: func(w io.Writer) (int, error) {
		_, _ = io.WriteString(w, strings.Repeat(exampleLine, 5000))
		return 5000, &penumbra.Error{Kind: penumbra.Damaged, What: "read the store"}
	}}
	for way, c := range ways(t, r) {
		n, err := c.Export(t.Context(), penumbra.ObservationQuery{}, io.Discard)
		if penumbra.KindOf(err) != penumbra.Unavailable {
			t.Errorf("%s: %d lines and %v", way, n, err)
		}
	}
	full := errors.New("disk full")
	for way, c := range ways(t, &recorder{export: func(w io.Writer) (int, error) { return io.WriteString(w, exampleLine) }}) {
		if _, err := c.Export(t.Context(), penumbra.ObservationQuery{}, failing{full}); !errors.Is(err, full) {
			t.Errorf("%s: %v", way, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func BenchmarkStatus(b *testing.B) {
	c := InProcess(Handler(&recorder{status: exampleStatus()}, opens(testToken), "0"), testToken)
	for b.Loop() {
		if _, err := c.Status(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
