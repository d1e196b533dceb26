package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// peoplePage is who may sign in, and which tokens there are. Who may not see others'
// accounts sees their own tokens, and why not more.
type peoplePage struct {
	Accounts []penumbra.Account
	Unseen   *failure // why no accounts are shown, nil if they are
	Tokens   []penumbra.Token
	Made     *penumbra.MadeToken // just now: its secret is shown once
	Roles    []penumbra.Role
	Changes  bool // who is signed in may change accounts
	// Own and Others say whether they may make tokens of their own, and of programs.
	Own, Others bool
}

func (s *site) people(w http.ResponseWriter, r *http.Request, sess session) error {
	return s.showPeople(w, r, sess, nil)
}

func (s *site) showPeople(w http.ResponseWriter, r *http.Request, sess session, made *penumbra.MadeToken) error {
	p := sess.principal
	page := peoplePage{
		Made: made, Roles: offered(p),
		Changes: p.IsAdmin() && s.may(r.Context(), "account.change", penumbra.Target{}), Own: hasAccount(p), Others: p.IsAdmin(),
	}
	var err error
	if page.Accounts, err = s.service.Accounts(r.Context()); penumbra.KindOf(err) == penumbra.Refused {
		f := failureOf(err)
		page.Unseen = &f
	} else if err != nil {
		return err
	}
	tokens, err := s.service.Tokens(r.Context())
	if err != nil {
		return err
	}
	page.Tokens = slices.DeleteFunc(slices.Clone(tokens), func(t penumbra.Token) bool { return !t.Revoked.IsZero() })
	s.show(w, http.StatusOK, "people.html", s.frame(r, "People", sess, page))
	return nil
}

// offered are the roles that somebody can give on: of others than admins, up to their
// own.
func offered(p *penumbra.Principal) []penumbra.Role {
	all := []penumbra.Role{penumbra.Viewer, penumbra.Operator, penumbra.Approver, penumbra.Admin}
	if p.IsAdmin() {
		return append(all, penumbra.Sender)
	}
	most := 0
	for i := range p.Grants {
		most = max(most, slices.Index(all, p.Grants[i].Role)+1)
	}
	return all[:most]
}

// hasAccount reports whether somebody has an account, which a token could be of.
func hasAccount(p *penumbra.Principal) bool {
	return strings.HasPrefix(p.ID, "user:") || strings.HasPrefix(p.ID, "oidc:")
}

// grants reads the one grant that a form has: a role, within stacks.
func grants(r *http.Request) []penumbra.Grant {
	role := penumbra.Role(r.PostForm.Get("role"))
	if role == "" {
		return nil
	}
	g := penumbra.Grant{Role: role, Values: r.PostForm.Get("values") == "yes", Logs: r.PostForm.Get("logs") == "yes"}
	g.Stacks = append(g.Stacks, strings.FieldsFunc(r.PostForm.Get("stacks"), func(c rune) bool { return c == ',' || c == ' ' })...)
	return []penumbra.Grant{g}
}

func (s *site) addPerson(w http.ResponseWriter, r *http.Request, _ session) error {
	_, err := s.service.AddAccount(r.Context(), penumbra.NewAccount{Name: strings.TrimSpace(r.PostForm.Get("name")), Password: r.PostForm.Get("password"), Grants: grants(r)})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/people", http.StatusSeeOther)
	return nil
}

// changePerson gives another grant, disables or enables, or signs out everywhere.
func (s *site) changePerson(w http.ResponseWriter, r *http.Request, _ session) error {
	var change penumbra.AccountChange
	switch r.PostForm.Get("change") {
	case "grant":
		g := grants(r)
		change.Grants = &g
	case "disable", "enable":
		disabled := r.PostForm.Get("change") == "disable"
		change.Disabled = &disabled
	case "signout":
		change.SignOut = true
	default:
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the form changes nothing", Remedy: "go back and choose what to change"}
	}
	if _, err := s.service.ChangeAccount(r.Context(), r.PostForm.Get("name"), change); err != nil {
		return err
	}
	http.Redirect(w, r, "/people", http.StatusSeeOther)
	return nil
}

// addToken shows the secret on the page that answers: it is nowhere else, and no
// address leads to it again.
func (s *site) addToken(w http.ResponseWriter, r *http.Request, sess session) error {
	n := penumbra.NewToken{Name: strings.TrimSpace(r.PostForm.Get("name")), Kind: penumbra.PrincipalKind(r.PostForm.Get("kind")), Grants: grants(r)}
	lasts, ok := lasting[r.PostForm.Get("for")]
	if text := r.PostForm.Get("for"); !ok && text != "" {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the form asks for a time that is not offered", Remedy: "go back and choose one that is"}
	}
	n.Lasts = lasts
	made, err := s.service.AddToken(r.Context(), n)
	if err != nil {
		return err
	}
	return s.showPeople(w, r, sess, &made)
}

func (s *site) revokeToken(w http.ResponseWriter, r *http.Request, _ session) error {
	if _, err := s.service.RevokeToken(r.Context(), r.PostForm.Get("token")); err != nil {
		return err
	}
	http.Redirect(w, r, "/people", http.StatusSeeOther)
	return nil
}
