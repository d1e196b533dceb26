package decisions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/randomid"
)

// Freezes returns the freezes of the configuration and those that people set,
// ended ones too, oldest first.
func (b *Board) Freezes(ctx context.Context) ([]penumbra.Freeze, error) {
	set, err := b.cfg.Store.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Concat(b.cfg.Freezes, set), nil
}

// Freeze keeps runs of stacks from starting until a time, or until somebody lifts
// it. A run that has started goes on.
func (b *Board) Freeze(ctx context.Context, f penumbra.Freeze) (penumbra.Freeze, error) {
	f.ID, f.Created, f.Configured, f.LiftedBy, f.Lifted = randomid.New("f"), b.cfg.Clock(), false, "", time.Time{}
	f.By, f.Reason = strings.TrimSpace(f.By), penumbra.Redact(strings.TrimSpace(f.Reason))
	if f.From.IsZero() {
		f.From = f.Created
	}
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
	}
	switch {
	case f.By == "":
		return f, invalid("the freeze names nobody", "say who sets it")
	case isPerson(f.By) != nil:
		return f, isPerson(f.By)
	case f.Reason == "":
		return f, invalid("the freeze has no reason", "say why, for those whose runs it refuses")
	case f.Ended(f.Created) || !f.Until.IsZero() && !f.From.Before(f.Until):
		return f, invalid(fmt.Sprintf("the freeze ends at %s, before it begins", f.Until.UTC().Format(time.RFC3339)), "give a later end")
	}
	for _, name := range f.Stacks {
		if err := b.cfg.World.Check(name); err != nil {
			return f, err
		}
	}
	if err := b.mayFreeze(penumbra.FreezeStack, f.By, &f); err != nil {
		return f, err
	}
	b.deciding.Lock() // so that what is decided after it has seen it
	defer b.deciding.Unlock()
	b.cfg.Log.Warn("runs are frozen", "freeze", f.ID, "stacks", f.Stacks, "by", f.By, "until", f.Until)
	return f, b.cfg.Store.SaveFreeze(ctx, f)
}

// Unfreeze lifts a freeze that a person set.
func (b *Board) Unfreeze(ctx context.Context, id, by string) (penumbra.Freeze, error) {
	all, err := b.Freezes(ctx)
	if err != nil {
		return penumbra.Freeze{}, err
	}
	by = strings.TrimSpace(by)
	i := slices.IndexFunc(all, func(f penumbra.Freeze) bool { return f.ID == id })
	switch {
	case by == "":
		return penumbra.Freeze{}, &penumbra.Error{Kind: penumbra.Invalid, What: "the lifting names nobody", Remedy: "say who lifts it"}
	case isPerson(by) != nil:
		return penumbra.Freeze{}, isPerson(by)
	case i < 0:
		return penumbra.Freeze{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("no freeze %q", id), Remedy: "see `penumbra freeze list`"}
	case all[i].Configured:
		return penumbra.Freeze{}, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("freeze %s is one of the configuration", id), Remedy: "take it out of `freezes` in penumbra.yaml and start Penumbra anew"}
	case all[i].Ended(b.cfg.Clock()):
		return penumbra.Freeze{}, &penumbra.Error{Kind: penumbra.Stale, What: fmt.Sprintf("freeze %s has ended already", id)}
	}
	f := all[i]
	if err := b.mayFreeze(penumbra.Unfreeze, by, &f); err != nil {
		return f, err
	}
	f.LiftedBy, f.Lifted = by, b.cfg.Clock()
	b.deciding.Lock()
	defer b.deciding.Unlock()
	b.cfg.Log.Warn("a freeze is lifted", "freeze", f.ID, "by", f.LiftedBy)
	return f, b.cfg.Store.SaveFreeze(ctx, f)
}

// mayFreeze returns an error of kind Refused unless somebody may freeze, or lift
// the freeze of, each of its stacks.
func (b *Board) mayFreeze(verb penumbra.Verb, by string, f *penumbra.Freeze) error {
	stacks := f.Stacks
	if len(stacks) == 0 {
		stacks = []string{"*"}
	}
	for _, name := range stacks {
		at := b.cfg.Clock()
		q := penumbra.PolicyQuestion{By: by, Verb: verb, Stack: name, Time: at, InWindow: b.cfg.Policy.Window(name, at).Open, Frozen: verb == penumbra.Unfreeze}
		if a := b.cfg.Policy.Ask(&q); !a.Allowed {
			return refusal(fmt.Sprintf("%s %s", verb, name), a)
		}
	}
	return nil
}
