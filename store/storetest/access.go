package storetest

import (
	"errors"
	"sync"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func fullAccount() penumbra.Account {
	return penumbra.Account{
		ID: "user:alice", Name: "Alice", Password: "$argon2id$x", Groups: []string{"dba"},
		Grants:  []penumbra.Grant{{Role: penumbra.Approver, Stacks: []string{"shop*"}, Environments: []string{"prod"}, Types: []string{"aws_*"}, Inputs: []string{"pg"}, Values: true, Logs: true}},
		Created: minute(1), Changed: minute(2), SignedIn: minute(3), SessionsFrom: minute(4), Disabled: minute(5),
	}
}

func fullToken() penumbra.Token {
	return penumbra.Token{
		ID: "4f2a", Name: "CI", Kind: penumbra.PersonPrincipal, Owner: "user:alice", Grants: []penumbra.Grant{{Role: penumbra.Viewer}},
		Hash: []byte{1, 2, 3}, Made: minute(1), By: "alice", Expires: minute(2), Used: minute(3), Revoked: minute(4),
	}
}

var accountTests = map[string]func(*testing.T, *opened){
	"accounts come back as they were, by name": func(t *testing.T, s *opened) {
		filled(t, fullAccount())
		filled(t, fullAccount().Grants[0])
		none, err := s.Accounts(bg, penumbra.AccountQuery{})
		ok(t, err)
		equal(t, "accounts", []penumbra.Account(nil), none)
		bob := penumbra.Account{ID: "oidc:https://id.example|8812", Name: "aaron"}
		ok(t, s.AddAccount(bg, fullAccount()))
		ok(t, s.AddAccount(bg, bob))
		s.twice(func() {
			for q, want := range map[penumbra.AccountQuery][]penumbra.Account{
				{}:                                   {bob, fullAccount()},
				{ID: "user:alice"}:                   {fullAccount()},
				{ID: "user:Alice"}:                   nil,
				{Name: " aLICE"}:                     {fullAccount()},
				{Name: "alice", ID: bob.ID}:          nil,
				{ID: "oidc:https://id.example|8812"}: {bob},
			} {
				got, err := s.Accounts(bg, q)
				ok(t, err)
				equal(t, "accounts", want, got)
			}
		})
	},
	"a name and an ID are one account's": func(t *testing.T, s *opened) {
		ok(t, s.AddAccount(bg, fullAccount()))
		kind(t, "the same", s.AddAccount(bg, fullAccount()), penumbra.Refused)
		kind(t, "the same ID", s.AddAccount(bg, penumbra.Account{ID: "user:alice", Name: "bob"}), penumbra.Refused)
		kind(t, "the same name", s.AddAccount(bg, penumbra.Account{ID: "user:other", Name: "ALICE "}), penumbra.Refused)
		kind(t, "a service of that name", s.AddToken(bg, penumbra.Token{ID: "1", Name: "alice", Kind: penumbra.ServicePrincipal}), penumbra.Refused)
		ok(t, s.AddToken(bg, penumbra.Token{ID: "2", Name: "ci", Kind: penumbra.ServicePrincipal}))
		kind(t, "a user of a service's name", s.AddAccount(bg, penumbra.Account{ID: "user:ci", Name: "CI"}), penumbra.Refused)
		s.twice(func() {
			got, err := s.Accounts(bg, penumbra.AccountQuery{})
			ok(t, err)
			equal(t, "accounts", []penumbra.Account{fullAccount()}, got)
		})
	},
	"an account is changed whole or not at all": func(t *testing.T, s *opened) {
		ok(t, s.AddAccount(bg, penumbra.Account{ID: "user:alice", Name: "alice"}))
		_, err := s.ChangeAccount(bg, "user:bob", func(*penumbra.Account) error { return nil })
		kind(t, "none", err, penumbra.NotFound)
		_, err = s.ChangeAccount(bg, "user:alice", func(a *penumbra.Account) error {
			a.Password = "half"
			return &penumbra.Error{Kind: penumbra.Stale, What: "no"}
		})
		kind(t, "refused by the change", err, penumbra.Stale)
		changed, err := s.ChangeAccount(bg, "user:alice", func(a *penumbra.Account) error {
			if a.Password != "" {
				return errors.New("a change that failed was stored")
			}
			*a = fullAccount()
			a.ID, a.Name = "user:mallory", "mallory"
			return nil
		})
		ok(t, err)
		want := fullAccount()
		want.Name = "alice"
		equal(t, "changed", want, changed)
		s.twice(func() {
			got, err := s.Accounts(bg, penumbra.AccountQuery{})
			ok(t, err)
			equal(t, "accounts", []penumbra.Account{want}, got)
		})
	},
	"changes at the same time lose nothing": func(t *testing.T, s *opened) {
		ok(t, s.AddAccount(bg, penumbra.Account{ID: "user:alice", Name: "alice"}))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				_, err := s.ChangeAccount(bg, "user:alice", func(a *penumbra.Account) error {
					a.Groups = append(a.Groups, "g")
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		got, err := s.Accounts(bg, penumbra.AccountQuery{})
		ok(t, err)
		equal(t, "groups", 8, len(got[0].Groups))
	},
}

var tokenTests = map[string]func(*testing.T, *opened){
	"tokens come back as they were, by ID": func(t *testing.T, s *opened) {
		filled(t, fullToken())
		ci := penumbra.Token{ID: "1", Name: "CI", Kind: penumbra.ServicePrincipal, Hash: []byte{4}}
		ok(t, s.AddToken(bg, fullToken()))
		ok(t, s.AddToken(bg, ci))
		s.twice(func() {
			for q, want := range map[penumbra.TokenQuery][]penumbra.Token{
				{}:                    {ci, fullToken()},
				{ID: "4f2a"}:          {fullToken()},
				{Owner: "user:alice"}: {fullToken()},
				{Name: "ci"}:          {ci},
				{ID: "4F2A"}:          nil,
			} {
				got, err := s.Tokens(bg, q)
				ok(t, err)
				equal(t, "tokens", want, got)
			}
		})
	},
	"names of services are unique while their tokens hold": func(t *testing.T, s *opened) {
		for _, id := range []string{"1", "2"} { // a person may call several tokens the same
			ok(t, s.AddToken(bg, penumbra.Token{ID: id, Name: "laptop", Owner: "user:alice", Kind: penumbra.PersonPrincipal}))
		}
		ok(t, s.AddToken(bg, penumbra.Token{ID: "3", Name: "ci", Kind: penumbra.ServicePrincipal}))
		kind(t, "the same ID", s.AddToken(bg, penumbra.Token{ID: "3", Name: "other"}), penumbra.Refused)
		kind(t, "the same name", s.AddToken(bg, penumbra.Token{ID: "4", Name: "CI", Kind: penumbra.SourcePrincipal}), penumbra.Refused)
		_, err := s.ChangeToken(bg, "3", func(x *penumbra.Token) error { x.Revoked = minute(1); return nil })
		ok(t, err)
		ok(t, s.AddToken(bg, penumbra.Token{ID: "4", Name: "CI", Kind: penumbra.SourcePrincipal}))
	},
	"what a token is stays, and revoked it stays revoked": func(t *testing.T, s *opened) {
		first := fullToken()
		first.Revoked = first.Revoked.AddDate(-1, 0, 0)
		ok(t, s.AddToken(bg, first))
		_, err := s.ChangeToken(bg, "none", func(*penumbra.Token) error { return nil })
		kind(t, "none", err, penumbra.NotFound)
		_, err = s.ChangeToken(bg, "4f2a", func(x *penumbra.Token) error {
			*x = penumbra.Token{ID: "x", Name: "x", Owner: "x", Hash: []byte{9}, Kind: penumbra.PersonPrincipal, Used: minute(7)}
			return nil
		})
		ok(t, err)
		want := penumbra.Token{ID: "4f2a", Name: "CI", Owner: "user:alice", Hash: []byte{1, 2, 3}, Kind: penumbra.PersonPrincipal, Used: minute(7), Revoked: first.Revoked}
		s.twice(func() {
			got, err := s.Tokens(bg, penumbra.TokenQuery{})
			ok(t, err)
			equal(t, "tokens", []penumbra.Token{want}, got)
		})
	},
}

var sessionTests = map[string]func(*testing.T, *opened){
	"sessions come back until they are ended or trimmed": func(t *testing.T, s *opened) {
		a := penumbra.Session{ID: "a", Owner: "user:alice", Data: []byte("one"), Expires: minute(10)}
		b := penumbra.Session{ID: "b", Owner: "user:bob", Data: []byte("two"), Expires: minute(20)}
		filled(t, a)
		ok(t, s.SaveSession(bg, a))
		a.Data, a.Expires = []byte("three"), minute(11)
		ok(t, s.SaveSession(bg, a))
		ok(t, s.SaveSession(bg, b))
		s.twice(func() {
			for _, want := range []penumbra.Session{a, b} {
				got, err := s.Session(bg, want.ID)
				ok(t, err)
				equal(t, "session", want, got)
			}
		})
		ok(t, s.TrimSessions(bg, minute(11)))
		_, err := s.Session(bg, "a")
		ok(t, err)
		ok(t, s.TrimSessions(bg, minute(12)))
		_, err = s.Session(bg, "a")
		kind(t, "a trimmed session", err, penumbra.NotFound)
		ok(t, s.EndSessions(bg, "user:alice"))
		_, err = s.Session(bg, "b")
		ok(t, err)
		ok(t, s.SaveSession(bg, a))
		ok(t, s.EndSessions(bg, "user:alice"))
		_, err = s.Session(bg, "a")
		kind(t, "one of all that were ended", err, penumbra.NotFound)
		ok(t, s.DeleteSession(bg, "b"))
		ok(t, s.DeleteSession(bg, "b"))
		_, err = s.Session(bg, "b")
		kind(t, "an ended session", err, penumbra.NotFound)
	},
}
