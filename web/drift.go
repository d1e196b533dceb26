package web

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// driftPage is one drift; the ways to resolve it follow once they are made.
type driftPage struct {
	Drift   penumbra.Drift
	Active  bool
	Snoozed bool
	May     driftActs
	Hit     []impactView      // what it did to metrics
	Why     map[string]string // a sentence by the finding's path
	// Parts are the settings of which some may be adopted, if there are several.
	Parts []penumbra.Finding
}

// why returns a sentence for each path. A page does without where none can be
// had: it says what is, and not only why.
func (s *site) why(r *http.Request, address penumbra.Address, path string) map[string]string {
	explanations, err := s.service.Explain(r.Context(), address, path)
	if err != nil {
		return nil
	}
	out := make(map[string]string, len(explanations))
	for i := range explanations {
		out[explanations[i].Path] = explanations[i].Sentence
	}
	return out
}

// proposalsPart is what follows of a drift.
type proposalsPart struct {
	Drift     penumbra.Drift
	Ways      []proposalView // those that can be chosen, if there are several
	Proposals []proposalView
	Runs      []penumbra.Run
	Decisions []penumbra.Decision
	Omitted   []penumbra.Omitted
	Failure   *failure
}

// drift sends what is known at once: making proposals may take as long as a
// plan does, and the second part of the page follows when they are there.
func (s *site) drift(w http.ResponseWriter, r *http.Request, sess session) error {
	id := r.URL.Query().Get("id")
	if id == "" {
		return noDrift(id)
	}
	found, err := s.service.FindDrifts(r.Context(), penumbra.DriftQuery{ID: id})
	if err != nil {
		return err
	}
	if len(found.Drifts) == 0 {
		return noDrift(id)
	}
	d := found.Drifts[0]
	part := proposalsPart{Drift: d}
	runs, err := s.service.Runs(r.Context(), penumbra.RunQuery{Stack: d.Resource.Stack()})
	if err != nil {
		return err
	}
	part.Runs = slices.DeleteFunc(slices.Clone(runs), func(run penumbra.Run) bool { return run.Drift != d.ID })
	if part.Decisions, err = s.service.Decisions(r.Context(), penumbra.DecisionQuery{Drift: d.ID}); err != nil {
		return err
	}
	page := driftPage{Drift: d, Parts: parts(&d), Active: d.Active(), Snoozed: d.Snoozed(s.now()), May: s.driftActs(r.Context(), sess, d.ID), Hit: s.impacts(r.Context(), &d, s.now())}
	if d.Active() {
		page.Why = s.why(r, d.Resource, "")
	}
	s.show(w, http.StatusOK, "drift.html", s.frame(r, d.Resource.Local(), sess, page))
	if d.Active() {
		_ = http.NewResponseController(w).Flush() // a writer that cannot flush sends it all at the end
	}
	s.showRest(w, r, sess, &part)
	return nil
}

func noDrift(id string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no drift " + id, Remedy: "see the overview for those that there are"}
}

// mostWays bounds the ways that stand side by side.
const mostWays = 5

func (s *site) showRest(w http.ResponseWriter, r *http.Request, sess session, part *proposalsPart) {
	if part.Drift.Active() {
		proposals, omitted, err := s.service.Proposals(r.Context(), part.Drift.ID)
		if err != nil {
			f := failureOf(err)
			part.Failure = &f
		}
		part.Omitted = omitted
		for i, p := range proposals {
			v := s.viewOf(r.Context(), p, sess, i == 0)
			part.Proposals = append(part.Proposals, v)
			if p.State == penumbra.Proposed && len(part.Ways) < mostWays {
				part.Ways = append(part.Ways, v)
			}
		}
		if len(part.Ways) < 2 {
			part.Ways = nil
		}
	}
	var b bytes.Buffer
	if err := s.templates.ExecuteTemplate(&b, "drift-rest.html", s.frame(r, "", sess, part)); err != nil {
		// The header is sent: breaking off is all that tells of a fault now.
		panic(http.ErrAbortHandler)
	}
	_, _ = b.WriteTo(w)
}

// parts returns the settings that can be adopted one by one, none if there is no
// choice. A secret is in no patch.
func parts(d *penumbra.Drift) []penumbra.Finding {
	if d.Verdict == penumbra.Impending || d.Verdict == penumbra.NotChecked || len(d.Findings) < 2 {
		return nil
	}
	var out []penumbra.Finding
	for _, f := range d.Findings {
		if f.Path != "" && !f.Sensitive && f.Actual.Kind() != penumbra.SecretKind {
			out = append(out, f)
		}
	}
	return out
}
