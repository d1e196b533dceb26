package wire

import (
	"log/slog"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestPoliciesKnowTheGroupsOfAccounts signs somebody in whose identity provider says
// their groups, and asks a policy on decisions about them.
func TestPoliciesKnowTheGroupsOfAccounts(t *testing.T) {
	t.Parallel()
	c, write := governed(t)
	write("policy/people.cedar", `@id("dba") forbid (principal, action, resource) unless { principal in Penumbra::Group::"dba" };`)
	l, err := Open(t.Context(), c, Options{Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context())
	grants := []penumbra.Grant{{Role: penumbra.Approver}}
	come := func(groups ...string) {
		t.Helper()
		if _, err := l.Access.Welcome(t.Context(), penumbra.Account{ID: "oidc:corp|1", Name: "dan@example.com", Groups: groups, Grants: grants}, "here"); err != nil {
			t.Fatal(err)
		}
	}
	freezes := func(name string) bool {
		ctx := penumbra.WithPrincipal(t.Context(), &penumbra.Principal{ID: "oidc:corp|1", Name: name, Kind: penumbra.PersonPrincipal, Grants: grants})
		_, err := l.Service().Freeze(ctx, penumbra.Freeze{Reason: "the sale", Until: time.Now().Add(time.Hour)})
		if err != nil && penumbra.KindOf(err) != penumbra.Refused {
			t.Fatal(err)
		}
		return err == nil
	}
	come("dba", "staff")
	if !freezes("dan@example.com") || freezes("eve") {
		t.Error("the groups of an account do not count, or count for somebody else")
	}
	come("staff")
	if freezes("dan@example.com") {
		t.Error("who left the group decides as one of it")
	}
}
