package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// decider returns the name given in a form and remembers it for the next one.
func (s *site) decider(r *http.Request) (string, error) {
	by := strings.TrimSpace(r.PostForm.Get("by"))
	if by == "" {
		return "", &penumbra.Error{Kind: penumbra.Invalid, What: "the decision names nobody", Remedy: "go back and fill in who decides"}
	}
	s.sessions.remember(r, by)
	return by, nil
}

func to(w http.ResponseWriter, r *http.Request, page, id string) {
	http.Redirect(w, r, page+"?id="+url.QueryEscape(id), http.StatusSeeOther)
}

// approve passes on the hash that the form was made with. If the proposal has
// another by now the service answers Stale, and nothing is done.
func (s *site) approve(w http.ResponseWriter, r *http.Request, _ session) error {
	by, err := s.decider(r)
	if err != nil {
		return err
	}
	id := r.PostForm.Get("proposal")
	p, err := s.service.Proposal(r.Context(), id)
	if err != nil {
		return err
	}
	if p.Plan != nil && len(p.Plan.Disrupts()) > 0 && r.PostForm.Get("disrupts") != "yes" {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the plan destroys or replaces, and that was not confirmed", Remedy: "go back, read what is destroyed or replaced, and tick the box"}
	}
	run, err := s.service.Approve(r.Context(), id, r.PostForm.Get("hash"), by)
	if err != nil {
		return err
	}
	to(w, r, "/run", run.ID)
	return nil
}

func (s *site) reject(w http.ResponseWriter, r *http.Request, _ session) error {
	by, err := s.decider(r)
	if err != nil {
		return err
	}
	id := r.PostForm.Get("proposal")
	if err := s.service.Reject(r.Context(), id, by, strings.TrimSpace(r.PostForm.Get("reason"))); err != nil {
		return err
	}
	to(w, r, "/drift", r.PostForm.Get("drift"))
	return nil
}

func (s *site) acknowledge(w http.ResponseWriter, r *http.Request, _ session) error {
	by, err := s.decider(r)
	if err != nil {
		return err
	}
	d, err := s.service.Acknowledge(r.Context(), r.PostForm.Get("drift"), by)
	if err != nil {
		return err
	}
	to(w, r, "/drift", d.ID)
	return nil
}

func (s *site) rollback(w http.ResponseWriter, r *http.Request, _ session) error {
	by, err := s.decider(r)
	if err != nil {
		return err
	}
	p, err := s.service.Rollback(r.Context(), r.PostForm.Get("run"), by)
	if err != nil {
		return err
	}
	to(w, r, "/proposal", p.ID)
	return nil
}
