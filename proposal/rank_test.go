package proposal

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// TestRankingLearns is of fifty decisions in worlds whose success rates are known to the
// test alone: a person picks one of three ways each time, at random, and sees how it
// ends. Afterwards the way that is ranked first should be the best one. A fixed order is
// right in one of three worlds.
func TestRankingLearns(t *testing.T) {
	t.Parallel()
	ways := []penumbra.ProposalKind{penumbra.Revert, penumbra.Adopt, penumbra.Custom}
	rank := func(ev *Evidence) penumbra.ProposalKind {
		var list []penumbra.Proposal
		for _, kind := range ways {
			l, _ := likelihood(&penumbra.Proposal{Kind: kind}, ev, 1)
			list = append(list, penumbra.Proposal{Kind: kind, Scores: penumbra.Scores{Likelihood: l, Risk: 0.2, Complexity: 0.2}})
		}
		Rank(list, Weights{})
		return list[0].Kind
	}
	for _, rates := range [][]float64{{0.95, 0.5, 0.2}, {0.9, 0.6, 0.4}, {0.8, 0.5, 0.5}} {
		const worlds = 600
		right, fixed := 0, 0
		for world := range uint64(worlds) {
			r := rand.New(rand.NewPCG(world+firstWorld, 30))
			truth := slices.Clone(rates)
			r.Shuffle(len(truth), func(i, j int) { truth[i], truth[j] = truth[j], truth[i] })
			ev := evidence(penumbra.Drifted, "log_level")
			for range 50 {
				i := r.IntN(len(ways))
				ev.Outcomes = append(ev.Outcomes, Outcome{Kind: ways[i], Type: ev.Drift.Type, ActorKind: ev.Drift.Cause.ActorKind, Succeeded: r.Float64() < truth[i]})
			}
			best := ways[slices.Index(truth, rates[0])]
			if rank(&ev) == best {
				right++
			}
			if ways[0] == best {
				fixed++
			}
		}
		t.Logf("success rates %v: the best way is first in %.3f of %d worlds, in a fixed order in %.3f", rates, float64(right)/worlds, worlds, float64(fixed)/worlds)
		if rates[0] >= 0.9 && right < worlds*9/10 {
			t.Errorf("success rates %v: right in %d of %d", rates, right, worlds)
		}
	}
}

// firstWorld is the first seed of the figures: the priors were chosen on none of them.
const firstWorld = 5000

// Whatever the weights, no proposal is above one that is better in all three scores.
func TestNothingDominatedIsAbove(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Hundredths: what is better by less than a rounding error need not be above.
		unit := rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(0, 100).Draw(t, "hundredths")) / 100 })
		w := Weights{unit.Draw(t, "l"), unit.Draw(t, "r"), unit.Draw(t, "c")}
		if w.Check() != nil {
			t.Skip("no weights")
		}
		var list []penumbra.Proposal
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			list = append(list, penumbra.Proposal{Kind: penumbra.Adopt, Scores: penumbra.Scores{Likelihood: unit.Draw(t, "likelihood"), Risk: unit.Draw(t, "risk"), Complexity: unit.Draw(t, "complexity")}})
		}
		Rank(list, w)
		for i := range list {
			if list[i].Rank != i+1 || list[i].RankReason == "" {
				t.Fatalf("number %d: %+v", i+1, list[i])
			}
			for j := range list[:i] {
				a, b := list[j].Scores, list[i].Scores // a is above b
				if b.Likelihood > a.Likelihood && b.Risk < a.Risk && b.Complexity < a.Complexity {
					t.Fatalf("%+v is above %+v", a, b)
				}
			}
		}
	})
}

func TestWeightsMoveTheRanking(t *testing.T) {
	t.Parallel()
	list := []penumbra.Proposal{
		{Kind: penumbra.Adopt, ID: "sure", Scores: penumbra.Scores{Likelihood: 0.9, Risk: 0.5, Complexity: 0.2}},
		{Kind: penumbra.Adopt, ID: "careful", Scores: penumbra.Scores{Likelihood: 0.6, Risk: 0.1, Complexity: 0.2}},
	}
	Rank(list, Weights{})
	if list[0].ID != "sure" || !strings.Contains(list[1].RankReason, "for its likelihood") {
		t.Errorf("by default %s first; %q", list[0].ID, list[1].RankReason)
	}
	Rank(list, Weights{Likelihood: 1, Risk: 4})
	if list[0].ID != "careful" || !strings.Contains(list[1].RankReason, "for its risk") {
		t.Errorf("with risk weighing four times as much %s first; %q", list[0].ID, list[1].RankReason)
	}
	for _, w := range []Weights{{}, {-1, 1, 1}, {math.NaN(), 1, 1}} {
		if penumbra.KindOf(w.Check()) != penumbra.Invalid {
			t.Errorf("%+v is taken", w)
		}
	}
}

// effects is a network that knows of one setting.
func effects(at map[string]float64, cases float64) func(string, penumbra.Value) []penumbra.Effect {
	return func(path string, v penumbra.Value) []penumbra.Effect {
		c, ok := at[v.Text()]
		if path != "log_level" || !ok {
			return nil
		}
		return []penumbra.Effect{{Metric: "latency", Threshold: 0.2, Chance: c, Low: c * 0.8, High: min(1, c*1.2), Least: c, Most: c, Cases: cases}}
	}
}

