package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// as NAME lets the verbs that follow be run by a person, an admin of .penumbra, with a
// token of theirs; without a name, by the owner of the machine again.
func as(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Setenv(console.TokenVariable, "")
		return
	}
	store, err := sqlite.Open(filepath.Join(ts.MkAbs(".penumbra"), "penumbra.db"))
	ts.Check(err)
	defer func() { ts.Check(store.Close()) }()
	keeper := access.New(access.Config{Store: store, Now: time.Now})
	ctx := context.Background()
	owner := access.Owner("test")
	grants := owner.Grants
	id := "user:" + penumbra.FoldName(args[0])
	if known, err := store.Accounts(ctx, penumbra.AccountQuery{ID: id}); err != nil || len(known) == 0 {
		ts.Check(err)
		_, err = keeper.AddAccount(penumbra.WithPrincipal(ctx, &owner), penumbra.NewAccount{Name: args[0], Grants: grants})
		ts.Check(err)
	}
	person := penumbra.Principal{ID: id, Name: args[0], Kind: penumbra.PersonPrincipal, Grants: grants, Via: access.ViaPassword}
	made, err := keeper.AddToken(penumbra.WithPrincipal(ctx, &person), penumbra.NewToken{Name: "script", Kind: penumbra.PersonPrincipal})
	ts.Check(err)
	ts.Setenv(console.TokenVariable, made.Secret)
}

// remote lets the verbs that follow talk to the daemon of .penumbra as to one on another
// machine, by the address that it listens on.
func remote(ts *testscript.TestScript, _ bool, _ []string) {
	var daemon struct{ URL string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(".penumbra", "daemon.json"))), &daemon))
	ts.Setenv("PENUMBRA_CLIENT__SERVER", daemon.URL)
}
