package api

import (
	"time"

	"github.com/penumbra-iac/penumbra"
)

// The examples of the description are values of the types themselves, so that
// they cannot fall behind them.

var exampleTime = time.Date(2026, 3, 1, 9, 12, 44, 0, time.UTC)

const (
	exampleAddress = penumbra.Address("shop/aws_db_instance.main")
	exampleLine    = `{"kind":"snapshot","time":"2026-03-01T00:05:00Z","resource":"shop/aws_db_instance.main","type":"aws_db_instance","settings":{"instance_class":"db.t3.small"}}` + "\n"
)

func exampleStatus() penumbra.Status {
	return penumbra.Status{
		Version: "0.1.0", Time: exampleTime,
		Stacks: []penumbra.StackStatus{{
			Name: "shop", Dir: "infra/shop", Source: "tofu", Resources: 42, Worst: penumbra.Drifted,
			LastRead: exampleTime.Add(-2 * time.Minute), NextRead: exampleTime.Add(3 * time.Minute), Took: 4 * time.Second,
			Sources: []penumbra.SourceStatus{
				{Name: "tofu", Every: 5 * time.Minute, LastRead: exampleTime.Add(-2 * time.Minute), NextRead: exampleTime.Add(3 * time.Minute), Took: 4 * time.Second, Targeted: true, Cadence: []penumbra.CadenceStatus{
					{Match: "aws_db_instance.*", Every: time.Minute, Resources: 2, NextRead: exampleTime.Add(20 * time.Second)},
					{Every: 5 * time.Minute, Resources: 40, NextRead: exampleTime.Add(3 * time.Minute)},
				}},
				{Name: "postgres", Every: time.Minute, LastRead: exampleTime.Add(-20 * time.Second), NextRead: exampleTime.Add(40 * time.Second), Took: 80 * time.Millisecond},
			},
		}},
		Resources: 42, Settings: 611,
		Verdicts:     map[penumbra.Verdict]int{penumbra.InSync: 39, penumbra.NotChecked: 1, penumbra.Impending: 1, penumbra.Drifted: 1},
		Drifts:       map[penumbra.Verdict]int{penumbra.Impending: 1, penumbra.Drifted: 1},
		Observations: 18250, Quarantined: 1, Model: "pooled",
		Inputs: exampleInputs(), Anomalies: 1,
	}
}

func exampleNodes() penumbra.Nodes {
	return penumbra.Nodes{Time: exampleTime, Nodes: []penumbra.Node{
		{Name: "a", Address: "https://a.internal:7676", Version: "0.1.0", Seen: exampleTime.Add(-time.Second), Leads: true},
		{Name: "b", Address: "https://b.internal:7676", Version: "0.1.0", Seen: exampleTime.Add(-2 * time.Second)},
	}}
}

func exampleInputs() []penumbra.InputStatus {
	return []penumbra.InputStatus{
		{Name: "db-log", Kind: "postgresql", Last: exampleTime, Lag: 400 * time.Millisecond, Records: 18450, Mapped: 17200, Skipped: 35, Denied: 5, Unmapped: 1210, Bad: 2},
		{Name: "prometheus", Kind: "prometheus", Last: exampleTime.Add(-10 * time.Minute), Points: 96000, Series: 64, Unnamed: 1200, Error: "connection refused", Failures: 3},
	}
}

func exampleUnmapped() penumbra.Unmapped {
	return penumbra.Unmapped{Records: 1210, Kinds: []penumbra.UnmappedKind{{
		Input: "db-log", Format: "postgresql", Action: "ALTER TABLE", Target: "orders", Reason: "no resource is known by any of its names", Count: 1187,
		First: exampleTime.Add(-26 * time.Hour), Last: exampleTime, Example: "ALTER TABLE orders SET (fillfactor = 70)",
	}}}
}

