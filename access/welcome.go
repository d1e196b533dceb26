package access

import (
	"context"
	"errors"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Welcome returns the principal of whom an identity provider vouches for, by an ID of
// theirs for good, with what their groups are granted now. Who comes for the first time
// gets an account. It returns an error of kind Refused if they have no grant, are
// disabled, or their name is somebody else's.
func (k *Keeper) Welcome(ctx context.Context, who penumbra.Account, from string) (*penumbra.Principal, error) {
	details := map[string]string{"from": from, "with": ViaOIDC, "groups": strings.Join(who.Groups, ",")}
	p, err := k.welcome(ctx, who)
	if err != nil && penumbra.KindOf(err) == penumbra.Refused {
		return nil, errors.Join(err, k.record(ctx, nil, signInAct, who.ID, penumbra.AuditRefused, details))
	}
	if err != nil {
		return nil, err
	}
	return p, k.record(ctx, p, signInAct, p.ID, penumbra.AuditDone, details)
}

func (k *Keeper) welcome(ctx context.Context, who penumbra.Account) (*penumbra.Principal, error) {
	if !strings.HasPrefix(who.ID, "oidc:") {
		return nil, refused("that is no identity of a provider", "sign in again")
	}
	found, err := k.cfg.Store.Accounts(ctx, penumbra.AccountQuery{ID: who.ID})
	if err != nil {
		return nil, err
	}
	if len(who.Grants) == 0 {
		if len(found) == 1 { // tokens made before may nothing either
			if err := k.regroup(ctx, &who); err != nil {
				return nil, err
			}
		}
		return nil, refused("none of the groups of "+who.Name+" is granted anything here", "ask an admin to map one under access.oidc in penumbra.yaml")
	}
	now := k.cfg.Now().UTC()
	if len(found) == 1 {
		if err := k.regroup(ctx, &who); err != nil {
			return nil, err
		}
		return principalOf(&who, ViaOIDC), nil
	}
	if err := checkName(who.Name); err != nil {
		return nil, refused("the provider's name for you cannot be one here", "ask an admin to choose another claim with access.oidc.name_claim")
	}
	if penumbra.SamePerson(who.Name, k.cfg.Local.Name) {
		return nil, refused("the name "+who.Name+" is that of the machine's owner", "ask an admin to choose another claim with access.oidc.name_claim")
	}
	who.Created, who.Changed, who.SignedIn = now, now, now
	if err := k.cfg.Store.AddAccount(ctx, who); err != nil {
		return nil, err
	}
	return principalOf(&who, ViaOIDC), nil
}

// regroup gives an account the groups and grants of now, and fills in the rest of who.
func (k *Keeper) regroup(ctx context.Context, who *penumbra.Account) error {
	now := k.cfg.Now().UTC()
	a, err := k.cfg.Store.ChangeAccount(ctx, who.ID, func(a *penumbra.Account) error {
		if !a.Disabled.IsZero() {
			return refused(a.Name+" may not sign in", "ask an admin")
		}
		if describe(a.Grants) != describe(who.Grants) {
			a.Changed = now
		}
		a.Groups, a.Grants, a.SignedIn = who.Groups, who.Grants, now
		return nil
	})
	*who = a
	return err
}
