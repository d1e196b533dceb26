package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// decider returns the name of who is signed in, if they are a person: a program's
// credential would be a second person in the hands of the first. Nobody names
// themselves.
func decider(sess session) (string, error) {
	if p := sess.principal; p.Kind != penumbra.PersonPrincipal {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: p.Name + " is a " + string(p.Kind) + ", and this is for a person to decide", Remedy: "sign in as a person"}
	}
	return sess.principal.Name, nil
}

func to(w http.ResponseWriter, r *http.Request, page, id string) {
	http.Redirect(w, r, page+"?id="+url.QueryEscape(id), http.StatusSeeOther)
}

// approve passes on the hash that the form was made with. If the proposal has
// another by now the service answers Stale, and nothing is done.
func (s *site) approve(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
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
	made, err := s.service.Approve(r.Context(), id, r.PostForm.Get("hash"), by)
	if err != nil {
		return err
	}
	if made.Run == nil { // it waits for others, or for its window: the page says which
		to(w, r, "/proposal", id)
		return nil
	}
	to(w, r, "/run", made.Run.ID)
	return nil
}

func (s *site) reject(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
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

func (s *site) acknowledge(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
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

func (s *site) rollback(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
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

// lasting are the spans that a form offers, by what it sends.
var lasting = map[string]time.Duration{"1h": time.Hour, "4h": 4 * time.Hour, "1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour}

// until returns when what a form asks for ends, zero for "".
func (s *site) until(r *http.Request) (time.Time, error) {
	text := r.PostForm.Get("for")
	if text == "" {
		return time.Time{}, nil
	}
	d, ok := lasting[text]
	if !ok {
		return time.Time{}, &penumbra.Error{Kind: penumbra.Invalid, What: "the form asks for the time " + strconv.Quote(text), Remedy: "go back and choose one that is offered"}
	}
	return s.now().Add(d).UTC(), nil
}

// postpone takes a decision on a drift that may have an end.
func (s *site) postpone(decide func(ctx context.Context, drift, by, reason string, until time.Time) (penumbra.Drift, error)) page {
	return func(w http.ResponseWriter, r *http.Request, sess session) error {
		by, err := decider(sess)
		if err != nil {
			return err
		}
		until, err := s.until(r)
		if err != nil {
			return err
		}
		d, err := decide(r.Context(), r.PostForm.Get("drift"), by, strings.TrimSpace(r.PostForm.Get("reason")), until)
		if err != nil {
			return err
		}
		to(w, r, "/drift", d.ID)
		return nil
	}
}

// customize takes values, a line each, or files of the code.
func (s *site) customize(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
	if err != nil {
		return err
	}
	var edit penumbra.Edit
	for line := range strings.Lines(r.PostForm.Get("values")) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		x, err := penumbra.ParseAssignment(line)
		if err != nil {
			return err
		}
		edit.Values = append(edit.Values, x)
	}
	edit.Values = penumbra.NewSettings(edit.Values...)
	paths, contents := r.PostForm["path"], r.PostForm["content"]
	for i := range min(len(paths), len(contents)) {
		// A browser sends every line of a text area with a carriage return.
		edit.Files = append(edit.Files, penumbra.FileEdit{Path: paths[i], Content: strings.ReplaceAll(contents[i], "\r\n", "\n")})
	}
	p, err := s.service.Customize(r.Context(), r.PostForm.Get("proposal"), edit, by)
	if err != nil {
		return err
	}
	to(w, r, "/proposal", p.ID)
	return nil
}

// adoptPart has some settings of a drift written into the code, and the others left
// open or brought back.
func (s *site) adoptPart(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
	if err != nil {
		return err
	}
	only := r.PostForm["only"]
	if len(only) == 0 {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "no setting is chosen", Remedy: "go back and tick those that the code is to have as they are"}
	}
	p, err := s.service.AdoptPart(r.Context(), r.PostForm.Get("drift"), only, r.PostForm.Get("rest") == "revert", by)
	if err != nil {
		return err
	}
	to(w, r, "/proposal", p.ID)
	return nil
}