func exampleAnomaly() penumbra.Anomaly {
	return penumbra.Anomaly{
		ID: "a-52c0", Resource: exampleAddress, Metric: "latency_seconds", Kind: penumbra.LevelShift,
		Onset: exampleTime.Add(time.Minute), Time: exampleTime.Add(2 * time.Minute),
		Value: 1.16, Expected: 0.012, Band: penumbra.Interval{Low: 0.008, High: 0.021}, PValue: 0.0004, Worse: true,
		Suspects: []penumbra.Suspect{{
			Resource: exampleAddress, Path: "instance_class", Before: penumbra.String("db.t3.small"), After: penumbra.String("db.t3.large"), Time: exampleTime,
			Actor: "alice", ActorKind: penumbra.User, Action: "ModifyDBInstance", Source: "cloudtrail", Probability: 0.86, Reason: "changed 1m0s before, on the same resource",
		}},
		Drift: "d-4c1e",
	}
}

func exampleRollup() penumbra.Rollup {
	return penumbra.Rollup{Resource: exampleAddress, Metric: "latency_seconds", Start: exampleTime, Span: time.Minute, Count: 4, Sum: 2.21, Min: 0.012, Max: 1.16, Last: 1.02}
}

func exampleResources() []penumbra.ResourceStatus {
	return []penumbra.ResourceStatus{{
		Address: exampleAddress, Type: "aws_db_instance", Verdict: penumbra.Drifted,
		Settings: 18, Declared: 7, Snapshot: exampleTime.Add(-2 * time.Minute), NextRead: exampleTime.Add(3 * time.Minute),
	}}
}

func exampleFinding() penumbra.Finding {
	return penumbra.Finding{
		Path: "instance_class", Verdict: penumbra.Drifted, Declared: true,
		Template: penumbra.String("db.t3.small"), Actual: penumbra.String("db.t3.large"),
		Expectation: exampleExpectation(),
	}
}

func exampleExpectation() penumbra.Expectation {
	return penumbra.Expectation{
		Path: "instance_class", Confidence: 0.95,
		Values:           []penumbra.Candidate{{Value: penumbra.String("db.t3.small"), Probability: 0.97}},
		NovelProbability: 0.01, Support: 61,
	}
}

func exampleDrift() penumbra.Drift {
	return penumbra.Drift{
		ID: "d-4c1e", Resource: exampleAddress, Type: "aws_db_instance", Verdict: penumbra.Drifted, Critical: true,
		Cause: penumbra.Cause{
			Key: "e-91", Actor: "alice", ActorKind: penumbra.User, Action: "ModifyDBInstance",
			Source: "cloudtrail", Time: exampleTime, After: exampleTime.Add(-5 * time.Minute),
		},
		Findings: []penumbra.Finding{exampleFinding()},
		Impact: []penumbra.Impact{{
			Anomaly: "a-52c0", Metric: "latency_seconds", Time: exampleTime.Add(2 * time.Minute), Before: 0.012, After: 1.16, Worse: true, Coincidence: 0.002,
		}},
		Opened: exampleTime.Add(time.Minute), Changed: exampleTime.Add(time.Minute),
	}
}

func exampleShadow() penumbra.ShadowView {
	template := penumbra.NewSettings(penumbra.Setting{Path: "instance_class", Value: penumbra.String("db.t3.small")})
	actual := penumbra.NewSettings(penumbra.Setting{Path: "instance_class", Value: penumbra.String("db.t3.large")})
	return penumbra.ShadowView{
		Resource: penumbra.Resource{
			Address: exampleAddress, Type: "aws_db_instance", Template: template, Actual: actual,
			TemplateTime: exampleTime.Add(-9 * time.Hour), SnapshotTime: exampleTime,
		},
		Time: exampleTime, Verdict: penumbra.Drifted,
		Settings: []penumbra.SettingView{{
			Path: "instance_class", Verdict: penumbra.Drifted, Declared: true,
			Template: penumbra.String("db.t3.small"), Actual: penumbra.String("db.t3.large"),
			Expectation: exampleExpectation(),
			Forecast:    penumbra.Forecast{Path: "instance_class", Leave: [5]float64{0.001, 0.004, 0.02, 0.11, 0.36}, Next: penumbra.String("db.t3.large"), Support: 61},
		}},
		Drifts: []penumbra.Drift{exampleDrift()},
		History: []penumbra.HistoryPoint{{
			Time: exampleTime, Kind: penumbra.EventKind, Path: "instance_class", Value: penumbra.String("db.t3.large"), Actor: "alice", ActorKind: penumbra.User,
		}},
	}
}

