package proposal

import (
	"context"
	"fmt"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// importAgain takes a resource into the state again that is gone from it and may
// still be there: somebody ran `state rm`, or restored an older state. Whether
// the object of the identity that was last seen is there, a plan tells: it reads
// it, and fails without it.
func (s *search) importAgain(ctx context.Context) {
	id := s.Was.Get("id")
	if id.Kind() != penumbra.StringKind || id.Text() == "" {
		return // nothing to look for: the object is as good as gone
	}
	failed := func(why string) {
		s.omit(penumbra.Import, fmt.Sprintf("%s could not be found under the identity %s that it had: %s", s.Drift.Resource.Local(), id, why))
	}
	patch, err := s.ws.PatchImport(ctx, s.Drift.Resource, id.Text())
	if err != nil {
		failed(err.Error())
		return
	}
	plan, err := s.ws.Plan(ctx, s.targets(), &patch)
	if err != nil {
		failed(err.Error())
		return
	}
	i := slices.IndexFunc(plan.Changes, func(c penumbra.PlannedChange) bool { return c.Resource == s.Drift.Resource })
	if i < 0 || plan.Changes[i].Import == "" || plan.Changes[i].Action != penumbra.NoChange && plan.Changes[i].Action != penumbra.Update {
		failed("a plan would not import it")
		return
	}
	s.add(penumbra.Proposal{
		Kind: penumbra.Import, Title: "Import " + s.Drift.Resource.Local() + ", which is still there, into the state again", Patch: &patch, Plan: &plan,
	}, 1)
}
