package backtest_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// TestCorrections runs the whole protocol on the public record of real drift.
// PENUMBRA_SEED sets the seed.
func TestCorrections(t *testing.T) {
	observations := history(t, "estate-c")
	f, err := os.Open(filepath.Join(os.Getenv("PENUMBRA_DATA"), "estate-c.drift.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	corrections, err := backtest.ReadCorrections(f)
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := strconv.ParseUint(os.Getenv("PENUMBRA_SEED"), 10, 64)
	begun := time.Now()
	r, err := backtest.Corrections(t.Context(), observations, corrections, backtest.CorrectionOptions{Seed: max(1, seed)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	t.Logf("in %v\n%s", time.Since(begun).Round(time.Second), b.String())
}
