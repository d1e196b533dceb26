package penumbra_test

import (
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/histories"
)

// In the public histories nearly no secret was committed, so what is sealed of their
// texts is an upper bound on what is sealed wrongly: docs/security.md has the figures.
func TestFewSettingsOfHistoriesAreSealed(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]float64{"estate-c": 0.001, "govuk-aws": 0.002, "home-ops-a": 0.001} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts, sealed := 0, 0
			for _, o := range histories.Read(t, name) {
				for _, s := range o.Settings {
					if s.Value.Kind() != penumbra.StringKind || s.Sensitive {
						continue
					}
					texts++
					if penumbra.HoldsSecret(s.Path, s.Value) {
						sealed++
					}
				}
			}
			share := float64(sealed) / float64(texts)
			t.Logf("%d of %d texts sealed, %.4f %%", sealed, texts, 100*share)
			if share > most {
				t.Errorf("%.4f of the texts are sealed, at most %v is expected", share, most)
			}
		})
	}
}