func TestPredictionsAreToldAndWeigh(t *testing.T) {
	t.Parallel()
	propose := func(ev Evidence) penumbra.Proposal {
		list, _, err := For(t.Context(), ev, &workspace{code: update("log_level")})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return p.Kind == penumbra.Revert })
		return list[i]
	}
	ev := evidence(penumbra.Drifted, "log_level")
	unknown := propose(ev)
	if len(unknown.Predictions) != 0 || strings.Contains(unknown.Impact, "Predicted") || !strings.Contains(unknown.Otherwise, "It stays as it is") {
		t.Errorf("nothing is known: %+v, %q, %q", unknown.Predictions, unknown.Impact, unknown.Otherwise)
	}
	// The plan goes from debug to info.
	ev.Effects = effects(map[string]float64{"debug": 0.6, "info": 0.1}, 300)
	better := propose(ev)
	if len(better.Predictions) != 1 || !strings.Contains(better.Impact, "latency above 0.2 in 10 % of hours instead of 60 % (90 % interval 8 to 12 %, from 300 hours)") ||
		!strings.Contains(better.Otherwise, "latency above 0.2 in 60 % of hours instead of 10 %") || better.Scores.Risk != unknown.Scores.Risk {
		t.Errorf("it helps: %+v\n%s\n%s\nrisk %g, without %g", better.Predictions, better.Impact, better.Otherwise, better.Scores.Risk, unknown.Scores.Risk)
	}
	ev.Effects = effects(map[string]float64{"debug": 0.1, "info": 0.6}, 300)
	if worse := propose(ev); worse.Scores.Risk <= unknown.Scores.Risk+0.1 || !strings.Contains(strings.Join(worse.ScoreReasons, "\n"), "a metric predicted to be bad in at least 38 % more of the hours") {
		t.Errorf("it harms: risk %g, without %g; %q", worse.Scores.Risk, unknown.Scores.Risk, worse.ScoreReasons)
	}
	ev.Effects = effects(map[string]float64{"debug": 0.1, "info": 0.6}, 5)
	if few := propose(ev); len(few.Predictions) != 0 || few.Scores.Risk != unknown.Scores.Risk {
		t.Errorf("from five hours: %+v", few.Predictions)
	}
}

func TestOtherwiseTellsWhatItDid(t *testing.T) {
	t.Parallel()
	ev := evidence(penumbra.Drifted, "fsync")
	ev.Drift.Findings[0].Hazard = "a crash loses what was committed"
	ev.Drift.Impact = []penumbra.Impact{{Metric: "latency", Before: 0.001, After: 0.05, Worse: true, Coincidence: 0.01}}
	for _, want := range []string{"latency went from 0.001 to 0.05 (worse; chance of coincidence 1.0 %)", "fsync is dangerous: a crash loses what was committed"} {
		if got := otherwise(&ev); !strings.Contains(got, want) {
			t.Errorf("%q has no %q", got, want)
		}
	}
	ev.Drift.Verdict = penumbra.Tolerated
	if got := otherwise(&ev); !strings.Contains(got, "by habit") {
		t.Errorf("a habit: %q", got)
	}
}

func TestRiskKnowsHourAndCriticality(t *testing.T) {
	t.Parallel()
	p := penumbra.Proposal{Kind: penumbra.Revert, Plan: &penumbra.Plan{Changes: []penumbra.PlannedChange{update("log_level")}}}
	ev := evidence(penumbra.Drifted, "log_level")
	usual, _ := risk(&p, &ev)
	load := penumbra.Load{Metric: "requests", Days: 10}
	for h := range load.Hours {
		load.Hours[h] = 10 + float64(h)
	}
	ev.Load = &load
	at := func(hour int) (float64, string) {
		ev.Now = now.Truncate(24 * time.Hour).Add(time.Duration(hour) * time.Hour)
		return risk(&p, &ev)
	}
	quiet, quietly := at(0)
	busy, busily := at(23)
	if !(quiet < usual && usual < busy) || !strings.Contains(quietly, "at a quiet hour by requests over 10 days") || !strings.Contains(busily, "the quietest is 00:00 UTC") {
		t.Errorf("risk %g at a quiet hour (%s), %g, %g at a busy one (%s)", quiet, quietly, usual, busy, busily)
	}
	ev.Load.Days = 1
	if got, _ := at(23); got != usual {
		t.Errorf("after a day %g, want %g", got, usual)
	}
	ev.Load = nil
	ev.Resource.Actual = append(ev.Resource.Actual, penumbra.Setting{Path: "tags.env", Value: penumbra.String("Production")})
	ev.Criticality, ev.CriticalBy = CriticalityOf(&ev.Resource)
	high, why := risk(&p, &ev)
	if high <= usual || !strings.Contains(why, "of high criticality by tags.env") {
		t.Errorf("in production %g (%s), otherwise %g", high, why, usual)
	}
	ev.Criticality = Low
	if low, _ := risk(&p, &ev); low >= usual {
		t.Errorf("in a sandbox %g, otherwise %g", low, usual)
	}
	if c, path := CriticalityOf(&penumbra.Resource{Actual: penumbra.Settings{{Path: "env", Value: penumbra.String("prod"), Sensitive: true}}}); c != Normal || path != "" {
		t.Errorf("by a secret: %v by %s", c, path)
	}
}
