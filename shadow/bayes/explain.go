package bayes

import "github.com/penumbra-iac/penumbra/shadow"

var _ shadow.Explained = (*Model)(nil)

// Explainer implements [shadow.Explained]: the forecasts are the pooled model's,
// and so are their explanations.
func (m *Model) Explainer() shadow.Explainer { return m.pooled }
