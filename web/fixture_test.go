package web

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine/catalogue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var fixedNow = time.Date(2026, 3, 14, 9, 41, 0, 0, time.UTC)

func clock() time.Time { return fixedNow }

const (
	testToken = "test-token"
	hostile   = `<script>alert('x')</script><img src=x onerror=alert(1)>`
	mainDB    = penumbra.Address("shop/aws_db_instance.main")
)

// shop is a Service over fixed data: a shop's stack of some size with drifts of
// every sort.
type shop struct {
	mu    sync.Mutex
	calls [][]any
	err   error // of every decision
	most  int   // drifts given at once

	forbidden map[penumbra.Act]bool // what carol may not

	status    penumbra.Status
	resources []penumbra.ResourceStatus
	views     map[penumbra.Address]penumbra.ShadowView
	drifts    []penumbra.Drift
	explained []penumbra.Explanation
	proposals []penumbra.Proposal
	omitted   []penumbra.Omitted
	runs      []penumbra.Run
	planning  error // of making proposals
	anomalies []penumbra.Anomaly
	rollups   []penumbra.Rollup
	unheard   error // of anomalies and rollups

	approval  *penumbra.Approval // nil: the first run has started
	decisions []penumbra.Decision
	report    penumbra.PolicyReport
	freezes   []penumbra.Freeze

	model    penumbra.ModelStatus
	versions []penumbra.ModelVersion
	unmapped penumbra.Unmapped
	nodes    penumbra.Nodes
	accounts []penumbra.Account
	tokens   []penumbra.Token
	unshown  error         // of accounts
	happened chan struct{} // closed when there is news

	channels []penumbra.ChannelStatus
	notices  []penumbra.Notice

	entries []penumbra.AuditEntry
	audited penumbra.AuditReport
	asked   penumbra.AuditQuery
}

var _ Service = (*shop)(nil)

func (s *shop) Anomalies(_ context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	return slices.DeleteFunc(slices.Clone(s.anomalies), func(a penumbra.Anomaly) bool {
		return q.ID != "" && a.ID != q.ID || q.Active && !a.Active() || q.Resource != "" && a.Resource != q.Resource
	}), s.unheard
}

func (s *shop) Rollups(_ context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	return slices.DeleteFunc(slices.Clone(s.rollups), func(r penumbra.Rollup) bool {
		return r.Resource != q.Resource || q.Metric != "" && r.Metric != q.Metric || r.Span != q.Span ||
			r.Start.Before(q.From) || !q.To.IsZero() && !r.Start.Before(q.To)
	}), s.unheard
}

func (s *shop) AuditEntries(_ context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	s.asked = q
	return s.entries[:min(len(s.entries), q.Limit)], nil
}

func (s *shop) AuditHead(context.Context) (penumbra.AuditHead, error) { return s.audited.Head, nil }

func (s *shop) VerifyAudit(context.Context, []penumbra.AuditHead) (penumbra.AuditReport, error) {
	return s.audited, nil
}

func (s *shop) Reach(_ context.Context, act penumbra.Act) error {
	if s.forbidden[act] {
		return &penumbra.Error{Kind: penumbra.Refused, What: "carol may not " + string(act)}
	}
	return nil
}

func (s *shop) Reaches(ctx context.Context, act penumbra.Act) bool { return s.Reach(ctx, act) == nil }

func (s *shop) May(ctx context.Context, act penumbra.Act, _ penumbra.Target) error {
	return s.Reach(ctx, act)
}

func (s *shop) MayOn(ctx context.Context, act penumbra.Act, _ string) error { return s.Reach(ctx, act) }

func (s *shop) Channels(context.Context) ([]penumbra.ChannelStatus, error) { return s.channels, nil }

func (s *shop) Notices(_ context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	return slices.DeleteFunc(slices.Clone(s.notices), func(n penumbra.Notice) bool {
		return q.Channel != "" && n.Channel != q.Channel || len(q.States) > 0 && !slices.Contains(q.States, n.State)
	}), nil
}

func (s *shop) ResendNotice(_ context.Context, id string) (penumbra.Notice, error) {
	return penumbra.Notice{ID: id}, s.decided("resend", id)
}

func (s *shop) TestChannel(_ context.Context, channel, by string) (penumbra.Notice, error) {
	return penumbra.Notice{ID: "m-test"}, s.decided("test", channel, by)
}

func (s *shop) decided(call ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	return s.err
}

func (s *shop) Status(context.Context) (penumbra.Status, error) { return s.status, nil }

func (s *shop) FindResources(_ context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error) {
	var out penumbra.ResourcePage
	for _, r := range s.resources {
		if (q.Stack == "" || r.Address.Stack() == q.Stack) && (len(q.Verdicts) == 0 || slices.Contains(q.Verdicts, r.Verdict)) &&
			(strings.Contains(strings.ToLower(string(r.Address)), strings.ToLower(q.Text)) || strings.Contains(r.Type, q.Text)) {
			out.Resources = append(out.Resources, r)
		}
	}
	out.Found = len(out.Resources)
	out.Resources = out.Resources[min(q.Offset, out.Found):min(q.Offset+q.Limit, out.Found)]
	return out, nil
}

