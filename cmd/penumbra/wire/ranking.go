package wire

import (
	"fmt"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/drift"
	"github.com/penumbra-iac/penumbra/proposal"
)

// rankingConfig is how proposals are ranked: how much each score counts, and how much
// depends on which resources.
type rankingConfig struct {
	Likelihood  float64             `koanf:"likelihood"`
	Risk        float64             `koanf:"risk"`
	Complexity  float64             `koanf:"complexity"`
	Criticality []criticalityConfig `koanf:"criticality"`
}

// criticalityConfig says how much depends on the resources that a pattern matches. The
// first that matches holds; of others their own tags tell.
type criticalityConfig struct {
	Match string `koanf:"match"` // as in an ignore rule: "shop/aws_db_instance.*"
	Level string `koanf:"level"` // high, normal, low
}

var criticalities = map[string]proposal.Criticality{"high": proposal.High, "normal": proposal.Normal, "low": proposal.Low}

func (r *rankingConfig) weights() proposal.Weights {
	return proposal.Weights{Likelihood: r.Likelihood, Risk: r.Risk, Complexity: r.Complexity}
}

func (r *rankingConfig) check() error {
	if w := r.weights(); w != (proposal.Weights{}) {
		if err := w.Check(); err != nil {
			return fmt.Errorf("ranking: %w", err)
		}
	}
	for i, c := range r.Criticality {
		_, known := criticalities[c.Level]
		if _, err := drift.NewRules([]penumbra.Rule{{Pattern: c.Match}}); err != nil || !known {
			return &penumbra.Error{
				Kind: penumbra.Invalid, What: fmt.Sprintf("ranking: criticality %d matches %q and is %q", i+1, c.Match, c.Level),
				Remedy: "give match, a pattern of addresses, and level: high, normal or low",
			}
		}
	}
	return nil
}

// weigh puts what is configured into the evidence of a drift.
func (r *rankingConfig) weigh(ev *proposal.Evidence) {
	ev.Weights = r.weights()
	for _, c := range r.Criticality {
		rules, err := drift.NewRules([]penumbra.Rule{{Pattern: c.Match}})
		if err != nil {
			continue // checked when it was read
		}
		if _, ok := rules.Match(ev.Resource.Address, "", penumbra.Null(), ev.Now); ok {
			ev.Criticality, ev.CriticalBy = criticalities[c.Level], "the configuration ("+c.Match+")"
			return
		}
	}
	ev.Criticality, ev.CriticalBy = proposal.CriticalityOf(&ev.Resource)
}