func exampleExplanation() penumbra.Explanation {
	return penumbra.Explanation{
		Resource: exampleAddress, Path: "instance_class", Time: exampleTime, Verdict: penumbra.Impending,
		Leave: [5]float64{0.001, 0.006, 0.024, 0.17, 0.31}, Horizon: 3,
		Influences: []penumbra.Influence{{
			Kind: penumbra.PeerWave, Text: `6 of 9 peers changed to "db.t3.large" in the last 2 days, by alice`, Events: 6,
			First: exampleTime.Add(-48 * time.Hour), Last: exampleTime.Add(-3 * time.Hour),
			Actors: []string{"alice"}, Peers: []penumbra.Address{"shop/aws_db_instance.replica"},
			Without: [5]float64{0.0002, 0.001, 0.004, 0.03, 0.11}, Effect: 1.89,
		}},
		Without:  [5]float64{0.0001, 0.0005, 0.002, 0.014, 0.05},
		Sentence: `17 % to leave its template within 7 days, because 6 of 9 peers changed to "db.t3.large" in the last 2 days, by alice (3 % without).`,
	}
}

const exampleHash = "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"

func exampleProposal() penumbra.Proposal {
	return penumbra.Proposal{
		ID: "p-7f3a", Drift: "d-4c1e", Kind: penumbra.Revert, Title: "Bring instance_class back to db.t3.small",
		State: penumbra.Proposed, Rank: 1, Hash: exampleHash,
		Script:      "cd infra/shop\ntofu plan -target=aws_db_instance.main -out=revert.tfplan\ntofu apply revert.tfplan\n",
		Explanation: "The code declares db.t3.small. alice set db.t3.large on 1 March at 09:12.",
		Impact:      "Updates 1 resource in place; destroys and replaces none.",
		WayBack:     "Set db.t3.large again.",
		Scores:      penumbra.Scores{Likelihood: 0.9, Risk: 0.2, Complexity: 0.1},
		Plan: &penumbra.Plan{
			Hash: exampleHash, Evidence: "5d41402abc4b2a76b9719d911017c592", File: "p-7f3a.tfplan",
			Stack: "shop", Targets: []penumbra.Address{exampleAddress}, Created: exampleTime,
			Changes: []penumbra.PlannedChange{{
				Resource: exampleAddress, Type: "aws_db_instance", Action: penumbra.Update,
				Changes: []penumbra.PathChange{{Path: "instance_class", Before: penumbra.String("db.t3.large"), After: penumbra.String("db.t3.small")}},
			}},
		},
		Created: exampleTime,
	}
}

func exampleRun() penumbra.Run {
	return penumbra.Run{
		ID: "r-02b9", Proposal: "p-7f3a", Decision: "c-11", Drift: "d-4c1e", Stack: "shop", State: penumbra.Done,
		Steps: []penumbra.RunStep{
			{State: penumbra.Planned, Time: exampleTime}, {State: penumbra.Checking, Time: exampleTime.Add(time.Second)},
			{State: penumbra.Applying, Time: exampleTime.Add(4 * time.Second)}, {State: penumbra.Verifying, Time: exampleTime.Add(9 * time.Second)},
			{State: penumbra.Done, Time: exampleTime.Add(12 * time.Second)},
		},
		Started: exampleTime, Ended: exampleTime.Add(12 * time.Second), Outcome: "instance_class is db.t3.small again",
		Watch: &penumbra.Watch{Until: exampleTime.Add(10*time.Minute + 12*time.Second), WayBack: "p-90bd", Harm: []penumbra.Harm{{
			Resource: exampleAddress,
			Impact:   penumbra.Impact{Anomaly: "a-31", Metric: "latency", Time: exampleTime.Add(30 * time.Second), Before: 0.02, After: 0.4, Worse: true, Coincidence: 0.03, Explained: 0.98},
		}}},
	}
}

