package beam_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/shadow"
)

// TestSpark scores a fleet, and trains a model, on a real Spark through Beam's job
// server, and holds the scores to those of one process, and the model to that of
// Prism, byte for byte. It starts itself again within scripts/spark.sh. Without
// what that needs it is skipped, or fails where REQUIRE_TOOLS=1.
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
		cmd := exec.Command(script, os.Args[0], "-test.run=^TestSpark$", "-test.v", "-test.timeout=8m")
		out, err := cmd.CombinedOutput()
		t.Logf("within scripts/spark.sh:\n%s", out)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	ctx := context.Background()
	spark := beam.Runner{Name: "spark", Endpoint: endpoint}
	all := fleet(9, 12)
	files := write(t, all)
	at := all[len(all)-1].Time.Add(time.Hour)
	m := learnt(shadow.NewPooled(shadow.Options{}), all[:len(all)-1])
	folder := t.TempDir()
	if _, err := beam.Score(ctx, beam.Scoring{Files: files, Checkpoint: checkpoint(t, m), At: at, Out: folder, Shards: 2}, spark); err != nil {
		t.Fatal(err)
	}
	got := scores(t, folder)
	here := scoredHere(m, all, at)
	if len(got) != len(here) {
		t.Errorf("%d resources were scored, want %d", len(got), len(here))
	}
	for a, want := range here {
		same(t, got[a], want)
	}

	train := func(r beam.Runner) string {
		name := filepath.Join(t.TempDir(), "model")
		if _, err := beam.Train(ctx, beam.Training{Files: files, Out: name, Shards: 2, Seed: 1}, r); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if train(spark) != train(prism) {
		t.Error("Spark trained another model than Prism")
	}
}