func (s *shop) Accounts(context.Context) ([]penumbra.Account, error) { return s.accounts, s.unshown }

func (s *shop) AddAccount(_ context.Context, n penumbra.NewAccount) (penumbra.Account, error) {
	return penumbra.Account{}, s.decided("add person", n)
}

func (s *shop) ChangeAccount(_ context.Context, name string, c penumbra.AccountChange) (penumbra.Account, error) {
	return penumbra.Account{}, s.decided("change person", name, c)
}

func (s *shop) Tokens(context.Context) ([]penumbra.Token, error) { return s.tokens, nil }

func (s *shop) AddToken(_ context.Context, n penumbra.NewToken) (penumbra.MadeToken, error) {
	return penumbra.MadeToken{Token: penumbra.Token{ID: "t-2", Name: n.Name, Kind: n.Kind}, Secret: "pnb_made"}, s.decided("add token", n)
}

func (s *shop) RevokeToken(_ context.Context, id string) (penumbra.Token, error) {
	return penumbra.Token{}, s.decided("revoke", id)
}

func (s *shop) LastNews() uint64 { return 0 }

// News tells of a drift once it is let go.
func (s *shop) News(ctx context.Context, after uint64) ([]penumbra.News, error) {
	if after == 0 && s.happened != nil {
		select {
		case <-s.happened:
			return []penumbra.News{{Seq: 1, Topic: penumbra.DriftNews, ID: "d-1"}}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *shop) Shadow(_ context.Context, a penumbra.Address) (penumbra.ShadowView, error) {
	view, ok := s.views[a]
	if !ok {
		return view, &penumbra.Error{Kind: penumbra.NotFound, What: "there is no resource " + string(a), Remedy: "look at the list"}
	}
	return view, nil
}

// Expected has held the class for one value, then for two; of what is ahead it is
// less sure.
func (s *shop) Expected(_ context.Context, a penumbra.Address, path string) ([]penumbra.ExpectedPoint, error) {
	small, medium := penumbra.String("db.t3.small"), penumbra.String("db.t3.medium")
	switch {
	case a != mainDB:
	case path == "instance_class":
		return []penumbra.ExpectedPoint{
			{Time: before(12 * day), Values: []penumbra.Candidate{likely(small, .97)}},
			{Time: before(6 * day), Values: []penumbra.Candidate{likely(small, .7), likely(medium, .28)}},
			{Time: fixedNow, Values: []penumbra.Candidate{likely(small, .97)}},
			{Time: fixedNow.Add(time.Hour), Values: []penumbra.Candidate{likely(small, .8), likely(medium, .15)}, Ahead: true},
		}, nil
	case path == "iops":
		return []penumbra.ExpectedPoint{
			{Time: before(12 * day), Interval: &penumbra.Interval{Low: 2800, High: 3300}}, {Time: before(6 * day), Interval: &penumbra.Interval{Low: 2900, High: 3400}},
			{Time: fixedNow.Add(time.Hour), Interval: &penumbra.Interval{Low: 2700, High: 3900}, Ahead: true},
		}, nil
	}
	return nil, nil
}

func (s *shop) Explain(_ context.Context, a penumbra.Address, path string) ([]penumbra.Explanation, error) {
	return slices.DeleteFunc(slices.Clone(s.explained), func(e penumbra.Explanation) bool {
		return e.Resource != a || path != "" && e.Path != path
	}), nil
}

// FindDrifts answers from a catalogue of the drifts, and the resolved ones as they come.
func (s *shop) FindDrifts(_ context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := catalogue.New()
	known.Found(s.drifts)
	page := penumbra.DriftPage{}
	if !q.Resolved {
		var err error
		if page, err = known.Drifts(q, fixedNow); err != nil {
			return page, err
		}
	}
	if !q.Active {
		for _, d := range s.drifts {
			if !d.Active() && q.Selects(&d, fixedNow) && catalogue.DriftText(&d, q.Text) {
				page.Drifts = append(page.Drifts, d)
			}
		}
	}
	s.most = max(s.most, len(page.Drifts))
	return page, nil
}

func (s *shop) Proposals(_ context.Context, drift string) ([]penumbra.Proposal, []penumbra.Omitted, error) {
	return slices.DeleteFunc(slices.Clone(s.proposals), func(p penumbra.Proposal) bool { return p.Drift != drift }), s.omitted, s.planning
}

func (s *shop) Proposal(_ context.Context, id string) (penumbra.Proposal, error) {
	for _, p := range s.proposals {
		if p.ID == id {
			return p, nil
		}
	}
	return penumbra.Proposal{}, &penumbra.Error{Kind: penumbra.NotFound, What: "there is no proposal " + id}
}

func (s *shop) Runs(_ context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	return slices.DeleteFunc(slices.Clone(s.runs), func(r penumbra.Run) bool { return q.ID != "" && r.ID != q.ID }), nil
}

func (s *shop) Approve(_ context.Context, proposal, hash, by string) (penumbra.Approval, error) {
	if s.approval != nil {
		return *s.approval, s.decided("approve", proposal, hash, by)
	}
	return penumbra.Approval{Run: &s.runs[0]}, s.decided("approve", proposal, hash, by)
}

func (s *shop) Snooze(_ context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error) {
	return s.drifts[0], s.decided("snooze", drift, by, reason, until)
}

func (s *shop) Accept(_ context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error) {
	return s.drifts[0], s.decided("accept", drift, by, reason, until)
}

func (s *shop) AdoptPart(_ context.Context, drift string, only []string, revert bool, by string) (penumbra.Proposal, error) {
	return s.proposals[0], s.decided("adopt", drift, only, revert, by)
}

func (s *shop) Customize(_ context.Context, proposal string, edit penumbra.Edit, by string) (penumbra.Proposal, error) {
	return s.proposals[0], s.decided("customize", proposal, edit, by)
}

func (s *shop) Policies(_ context.Context, proposal, by string) (penumbra.PolicyReport, error) {
	r := s.report
	r.Proposal = proposal
	if by == "" {
		r.Answers = nil
	}
	return r, nil
}

func (s *shop) Decisions(_ context.Context, q penumbra.DecisionQuery) ([]penumbra.Decision, error) {
	return slices.DeleteFunc(slices.Clone(s.decisions), func(d penumbra.Decision) bool {
		return q.Drift != "" && d.Drift != q.Drift || q.Proposal != "" && d.Proposal != q.Proposal
	}), nil
}

func (s *shop) Freezes(context.Context) ([]penumbra.Freeze, error) { return s.freezes, nil }

func (s *shop) Freeze(_ context.Context, f penumbra.Freeze) (penumbra.Freeze, error) {
	return f, s.decided("freeze", f.Stacks, f.From, f.Until, f.Reason, f.By)
}

func (s *shop) Unfreeze(_ context.Context, id, by string) (penumbra.Freeze, error) {
	return penumbra.Freeze{}, s.decided("unfreeze", id, by)
}

func (s *shop) Model(context.Context) (penumbra.ModelStatus, error) { return s.model, nil }

func (s *shop) Versions(context.Context) ([]penumbra.ModelVersion, error) { return s.versions, nil }

func (s *shop) Nodes(context.Context) (penumbra.Nodes, error) { return s.nodes, nil }

func (s *shop) Unmapped(context.Context, int) (penumbra.Unmapped, error) { return s.unmapped, nil }

func (s *shop) Reject(_ context.Context, proposal, by, reason string) error {
	return s.decided("reject", proposal, by, reason)
}

func (s *shop) Acknowledge(_ context.Context, drift, by string) (penumbra.Drift, error) {
	return s.drifts[0], s.decided("acknowledge", drift, by)
}

func (s *shop) Rollback(_ context.Context, run, by string) (penumbra.Proposal, error) {
	return s.proposals[0], s.decided("rollback", run, by)
}

func before(d time.Duration) time.Time { return fixedNow.Add(-d) }

func set(confidence float64, values ...penumbra.Candidate) penumbra.Expectation {
	return penumbra.Expectation{Confidence: confidence, Values: values, Support: 40}
}

func likely(v penumbra.Value, p float64) penumbra.Candidate {
	return penumbra.Candidate{Value: v, Probability: p}
}

func hidden() penumbra.Value {
	v, _ := penumbra.Secret(penumbra.SecretPrefix + "0123456789abcdef0123456789abcdef")
	return v
}

func newShop(t testing.TB) *shop {
	t.Helper()
	s := &shop{views: map[penumbra.Address]penumbra.ShadowView{}}
	small, large := penumbra.String("db.t3.small"), penumbra.String("db.t3.large")
	class := penumbra.Finding{Path: "instance_class", Verdict: penumbra.Drifted, Declared: true, Template: small, Actual: large, Expectation: set(.95, likely(small, .97))}
	iops := penumbra.Finding{Path: "iops", Verdict: penumbra.Drifted, Declared: true, Template: penumbra.Number(3000), Actual: penumbra.Number(12000), Expectation: penumbra.Expectation{Confidence: .95, Interval: &penumbra.Interval{Low: 2900, High: 3400}}}
	size := penumbra.Finding{Path: "desired_capacity", Verdict: penumbra.Impending, Declared: true, Template: penumbra.Number(4), Actual: penumbra.Number(4), Horizon: 2,
		Expectation: set(.95, likely(penumbra.Number(4), .8)),
		Forecast:    &penumbra.Forecast{Path: "desired_capacity", Leave: [5]float64{.04, .22, .63, .91, .997}, Next: penumbra.Number(6), Reason: "three edits by alice on Fridays"}}
	cause := penumbra.Cause{Key: "e-91", Actor: "alice@example.com", ActorKind: penumbra.User, Action: "ModifyDBInstance", Source: "cloudtrail", Time: before(38 * time.Minute), After: before(43 * time.Minute)}
	s.drifts = []penumbra.Drift{
		{ID: "d-tag", Resource: "shop/aws_s3_bucket.assets", Type: "aws_s3_bucket", Verdict: penumbra.Tolerated, Opened: before(9 * day), Changed: before(9 * day),
			Findings: []penumbra.Finding{{Path: "tags.scanned", Verdict: penumbra.Tolerated, Actual: penumbra.String("2026-03-05")}}},
		{ID: "d-asg", Resource: `shop/aws_autoscaling_group.web["eu-west-1/blue"]`, Type: "aws_autoscaling_group", Verdict: penumbra.Impending, Opened: before(2 * time.Hour), Changed: before(2 * time.Hour), Findings: []penumbra.Finding{size}},
		{ID: "d-sg", Resource: "network/aws_security_group.edge", Type: "aws_security_group", Verdict: penumbra.Unexpected, Opened: before(26 * time.Hour), Changed: before(26 * time.Hour), Status: penumbra.Acknowledged, AcknowledgedBy: "bo", AcknowledgedAt: before(20 * time.Hour),
			Findings: []penumbra.Finding{{Path: "description", Verdict: penumbra.Unexpected, Actual: penumbra.String(hostile)}}},
		{ID: "d-db", Resource: mainDB, Type: "aws_db_instance", Verdict: penumbra.Drifted, Critical: true, Cause: cause, Opened: before(37 * time.Minute), Changed: before(37 * time.Minute), Foreseen: before(30 * time.Hour), Findings: []penumbra.Finding{class, iops},
			Impact: []penumbra.Impact{
				{Anomaly: "a-gone", Metric: "cpu", Time: before(36 * time.Minute), Before: .4, After: .1, Coincidence: .3},
				{Anomaly: "a-lat", Metric: "latency_seconds", Time: before(36 * time.Minute), Before: .012, After: 1.16, Worse: true, Coincidence: .002},
			}},
	}
	s.explained = []penumbra.Explanation{
		{Resource: mainDB, Path: "instance_class", Verdict: penumbra.Drifted, Sentence: "drifted: alice@example.com touched it with ModifyDBInstance 38 minutes ago; none of its 6 peers went there."},
		{Resource: mainDB, Path: "tags.note", Sentence: "90 % to change within 7 days, because \"><script>alert(3)</script> changed it."},
	}
	s.addMetrics()
	s.addResources()
	s.addShadow(class, iops)
	s.addProposals()
	s.runs = []penumbra.Run{
		{ID: "r-2", Proposal: "p-revert", Drift: "d-db", Stack: "shop", State: penumbra.Applying, Started: before(8 * time.Second),
			Steps: []penumbra.RunStep{{State: penumbra.Planned, Time: before(8 * time.Second)}, {State: penumbra.Checking, Time: before(7 * time.Second)}, {State: penumbra.Applying, Time: before(3 * time.Second)}}},
		{ID: "r-1", Proposal: "p-old", Drift: "d-db", Stack: "shop", State: penumbra.Done, Started: before(3 * day), Ended: before(3*day - time.Minute), Outcome: "instance_class is db.t3.small again", Log: "Apply complete! <b>1</b> changed"},
		{ID: "r-0", Proposal: "p-x", Drift: "d-other", Stack: "shop", State: penumbra.Halted, Started: before(4 * day)},
	}
	s.report = penumbra.PolicyReport{InWindow: true}
	s.addTrust()
	return s
}

// about is how the shop is set up.
var about = About{
	File:     "/etc/penumbra.yaml",
	Settings: []SettingGroup{{Name: "Stacks", Settings: []NamedSetting{{"shop.dir", "infra/shop " + hostile}}}},
	Policies: func() []PolicyText {
		return []PolicyText{{"two-people", "policy/people.cedar", "permit (principal, action, resource); // " + hostile}}
	},
	Knowledge: func() []KnowledgeEntry {
		return []KnowledgeEntry{
			{ID: "aws.rds.instance-class", Title: "Another class takes the database down", Types: []string{"aws_db_instance"}, Paths: []string{"instance_class"},
				Fact: penumbra.Fact{Effect: penumbra.RestartEffect, Sources: []penumbra.Source{{Title: "Settings for DB instances", URL: "https://docs.example/rds"}, {Title: "not a page", URL: "javascript:alert(1)"}}, Checked: "2026-02-01"}},
			{ID: "own.s3", Title: "Public buckets " + hostile, Types: []string{"aws_s3_bucket"}, Paths: []string{"acl"}, Own: true, Fact: penumbra.Fact{Hazard: "everybody can read it", Checked: "2026-02-01"}},
		}
	},
}

// addTrust has a version of the model that was scored, one that was refused, and
// records that nobody knows the resource of.
func (s *shop) addTrust() {
	score := &penumbra.VersionScore{
		From: before(90 * day), To: before(30 * day), Horizon: "30d", Questions: 5120, Left: 88, LogLoss: .0611, PR: .41, Over: 1, OverFamily: "pooled", OverLogLoss: .0688, OverPR: .36, Better: true, Lift: 38,
		Reliability: []penumbra.ReliabilityBin{{Said: .0006, Happened: .0004, Questions: 4100}, {Said: .012, Happened: .015, Questions: 820}, {Said: .2, Happened: .17, Questions: 160}, {Said: .7, Happened: .75, Questions: 40}},
		Coverage:    []penumbra.SetCoverage{{Confidence: .9, Sets: 5000, Covered: .987, Changed: 88, ChangedCovered: .81}, {Confidence: .95, Sets: 5000, Covered: .991, Changed: 88, ChangedCovered: .9}},
		Baselines:   []penumbra.BaselineScore{{Name: "nothing changes", PR: .02, Lift: 1}, {Name: "each setting's own rate", LogLoss: .081, PR: .22, Lift: 19}},
	}
	s.model = penumbra.ModelStatus{Configured: "auto", Family: "mixture", Version: 2, Why: "On this history mixture is the model to use.", Resources: 184, Saved: before(time.Minute),
		Pool: &penumbra.ModelPool{Experts: []string{"counts", "network"}, Estate: []float64{.4, .6}, Types: []penumbra.TypeWeights{{Type: "aws_db_instance", Weights: []float64{.2, .8}}}, Parameters: 83648, Examples: 9120}}
	s.versions = []penumbra.ModelVersion{
		{Number: 3, Created: before(day), Family: "rnn", Origin: penumbra.TrainedVersion, State: penumbra.RefusedVersion, Sources: []string{"the store"}, Score: &penumbra.VersionScore{LogLoss: .07, OverLogLoss: .061}, Why: "It is no better " + hostile},
		{Number: 2, Created: before(30 * day), Family: "mixture", Origin: penumbra.TrainedVersion, State: penumbra.ActiveVersion, Sources: []string{"the store"}, Score: score, Why: "It is better.", By: "carol", Forced: "because"},
	}
	s.accounts = []penumbra.Account{
		{ID: "user:carol", Name: "carol", Password: "$argon2id$planted", Grants: []penumbra.Grant{{Role: penumbra.Admin, Values: true}}, Created: before(30 * day), SignedIn: before(time.Hour)},
		{ID: "oidc:1", Name: "dan " + hostile, Groups: []string{"ops"}, Grants: []penumbra.Grant{{Role: penumbra.Viewer, Stacks: []string{"shop"}}}, Disabled: before(day)},
	}
	s.tokens = []penumbra.Token{{ID: "t-1", Name: "ci", Kind: penumbra.ServicePrincipal, Grants: []penumbra.Grant{{Role: penumbra.Operator}}, Made: before(day), By: "carol", Expires: fixedNow.Add(29 * day)}, {ID: "t-0", Name: "old", Revoked: before(day)}}
	s.channels = []penumbra.ChannelStatus{
		{Name: "ops", Kind: "slack", Sent: before(20 * time.Minute)},
		{Name: "pager", Kind: "webhook", Waiting: 1, Dead: 1, Sent: before(3 * day), Error: "post to the webhook of channel pager: 503 Service Unavailable " + hostile},
		{Name: "mail", Kind: "email", Held: 4, Quiet: fixedNow.Add(9 * time.Hour)},
	}
	s.notices = []penumbra.Notice{
		{ID: "m-old", Channel: "pager", About: penumbra.AboutRun, Verb: penumbra.NoticeSaid, Severity: penumbra.HighSeverity, Title: "Run r-0 halted: " + hostile, Subjects: []string{"r-0"}, Created: before(4 * day), State: penumbra.NoticeDead, Attempts: 12, Error: "503 Service Unavailable"},
		{ID: "m-drift", Channel: "ops", About: penumbra.AboutDrift, Verb: penumbra.NoticeOpened, Severity: penumbra.CriticalSeverity, Title: "Drift on shop/aws_db_instance.main: instance_class db.t3.small → db.t3.large", Subjects: []string{"d-db"},
			Lines: []string{"instance_class db.t3.small → db.t3.large", "latency_seconds rose " + hostile}, Created: before(21 * time.Minute), State: penumbra.NoticeSent, Attempts: 1, Sent: before(20 * time.Minute)},
		{ID: "m-next", Channel: "pager", About: penumbra.AboutDrift, Verb: penumbra.NoticeOpened, Severity: penumbra.MediumSeverity, Title: "3 drifts on shop", Subjects: []string{"d-db", "d-sg"}, Created: before(5 * time.Minute), State: penumbra.NoticeWaiting, Attempts: 2, Next: fixedNow.Add(4 * time.Minute), Error: "503 Service Unavailable"},
	}
	s.nodes = penumbra.Nodes{Time: fixedNow, Nodes: []penumbra.Node{
		{Name: "a", Address: "https://a.internal:7676", Version: "0.1.0", Seen: before(time.Second), Leads: true},
		{Name: "b", Address: "https://b.internal:7676", Version: "0.1.0", Seen: before(2 * time.Second)},
		{Name: "c", Address: "https://c.internal:7676/?a=<b>", Version: "0.1.0", Seen: before(time.Hour)},
	}}
	s.unmapped = penumbra.Unmapped{Records: 1210, Kinds: []penumbra.UnmappedKind{{Input: "db-log", Format: "postgresql", Action: "ALTER ROLE", Target: "app", Reason: "no resource has that name", Count: 1200, Last: before(time.Hour), Example: hostile}}}
}

// addMetrics has the latency of the database rise after its class was changed,
// and a day of three other metrics.
func (s *shop) addMetrics() {
	onset := before(36 * time.Minute)
	s.anomalies = []penumbra.Anomaly{
		{ID: "a-quiet", Resource: "network/aws_security_group.edge", Metric: "flows", Kind: penumbra.Silence, Onset: before(50 * time.Minute), Time: before(45 * time.Minute)},
		{ID: "a-lat", Resource: mainDB, Metric: "latency_seconds", Kind: penumbra.LevelShift, Onset: onset, Time: onset.Add(time.Minute),
			Value: 1.16, Expected: .012, Band: penumbra.Interval{Low: .008, High: .021}, PValue: .0004, Worse: true, Drift: "d-db",
			Suspects: []penumbra.Suspect{
				{Resource: mainDB, Path: "instance_class", Before: penumbra.String("db.t3.small"), After: penumbra.String(hostile), Time: before(38 * time.Minute), Actor: "alice@example.com", ActorKind: penumbra.User, Action: "ModifyDBInstance", Source: "cloudtrail", Probability: .86, Reason: "changed 2 min before, on the same resource"},
				{Resource: mainDB, Path: "master_password", Before: hidden(), After: hidden(), Time: before(60 * time.Minute), Probability: .03},
				{Resource: "shop/aws_db_proxy.main", Time: before(40 * time.Minute), Action: "restart", Probability: .02},
			}},
		{ID: "a-cpu", Resource: mainDB, Metric: "cpu", Kind: penumbra.Spike, Onset: before(9 * time.Hour), Time: before(9*time.Hour - time.Minute), Ended: before(8 * time.Hour), Value: .2, Expected: .4, Band: penumbra.Interval{Low: .3, High: .5}, PValue: .002},
	}
	for m := range 24 * 60 {
		at := before(24*time.Hour - time.Duration(m)*time.Minute)
		wave := 1 + .2*math.Sin(float64(m)/97) + .1*math.Sin(float64(m)*1.7)
		latency, cpu := .012*wave, .4*wave
		if at.After(onset) {
			latency = 1.1 * wave
		}
		if at.After(before(9*time.Hour)) && at.Before(before(8*time.Hour)) {
			cpu = .2 * wave
		}
		for metric, v := range map[string]float64{"latency_seconds": latency, "cpu": cpu, "connections": 40} {
			if metric == "cpu" && m > 300 && m < 400 {
				continue // a gap
			}
			s.rollups = append(s.rollups, penumbra.Rollup{Resource: mainDB, Metric: metric, Start: at, Span: time.Minute, Count: 4, Sum: 4 * v, Min: v * .9, Max: v * 1.15, Last: v})
		}
	}
}

func (s *shop) addResources() {
	verdicts := map[penumbra.Address]penumbra.Verdict{}
	for _, d := range s.drifts {
		verdicts[d.Resource] = d.Verdict
	}
	types := []string{"aws_subnet", "aws_iam_role", "aws_lambda_function", "aws_sqs_queue", "aws_route53_record"}
	for a, v := range verdicts {
		s.resources = append(s.resources, penumbra.ResourceStatus{Address: a, Type: "aws_thing", Verdict: v, Settings: 21, Declared: 9, Snapshot: before(2 * time.Minute)})
	}
	for i := range 180 {
		r := penumbra.ResourceStatus{Address: penumbra.NewAddress([]string{"shop", "network"}[i%2], fmt.Sprintf("%s.item[%q]", types[i%5], fmt.Sprint("k", i))), Type: types[i%5], Settings: 14, Declared: 6, Snapshot: before(2 * time.Minute)}
		if i%60 == 7 {
			r.Verdict, r.NotChecked, r.Snapshot = penumbra.NotChecked, "AccessDenied: lambda:GetFunction", time.Time{}
		}
		s.resources = append(s.resources, r)
	}
	slices.SortFunc(s.resources, func(a, b penumbra.ResourceStatus) int {
		if a.Verdict != b.Verdict {
			return int(b.Verdict) - int(a.Verdict)
		}
		return slices.Compare([]byte(a.Address), []byte(b.Address))
	})
	counts := map[penumbra.Verdict]int{}
	for _, r := range s.resources {
		counts[r.Verdict]++
	}
	s.status = penumbra.Status{
		Version: "0.1.0", Time: fixedNow, Resources: len(s.resources), Settings: 2614, Verdicts: counts, Observations: 1482093, Quarantined: 3,
		Stacks: []penumbra.StackStatus{
			{Name: "shop", Source: "tofu", Resources: 93, Worst: penumbra.Drifted, LastRead: before(2 * time.Minute), NextRead: fixedNow.Add(3 * time.Minute), Took: 4210 * time.Millisecond,
				Sources: []penumbra.SourceStatus{
					{Name: "tofu", Every: 5 * time.Minute, LastRead: before(2 * time.Minute), NextRead: fixedNow.Add(3 * time.Minute), Took: 4210 * time.Millisecond, Targeted: true,
						Cadence: []penumbra.CadenceStatus{{Match: "aws_db_instance.*", Every: time.Minute, Resources: 2, NextRead: fixedNow.Add(40 * time.Second)}, {Every: 5 * time.Minute, Resources: 91}}},
					{Name: "postgres", Every: time.Minute, LastRead: before(4 * time.Minute), NextRead: fixedNow.Add(20 * time.Second), Took: 80 * time.Millisecond, Error: "too many connections", Failures: 3},
				}},
			{Name: "network", Source: "tofu", Resources: 91, Worst: penumbra.Unexpected, LastRead: before(61 * time.Minute), NextRead: fixedNow.Add(40 * time.Second), Error: "tofu plan: the state is locked by ci-1", Took: time.Second},
			{Name: "new", Source: "tofu", Reading: true},
		},
		Anomalies: 2,
		Inputs: []penumbra.InputStatus{
			{Name: "db-log", Kind: "postgresql", Last: before(2 * time.Second), Lag: 400 * time.Millisecond, Records: 18450, Mapped: 17200, Unmapped: 1210},
			{Name: "prometheus", Kind: "prometheus", Last: before(9 * time.Minute), Points: 96000, Series: 64, Error: "connection refused <b>", Failures: 12},
		},
	}
}

func (s *shop) addShadow(class, iops penumbra.Finding) {
	setting := func(f penumbra.Finding, leave ...float64) penumbra.SettingView {
		v := penumbra.SettingView{Path: f.Path, Verdict: f.Verdict, Declared: f.Declared, Sensitive: f.Sensitive, Template: f.Template, Actual: f.Actual, Expectation: f.Expectation}
		v.Expectation.Confidence = .95
		copy(v.Forecast.Leave[:], leave)
		return v
	}
	fourteen, gp3 := penumbra.Number(14), penumbra.String("gp3")
	view := penumbra.ShadowView{
		Resource: penumbra.Resource{Address: mainDB, Type: "aws_db_instance", SnapshotTime: before(2 * time.Minute), TemplateTime: before(9 * day)},
		Time:     fixedNow, Verdict: penumbra.Drifted, Drifts: []penumbra.Drift{s.drifts[3]},
		Settings: []penumbra.SettingView{
			setting(penumbra.Finding{Path: "backup_retention_period", Declared: true, Template: fourteen, Actual: fourteen, Expectation: set(.95, likely(fourteen, .995))}, .0004, .002, .006, .03, .11),
			setting(class, .004, .03, .11, .42, .81), setting(iops, .001, .01, .05, .2, .5),
			setting(penumbra.Finding{Path: "master_password", Declared: true, Sensitive: true, Template: hidden(), Actual: hidden(), Expectation: set(.95, likely(hidden(), .99))}, 0, 0, 0, .01, .04),
			setting(penumbra.Finding{Path: "storage_type", Declared: true, Template: gp3, Actual: gp3, Expectation: set(.95, likely(gp3, .98), likely(penumbra.String("io2"), .02))}, 0, .001, .003, .02, .09),
			setting(penumbra.Finding{Path: "tags.note", Actual: penumbra.String(hostile), Expectation: penumbra.Expectation{Novel: true, NovelProbability: .4}}, .1, .3, .5, .7, .9),
		},
	}
	add := func(t time.Time, kind penumbra.ObservationKind, path string, v penumbra.Value, actor string, ak penumbra.ActorKind) {
		view.History = append(view.History, penumbra.HistoryPoint{Time: t, Kind: kind, Path: path, Value: v, Actor: actor, ActorKind: ak})
	}
	small, medium, large := penumbra.String("db.t3.small"), penumbra.String("db.t3.medium"), penumbra.String("db.t3.large")
	for _, x := range []struct {
		path        string
		a, b, c     penumbra.Value
		first, last string
	}{{"instance_class", small, medium, large, "autoscaler", "alice@example.com"}, {"iops", penumbra.Number(3000), penumbra.Number(3200), penumbra.Number(12000), "tuner", "alice@example.com"}} {
		add(before(30*day), penumbra.TemplateKind, x.path, x.a, "", 0)
		add(before(30*day), penumbra.SnapshotKind, x.path, x.a, "", 0)
		add(before(16*day), penumbra.EventKind, x.path, x.b, x.first, penumbra.Automation)
		add(before(14*day), penumbra.EventKind, x.path, x.a, x.first, penumbra.Automation)
		add(before(9*day), penumbra.EventKind, x.path, x.b, x.first, penumbra.Automation)
		add(before(8*day), penumbra.SnapshotKind, x.path, x.a, "", 0)
		add(before(38*time.Minute), penumbra.EventKind, x.path, x.c, x.last, penumbra.User)
	}
	add(before(day), penumbra.EventKind, "tags.note", penumbra.String(hostile), "</script><script>alert(2)</script>", penumbra.User)
	add(before(day), penumbra.SnapshotKind, "master_password", hidden(), "", 0)
	s.views[mainDB] = view
}

func (s *shop) addProposals() {
	change := func(a penumbra.Address, action penumbra.PlanAction, paths ...string) penumbra.PlannedChange {
		return penumbra.PlannedChange{Resource: a, Type: "aws_db_instance", Action: action, ReplacePaths: paths,
			Changes: []penumbra.PathChange{{Path: "instance_class", Before: penumbra.String("db.t3.large"), After: penumbra.String("db.t3.small")}}}
	}
	diff := "--- a/main.tf\n+++ b/main.tf\n@@ -12,3 +12,3 @@\n resource \"aws_db_instance\" \"main\" {\n-  instance_class = \"db.t3.small\"\n+  instance_class = \"db.t3.large\" # <script>\n }\n"
	s.proposals = []penumbra.Proposal{
		{ID: "p-adopt", Drift: "d-db", Kind: penumbra.Adopt, Title: "Write db.t3.large into the code", State: penumbra.Proposed, Rank: 1, Hash: "1f3a5c7e9b2d4f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd",
			Explanation: "alice changed the class while the CPU was at 97 %, and latency has fallen since.", Impact: "Nothing is destroyed or replaced; the code will say what is there.",
			WayBack: "Revert the commit; a plan then brings db.t3.small back.", Scores: penumbra.Scores{Likelihood: .86, Risk: .04, Complexity: .22}, ScoreReasons: []string{"success: 12 of 14 adoptions like it held for a week"},
			Script: "cd infra/shop\ngit apply adopt.patch\ntofu plan -detailed-exitcode\n", Patch: &penumbra.Patch{Stack: "shop", Files: []penumbra.FilePatch{{Path: "main.tf", Diff: diff}}},
			Plan: &penumbra.Plan{Hash: "aa", Stack: "shop"}},
		{ID: "p-revert", Drift: "d-db", Kind: penumbra.Revert, Title: "Bring the database back to the code", State: penumbra.Proposed, Rank: 2, Hash: "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab",
			Explanation: "The code declares db.t3.small.", Impact: "Replaces 1 resource, updates 1.", WayBack: "A replaced database cannot be brought back; restore its last snapshot.",
			Scores: penumbra.Scores{Likelihood: .61, Risk: .83, Complexity: .3}, Script: "tofu apply revert.tfplan\n",
			Facts: []penumbra.Fact{{Entry: "aws.rds.instance-class", Path: "instance_class", Title: "Another class takes the database down", Effect: penumbra.RestartEffect,
				Sources: []penumbra.Source{{Title: "Settings for DB instances", URL: "https://docs.example/rds"}, {Title: "not a page", URL: "javascript:alert(1)"}}}},
			Plan: &penumbra.Plan{Hash: "bb", Stack: "shop", Changes: []penumbra.PlannedChange{change("shop/aws_db_parameter_group.main", penumbra.Update), change(mainDB, penumbra.Replace, "iops"), change("shop/aws_db_proxy.main", penumbra.Destroy)}, Text: "Plan: 1 to add, 1 to change, 2 to destroy."}},
		{ID: "p-done", Drift: "d-db", Kind: penumbra.IgnoreRule, Title: "Ignore it", State: penumbra.Rejected, Rank: 3, Scores: penumbra.Scores{Likelihood: .3, Risk: .01, Complexity: .01}, Rule: &penumbra.Rule{Pattern: "shop/aws_db_instance.main.iops", Expires: fixedNow.Add(7 * day)}},
	}
	s.omitted = []penumbra.Omitted{{Kind: penumbra.IgnoreChanges, Reason: "the drift is critical"}}
}
