package api

import "github.com/penumbra-iac/penumbra"

// JSON has neither secrets nor open values: one is written as the text of its
// keyed hash, the other as null. What holds a value knows which it is, and
// restores it here.

func restoreEach[T any](list []T, restore func(*T)) {
	for i := range list {
		restore(&list[i])
	}
}

// restoreSecret makes the text of a keyed hash a secret again. Only call it
// where the value may be one: a string may look like a hash.
func restoreSecret(v *penumbra.Value) {
	if v.Kind() != penumbra.StringKind {
		return
	}
	if secret, ok := penumbra.Secret(v.Text()); ok {
		*v = secret
	}
}

// restoreTemplate makes the template value of a declared setting open again. A
// declared null does not exist: nulls leave no setting.
func restoreTemplate(v *penumbra.Value, declared bool) {
	if declared && v.IsNull() {
		*v = penumbra.Unknown()
	}
}

func restoreExpectation(e *penumbra.Expectation) {
	restoreEach(e.Values, func(c *penumbra.Candidate) { restoreSecret(&c.Value) })
}

func restoreFinding(f *penumbra.Finding) {
	restoreTemplate(&f.Template, f.Declared)
	if !f.Sensitive {
		return
	}
	restoreSecret(&f.Template)
	restoreSecret(&f.Actual)
	restoreExpectation(&f.Expectation)
	if f.Forecast != nil {
		restoreSecret(&f.Forecast.Next)
	}
}

func restoreDrift(d *penumbra.Drift) { restoreEach(d.Findings, restoreFinding) }

func restoreShadow(view *penumbra.ShadowView) {
	sensitive := map[string]bool{}
	restoreEach(view.Settings, func(s *penumbra.SettingView) {
		restoreTemplate(&s.Template, s.Declared)
		if !s.Sensitive {
			return
		}
		sensitive[s.Path] = true
		restoreSecret(&s.Template)
		restoreSecret(&s.Actual)
		restoreSecret(&s.Forecast.Next)
		restoreExpectation(&s.Expectation)
	})
	restoreEach(view.History, func(h *penumbra.HistoryPoint) {
		if sensitive[h.Path] {
			restoreSecret(&h.Value)
		}
	})
	restoreEach(view.Drifts, restoreDrift)
}

// restoreAnomaly restores what its suspects changed. They carry no mark, as the
// changes of a plan do not.
func restoreAnomaly(a *penumbra.Anomaly) {
	restoreEach(a.Suspects, func(s *penumbra.Suspect) {
		restoreSecret(&s.Before)
		restoreSecret(&s.After)
	})
}

// restoreProposal restores a plan's changes. They carry no mark: a sensitive
// value is always a secret there, and nobody compares them with real strings.
func restoreProposal(p *penumbra.Proposal) {
	if p.Rule != nil && p.Rule.Value != nil {
		restoreSecret(p.Rule.Value)
	}
	if p.Plan == nil {
		return
	}
	restoreEach(p.Plan.Changes, func(c *penumbra.PlannedChange) {
		restoreEach(c.Changes, func(change *penumbra.PathChange) {
			restoreSecret(&change.Before)
			restoreSecret(&change.After)
			if change.Unknown {
				change.After = penumbra.Unknown()
			}
		})
	})
}
