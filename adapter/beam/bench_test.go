//go:build unix

package beam_test

import (
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/shadow"
)

// BenchmarkScores scores a made fleet of 100,001 resources into files of either form and into a
// PostgreSQL whose commits are synced: docs/scale.md has the figures.
func BenchmarkScores(b *testing.B) {
	all := fleet(50_000, 4)
	scoring := beam.Scoring{
		Files: write(b, all), Checkpoint: checkpoint(b, learnt(shadow.NewPooled(shadow.Options{}), all[:5_000])),
		At: all[len(all)-1].Time.Add(time.Hour), Top: 10,
	}
	server := pgtest.Own(b, pgtest.Options{Durable: true})
	address := empty(b, server)
	for _, to := range []struct{ name, out, format string }{
		{"jsonl.gz", "", "jsonl.gz"}, {"postgres", address, ""}, {"parquet", "", "parquet"},
	} {
		b.Run(to.name, func(b *testing.B) {
			for b.Loop() {
				x := scoring
				if x.Out, x.Format = to.out, to.format; x.Out == "" {
					x.Out = b.TempDir()
				}
				result, err := beam.Score(b.Context(), x, prism)
				if err != nil || result.Scores.Resources != 100_001 {
					b.Fatalf("%+v, %v", result.Scores, err)
				}
			}
			b.ReportMetric(float64(100_001*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
