//go:build unix

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
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// TestSpark has the tests of another engine run on a real Spark. Where the public histories
// are at hand, one of them is scored there, too, and models are trained on the first quarter of
// another.
func TestSpark(t *testing.T) {
	server := pgtest.Own(t, pgtest.Options{})
	// Within the network namespace no user but this one is known, and its socket is reached by all.
	if err := os.Chmod(server.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	address := empty(t, server)
	onEngine(t, "spark", "^Test(Engine|ScoresOfHistories|SplitByTime)$", address)
}

// TestFlink has them run on a real Flink.
func TestFlink(t *testing.T) {
	onEngine(t, "flink", "^Test(Engine|ScoresOfHistories)$", "")
}

// onEngine starts this program again within scripts/jobserver.sh. Without what that needs the test is
// skipped, or fails where REQUIRE_TOOLS=1. The scores go into a database too, if that is not "".
func onEngine(t *testing.T, engine, tests, database string) {
	script := filepath.Join("..", "..", "scripts", "jobserver.sh")
	if out, err := exec.Command(script, "--check").CombinedOutput(); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatalf("no %s: %s", engine, out)
		}
		t.Skipf("no %s: %s", engine, out)
	}
	cmd := exec.Command(script, engine, os.Args[0], "-test.run="+tests, "-test.v", "-test.timeout=15m")
	cmd.Env = append(os.Environ(), "JOB_DATABASE="+database)
	if os.Getenv("PENUMBRA_DATA") != "" {
		cmd.Env = append(cmd.Env, "PENUMBRA_SPLIT=home-ops-a", "PENUMBRA_SHARE=0.25")
	}
	out, err := cmd.CombinedOutput()
	t.Logf("within scripts/jobserver.sh:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// TestEngine trains a model on another engine through Beam's job server, scores a fleet
// with it, and judges another there. It holds the model to that of Prism, byte for
// byte; its PR-AUC on a later time to that of the model that one process trained, to
// 1 %; the scores, in files and in a database, to those of one process, to 1e-6; the report to that of Prism.
func TestEngine(t *testing.T) {
	there := elsewhere()
	if there.Name == prism.Name {
		t.Skip("TestSpark and TestFlink run this beside their engines")
	}
	all := moving(1, 30, 300)
	files := write(t, all)
	cut := all[0].Time.AddDate(0, 0, 200)

	// Training: the model is that of Prism, and ranks as the one that one process trains.
	training := beam.Training{Files: files, Until: cut, Shards: 2, Seed: 1}
	trained := trainedThere(t, training, there)
	if !bytes.Equal(trained, trainedThere(t, training, prism)) {
		t.Errorf("%s trained another model than Prism", there.Name)
	}
	names := []string{"untrained", "one process", there.Name}
	c := judgedLater(t, all, cut, names, [][]byte{nil, trainedHere(t, all, cut, 1), trained}, backtest.Options{Seed: 1, Bootstrap: -1})
	nothing, here, far := c.Score(names[0]), c.Score(names[1]), c.Score(names[2])
	t.Logf("%d questions, %d left; PR-AUC untrained %.4f, trained in one process %.4f, on %s %.4f", c.Questions, c.Left, nothing.PR, here.PR, there.Name, far.PR)
	if math.Abs(far.PR-here.PR) > 0.01*here.PR {
		t.Errorf("trained on %s it ranks with a PR-AUC of %.4f, in one process with %.4f", there.Name, far.PR, here.PR)
	}
	if nothing.PR > 0.98*here.PR {
		t.Errorf("training is worth nothing here, so that this test shows nothing: PR-AUC %.4f untrained, %.4f trained", nothing.PR, here.PR)
	}

	// Scoring by that model, which has served since.
	at := all[len(all)-1].Time.Add(time.Hour)
	m := learnt(reading(t, trained), all)
	folder := t.TempDir()
	scoring := beam.Scoring{Files: files, Checkpoint: checkpoint(t, m), At: at, Out: folder, Shards: 2}
	if _, err := beam.Score(context.Background(), scoring, there); err != nil {
		t.Fatal(err)
	}
	got, want := scores(t, folder), scoredHere(m, all, at)
	if len(got) != len(want) || len(got) != 60 {
		t.Errorf("%d resources were scored, want %d", len(got), len(want))
	}
	for a := range want {
		same(t, got[a], want[a])
	}
	if database := os.Getenv("JOB_DATABASE"); database != "" {
		scoring.Out = database
		result, err := beam.Score(context.Background(), scoring, there)
		if err != nil {
			t.Fatal(err)
		}
		sameScores(t, scoresIn(t, connected(t, database), result.Job), got)
		t.Logf("on %s: %d resources scored into %s, too", there.Name, len(got), result.Where)
	}

	// Judging: the report is that of Prism.
	b := beam.Backtest{Files: files, Shards: 2, Judging: beam.Judging{
		Models: []string{"pooled"}, Options: backtest.Options{Every: 30 * 24 * time.Hour, Seed: 1, Bootstrap: -1},
	}}
	if diff := cmp.Diff(report(t, b, prism), report(t, b, there)); diff != "" {
		t.Errorf("-Prism +there\n%s", diff)
	}
}
