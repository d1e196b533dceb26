package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// freezePage has the freezes that hold or are to come, and those that are over,
// the latest first.
type freezePage struct {
	Now    []freezeView
	Over   []penumbra.Freeze
	Stacks []string // that who is signed in may freeze
	All    bool     // and whether all at once
}

// freezeView is one that holds or is to come.
type freezeView struct {
	penumbra.Freeze
	MayLift bool
}

// shownFreezes bounds those that are over.
const shownFreezes = 50

func (s *site) freezes(w http.ResponseWriter, r *http.Request, sess session) error {
	all, err := s.service.Freezes(r.Context())
	if err != nil {
		return err
	}
	status, err := s.service.Status(r.Context())
	if err != nil {
		return err
	}
	var page freezePage
	for _, f := range slices.Backward(all) {
		switch {
		case !f.Ended(s.now()):
			page.Now = append(page.Now, freezeView{f, !f.Configured && s.decides(r.Context(), sess, "stack.unfreeze", f.ID)})
		case len(page.Over) < shownFreezes:
			page.Over = append(page.Over, f)
		}
	}
	if _, err := decider(sess); err == nil {
		page.All = s.may(r.Context(), "stack.freeze", penumbra.Target{})
		for _, st := range status.Stacks {
			if s.may(r.Context(), "stack.freeze", penumbra.Target{Stack: st.Name}) {
				page.Stacks = append(page.Stacks, st.Name)
			}
		}
	}
	s.show(w, http.StatusOK, "freezes.html", s.frame(r, "Freezes", sess, page))
	return nil
}

func (s *site) freeze(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
	if err != nil {
		return err
	}
	until, err := s.until(r)
	if err != nil {
		return err
	}
	var from time.Time
	if text := r.PostForm.Get("from"); text != "" {
		if from, err = time.Parse("2006-01-02T15:04", text); err != nil {
			return &penumbra.Error{Kind: penumbra.Invalid, What: "the freeze begins at " + text, Remedy: "go back and choose a day and a time, UTC, or leave it empty for now"}
		}
		if !until.IsZero() {
			until = from.Add(until.Sub(s.now())).UTC() // it lasts as long, from then on
		}
	}
	_, err = s.service.Freeze(r.Context(), penumbra.Freeze{
		Stacks: r.PostForm["stack"], From: from, Until: until, Reason: strings.TrimSpace(r.PostForm.Get("reason")), By: by,
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/freezes", http.StatusSeeOther)
	return nil
}

func (s *site) unfreeze(w http.ResponseWriter, r *http.Request, sess session) error {
	by, err := decider(sess)
	if err != nil {
		return err
	}
	if _, err := s.service.Unfreeze(r.Context(), r.PostForm.Get("freeze"), by); err != nil {
		return err
	}
	http.Redirect(w, r, "/freezes", http.StatusSeeOther)
	return nil
}
