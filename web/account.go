package web

import (
	"net/http"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// accountPage is what somebody may see and change of themselves.
type accountPage struct {
	Me     *penumbra.Principal
	ByWord bool // they sign in by a password kept here
}

func (s *site) account(w http.ResponseWriter, r *http.Request, sess session) error {
	s.show(w, http.StatusOK, "account.html", s.frame(r, "You", sess, accountPage{sess.principal, strings.HasPrefix(sess.principal.ID, "user:")}))
	return nil
}

// changePassword sets a new password, after which the person signs in anew everywhere.
func (s *site) changePassword(w http.ResponseWriter, r *http.Request, sess session) error {
	password := r.PostForm.Get("password")
	if password != r.PostForm.Get("again") {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the two passwords differ", Remedy: "go back and type them again"}
	}
	if _, err := s.service.ChangeAccount(r.Context(), sess.principal.Name, penumbra.AccountChange{Password: &password, Current: r.PostForm.Get("current")}); err != nil {
		return err
	}
	if err := s.sessions.end(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/signin", http.StatusSeeOther)
	return nil
}
