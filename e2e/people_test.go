package e2e

import (
	"path/filepath"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// as is the site with a token of a person's in its environment, who is made an admin
// if nobody knows them.
func (s *site) as(name string) *site {
	s.t.Helper()
	return s.granted(name, access.Owner("test").Grants...)
}

// granted is as for somebody who has these grants if nobody knows them.
func (s *site) granted(name string, grants ...penumbra.Grant) *site {
	s.t.Helper()
	store, err := sqlite.Open(filepath.Join(s.root, ".penumbra", "penumbra.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	keeper := access.New(access.Config{Store: store, Now: time.Now})
	owner := access.Owner("test")
	person := penumbra.Principal{ID: "user:" + penumbra.FoldName(name), Name: name, Kind: penumbra.PersonPrincipal, Grants: grants, Via: access.ViaPassword}
	known, err := store.Accounts(s.t.Context(), penumbra.AccountQuery{ID: person.ID})
	if err == nil && len(known) == 0 {
		_, err = keeper.AddAccount(penumbra.WithPrincipal(s.t.Context(), &owner), penumbra.NewAccount{Name: name, Grants: grants})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	made, err := keeper.AddToken(penumbra.WithPrincipal(s.t.Context(), &person), penumbra.NewToken{Name: "test", Kind: penumbra.PersonPrincipal})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.with(console.TokenVariable + "=" + made.Secret)
}
