package beam_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// TestSpark trains a model on a real Spark through Beam's job server, scores a fleet
// with it, and judges another there. It holds the model to that of Prism, byte for
// byte; its PR-AUC on a later time to that of the model that one process trained, to
// 1 %; the scores to those of one process, to 1e-6; the report to that of Prism. It starts
// itself again within scripts/spark.sh. Where the public histories are at hand, one of them is scored
// there, too, and models are trained on the first quarter of another. Without what that needs it is
// skipped, or fails where REQUIRE_TOOLS=1.
func TestSpark(t *testing.T) {
	endpoint := os.Getenv("SPARK_ENDPOINT")
	if endpoint == "" {
		script := filepath.Join("..", "..", "scripts", "spark.sh")
		if out, err := exec.Command(script, "--check").CombinedOutput(); err != nil {
			if os.Getenv("REQUIRE_TOOLS") == "1" {
				t.Fatalf("no Spark: %s", out)
			}
			t.Skipf("no Spark: %s", out)
		}
		cmd := exec.Command(script, os.Args[0], "-test.run=^Test(Spark|ScoresOfHistories|SplitByTime)$", "-test.v", "-test.timeout=15m")
		if os.Getenv("PENUMBRA_DATA") != "" {
			cmd.Env = append(os.Environ(), "PENUMBRA_SPLIT=home-ops-a", "PENUMBRA_SHARE=0.25")
		}
		out, err := cmd.CombinedOutput()
		t.Logf("within scripts/spark.sh:\n%s", out)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	spark := beam.Runner{Name: "spark", Endpoint: endpoint}
	all := moving(1, 30, 300)
	files := write(t, all)
	cut := all[0].Time.AddDate(0, 0, 200)

	// Training: the model is that of Prism, and ranks as the one that one process trains.
	training := beam.Training{Files: files, Until: cut, Shards: 2, Seed: 1}
	trained := trainedThere(t, training, spark)
	if !bytes.Equal(trained, trainedThere(t, training, prism)) {
		t.Error("Spark trained another model than Prism")
	}
	names := []string{"untrained", "one process", "Spark"}
	c := judgedLater(t, all, cut, names, [][]byte{nil, trainedHere(t, all, cut, 1), trained}, backtest.Options{Seed: 1, Bootstrap: -1})
	nothing, here, there := c.Score(names[0]), c.Score(names[1]), c.Score(names[2])
	t.Logf("%d questions, %d left; PR-AUC untrained %.4f, trained in one process %.4f, on Spark %.4f", c.Questions, c.Left, nothing.PR, here.PR, there.PR)
	if math.Abs(there.PR-here.PR) > 0.01*here.PR {
		t.Errorf("trained on Spark it ranks with a PR-AUC of %.4f, in one process with %.4f", there.PR, here.PR)
	}
	if nothing.PR > 0.98*here.PR {
		t.Errorf("training is worth nothing here, so that this test shows nothing: PR-AUC %.4f untrained, %.4f trained", nothing.PR, here.PR)
	}

	// Scoring by that model, which has served since.
	at := all[len(all)-1].Time.Add(time.Hour)
	m := learnt(reading(t, trained), all)
	folder := t.TempDir()
	if _, err := beam.Score(context.Background(), beam.Scoring{Files: files, Checkpoint: checkpoint(t, m), At: at, Out: folder, Shards: 2}, spark); err != nil {
		t.Fatal(err)
	}
	got, want := scores(t, folder), scoredHere(m, all, at)
	if len(got) != len(want) || len(got) != 60 {
		t.Errorf("%d resources were scored, want %d", len(got), len(want))
	}
	for a := range want {
		same(t, got[a], want[a])
	}

	// Judging: the report is that of Prism.
	b := beam.Backtest{Files: files, Shards: 2, Judging: beam.Judging{
		Models: []string{"pooled"}, Options: backtest.Options{Every: 30 * 24 * time.Hour, Seed: 1, Bootstrap: -1},
	}}
	if diff := cmp.Diff(report(t, b, prism), report(t, b, spark)); diff != "" {
		t.Errorf("-Prism +Spark\n%s", diff)
	}
}