func exampleReview() penumbra.Run {
	run := exampleRun()
	run.Kind, run.Steps, run.Outcome = penumbra.Adopt, run.Steps[:3], "pull request https://github.com/team/estate/pull/17 is open: the drift stays until it is merged and the checkout has it"
	run.Code = &penumbra.CodeChange{
		Way: penumbra.PullRequestWay, Branch: "penumbra/d-4c1e-adopt", Base: "main", Commit: "9fceb02d0ae598e95dc970b74767f19372d61af8", Remote: "origin", Pushed: true,
		Number: 17, URL: "https://github.com/team/estate/pull/17", State: penumbra.ReviewMerged, Seen: exampleTime.Add(2 * time.Hour),
	}
	return run
}

func exampleApproval() penumbra.Approval {
	run := exampleRun()
	return penumbra.Approval{Decision: exampleDecision(), By: []string{"alice"}, Needs: 1, Run: &run}
}

func exampleDecision() penumbra.Decision {
	return penumbra.Decision{ID: "c-11", Proposal: "p-7f3a", Drift: "d-4c1e", Verb: penumbra.Approve, Hash: exampleHash, By: "alice", Time: exampleTime}
}

func exampleFreeze() penumbra.Freeze {
	return penumbra.Freeze{
		ID: "f-19ab", Stacks: []string{"shop"}, From: exampleTime, Until: exampleTime.Add(96 * time.Hour),
		Reason: "the spring sale", By: "olga", Created: exampleTime,
	}
}

func exampleReport() penumbra.PolicyReport {
	return penumbra.PolicyReport{
		Proposal: "p-7f3a", Drift: "d-4c1e", By: "alice", Time: exampleTime, InWindow: true,
		Answers: []penumbra.PolicyAnswer{
			{Verb: penumbra.Approve, By: "alice", Allowed: true, Policies: []string{"people", "two-people"}, Needs: 2, Reason: "needs 2 people, says policy two-people"},
			{Verb: penumbra.Approve, Needs: 1, Reason: "no policy allows it"},
		},
	}
}

func exampleBadLine() penumbra.BadLine {
	return penumbra.BadLine{Source: "http", Line: 17, Reason: "time is missing", Text: `{"kind":"snapshot"}`, Seen: exampleTime}
}

func exampleVersion() penumbra.ModelVersion {
	return penumbra.ModelVersion{
		Number: 3, Created: exampleTime, Family: "mixture", Origin: penumbra.TrainedVersion, State: penumbra.ActiveVersion,
		Sources: []string{"the store"}, Observations: 18250, Seed: 1, Before: 2, Promoted: exampleTime.Add(time.Hour), By: "alice",
		Score: &penumbra.VersionScore{
			From: exampleTime.Add(-90 * 24 * time.Hour), To: exampleTime, Horizon: "30d", Questions: 5120, Left: 88,
			LogLoss: 0.0611, PR: 0.41, Over: 2, OverFamily: "pooled", OverLogLoss: 0.0688, OverPR: 0.36, Better: true,
		},
		Why: "On this history mixture is the model to use: log loss 0.06110 and PR-AUC 0.410 within 30d.", Kept: true, Size: 412000,
	}
}

func exampleModel() penumbra.ModelStatus {
	return penumbra.ModelStatus{
		Configured: "auto", Family: "mixture", Version: 3, Why: exampleVersion().Why, Resources: 42, Bytes: 1480000, Saved: exampleTime,
		Pool: &penumbra.ModelPool{
			Experts: []string{"counts", "logistic", "network"}, Estate: []float64{0.3, 0.5, 0.2},
			Types: []penumbra.TypeWeights{{Type: "aws_db_instance", Weights: []float64{0.2, 0.5, 0.3}}}, Parameters: 83648, Examples: 9120,
		},
	}
}

func exampleRecorded() penumbra.RecordedValues {
	return penumbra.RecordedValues{
		Page:   42,
		Values: []penumbra.MetricValue{{Resource: exampleAddress, Metric: "latency_seconds", Worse: penumbra.Up, Time: exampleTime, Value: 0.0017}},
		Missed: []penumbra.RecordingGap{{Resource: exampleAddress, Values: 120, From: exampleTime.Add(time.Second), To: exampleTime.Add(2 * time.Second)}},
	}
}
