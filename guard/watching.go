package guard

import (
	"context"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Status implements [api.Watcher]: the counts are of what may be seen. How many
// observations there are is told only to who may see all.
func (s *Service) Status(ctx context.Context) (penumbra.Status, error) {
	if err := s.Reach(ctx, "status.read"); err != nil {
		return penumbra.Status{}, err
	}
	p := penumbra.PrincipalOf(ctx)
	if s.auth.Unbounded(ctx, p, "status.read") {
		return s.inner.Status(ctx)
	}
	v := s.view(ctx)
	status, err := s.inner.StatusOf(ctx, penumbra.StatusQuery{Resources: v.scope("resource.read"), Drifts: v.scope("drift.read"), Anomalies: v.scope("anomaly.read")})
	if err != nil {
		return penumbra.Status{}, err
	}
	status.Observations, status.Quarantined = 0, 0
	status.Stacks = slices.DeleteFunc(slices.Clone(status.Stacks), func(x penumbra.StackStatus) bool {
		return s.auth.ReachStack(ctx, p, "status.read", x.Name) != nil
	})
	status.Closer = slices.DeleteFunc(slices.Clone(status.Closer), func(x penumbra.Attention) bool { return !v.mayOf("resource.read", x.Resource) })
	if s.auth.Reach(ctx, p, "input.read") != nil {
		status.Inputs = nil
	}
	return status, nil
}

// scope is what of a status an act is allowed on.
func (v *view) scope(act penumbra.Act) penumbra.Scope {
	return func(stack, kind string) bool { return v.may(act, stack, kind) }
}

// Resources implements [api.Watcher].
func (s *Service) Resources(ctx context.Context, stack string) ([]penumbra.ResourceStatus, error) {
	if err := s.Reach(ctx, "resource.read"); err != nil {
		return nil, err
	}
	if err := s.within(ctx, "resource.read", stack); err != nil {
		return nil, err
	}
	list, err := s.inner.Resources(ctx, stack)
	if err != nil || s.auth.Unbounded(ctx, penumbra.PrincipalOf(ctx), "resource.read") {
		return list, err
	}
	v := s.view(ctx)
	out := make([]penumbra.ResourceStatus, 0, len(list))
	for i := range list {
		if v.may("resource.read", list[i].Address.Stack(), list[i].Type) {
			out = append(out, list[i])
		}
	}
	return out, nil
}

// FindResources implements [api.Watcher].
func (s *Service) FindResources(ctx context.Context, q penumbra.ResourceQuery) (penumbra.ResourcePage, error) {
	if err := s.Reach(ctx, "resource.read"); err != nil {
		return penumbra.ResourcePage{}, err
	}
	if err := s.within(ctx, "resource.read", q.Stack); err != nil {
		return penumbra.ResourcePage{}, err
	}
	q.Sees = s.view(ctx).filter("resource.read")
	return s.inner.FindResources(ctx, q)
}

// filter says which resources an act is allowed on, nil if on all.
func (v *view) filter(act penumbra.Act) penumbra.Scope {
	if v.auth.Unbounded(v.ctx, v.p, act) {
		return nil
	}
	return v.scope(act)
}

// FindDrifts implements [api.Watcher].
func (s *Service) FindDrifts(ctx context.Context, q penumbra.DriftQuery) (penumbra.DriftPage, error) {
	if err := s.Reach(ctx, "drift.read"); err != nil {
		return penumbra.DriftPage{}, err
	}
	if err := s.within(ctx, "drift.read", q.Stack); err != nil {
		return penumbra.DriftPage{}, err
	}
	v := s.view(ctx)
	if q.ID != "" {
		list, err := s.Drifts(ctx, penumbra.DriftQuery{ID: q.ID})
		return penumbra.DriftPage{Drifts: list, Found: len(list)}, err
	}
	q.Sees = v.filter("drift.read")
	page, err := s.inner.FindDrifts(ctx, q)
	if err != nil {
		return page, err
	}
	drifts := make([]penumbra.Drift, len(page.Drifts))
	for i, d := range page.Drifts {
		h, err := v.sees(d.Resource.Stack(), d.Type, d.ID)
		if err != nil {
			return penumbra.DriftPage{}, err
		}
		drifts[i] = hide(h, d)
	}
	page.Drifts = drifts
	return page, nil
}

// within refuses a list of a stack of which nothing may be seen: an empty one would
// say that there is nothing.
func (s *Service) within(ctx context.Context, act penumbra.Act, stack string) error {
	if stack == "" {
		return nil
	}
	err := s.auth.ReachStack(ctx, penumbra.PrincipalOf(ctx), act, stack)
	s.refused(ctx, act, penumbra.Target{Stack: stack}, err)
	return err
}

// onResource allows an act on a resource.
func (s *Service) onResource(ctx context.Context, act penumbra.Act, a penumbra.Address) (*view, penumbra.Target, error) {
	t := penumbra.Target{Stack: a.Stack(), ID: string(a)}
	if err := s.Reach(ctx, act); err != nil {
		return nil, t, err
	}
	v := s.view(ctx)
	t.Type = v.typeOf(a)
	return v, t, s.allow(ctx, act, t)
}

// Shadow implements [api.Watcher].
func (s *Service) Shadow(ctx context.Context, address penumbra.Address) (penumbra.ShadowView, error) {
	v, t, err := s.onResource(ctx, "resource.read", address)
	if err != nil {
		return penumbra.ShadowView{}, err
	}
	shadow, err := s.inner.Shadow(ctx, address)
	if err != nil {
		return shadow, err
	}
	h, err := v.sees(t.Stack, t.Type, t.ID)
	if err != nil {
		return penumbra.ShadowView{}, err
	}
	return hide(h, shadow), nil
}

// Explain implements [api.Explainer].
func (s *Service) Explain(ctx context.Context, address penumbra.Address, path string) ([]penumbra.Explanation, error) {
	v, t, err := s.onResource(ctx, "resource.read", address)
	if err != nil {
		return nil, err
	}
	list, err := s.inner.Explain(ctx, address, path)
	if err != nil {
		return nil, err
	}
	h, err := v.sees(t.Stack, t.Type, t.ID)
	if err != nil {
		return nil, err
	}
	return hide(h, list), nil
}

// Drifts implements [api.Watcher].
func (s *Service) Drifts(ctx context.Context, q penumbra.DriftQuery) ([]penumbra.Drift, error) {
	if err := s.Reach(ctx, "drift.read"); err != nil {
		return nil, err
	}
	if err := s.within(ctx, "drift.read", q.Stack); err != nil {
		return nil, err
	}
	bounded := q
	if !s.auth.Unbounded(ctx, penumbra.PrincipalOf(ctx), "drift.read") {
		bounded.Limit = 0 // what is left out does not count
	}
	list, err := s.inner.Drifts(ctx, bounded)
	if err != nil {
		return nil, err
	}
	v := s.view(ctx)
	var out []penumbra.Drift
	for _, d := range list {
		if q.Limit > 0 && len(out) == q.Limit {
			break
		}
		if !v.may("drift.read", d.Resource.Stack(), d.Type) {
			if q.ID != "" {
				return nil, s.allow(ctx, "drift.read", penumbra.Target{Stack: d.Resource.Stack(), Type: d.Type, ID: d.ID})
			}
			continue
		}
		h, err := v.sees(d.Resource.Stack(), d.Type, d.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, hide(h, d))
	}
	return out, nil
}

// Nodes implements [api.Watcher].
func (s *Service) Nodes(ctx context.Context) (penumbra.Nodes, error) {
	if err := s.Reach(ctx, "input.read"); err != nil {
		return penumbra.Nodes{}, err
	}
	return s.inner.Nodes(ctx)
}

// Inputs implements [api.Listener].
func (s *Service) Inputs(ctx context.Context) ([]penumbra.InputStatus, error) {
	if err := s.Reach(ctx, "input.read"); err != nil {
		return nil, err
	}
	return s.inner.Inputs(ctx)
}

// Unmapped implements [api.Listener]. Nobody knows which stack the records are of, so
// that what they say is shown only to who may see all logs.
func (s *Service) Unmapped(ctx context.Context, limit int) (penumbra.Unmapped, error) {
	if err := s.Reach(ctx, "input.read"); err != nil {
		return penumbra.Unmapped{}, err
	}
	u, err := s.inner.Unmapped(ctx, limit)
	if err != nil {
		return u, err
	}
	h, err := s.view(ctx).sees("", "", "records without a resource")
	if err != nil {
		return penumbra.Unmapped{}, err
	}
	h.values = h.logs
	return hide(h, u), nil
}

// Remap implements [api.Listener].
func (s *Service) Remap(ctx context.Context) (report penumbra.RemapReport, err error) {
	if err := s.allow(ctx, "input.retry", penumbra.Target{}); err != nil {
		return report, err
	}
	return report, s.do(ctx, "input.retry", penumbra.Target{}, nil, func() error {
		report, err = s.inner.Remap(ctx)
		return err
	})
}

// Anomalies implements [api.Listener].
func (s *Service) Anomalies(ctx context.Context, q penumbra.AnomalyQuery) ([]penumbra.Anomaly, error) {
	if err := s.Reach(ctx, "anomaly.read"); err != nil {
		return nil, err
	}
	if err := s.within(ctx, "anomaly.read", q.Stack); err != nil {
		return nil, err
	}
	bounded := q
	if !s.auth.Unbounded(ctx, penumbra.PrincipalOf(ctx), "anomaly.read") {
		bounded.Limit = 0
	}
	list, err := s.inner.Anomalies(ctx, bounded)
	if err != nil {
		return nil, err
	}
	v := s.view(ctx)
	var out []penumbra.Anomaly
	for _, a := range list {
		if q.Limit > 0 && len(out) == q.Limit {
			break
		}
		kind := v.typeOf(a.Resource)
		if !v.may("anomaly.read", a.Resource.Stack(), kind) {
			if q.ID != "" {
				return nil, s.allow(ctx, "anomaly.read", penumbra.Target{Stack: a.Resource.Stack(), Type: kind, ID: a.ID})
			}
			continue
		}
		shown, err := v.anomaly(a)
		if err != nil {
			return nil, err
		}
		out = append(out, shown)
	}
	return out, nil
}

// anomaly leaves out the suspects that may not be seen, which may be of other stacks,
// and hides their values.
func (v *view) anomaly(a penumbra.Anomaly) (penumbra.Anomaly, error) {
	var suspects []penumbra.Suspect
	for _, x := range a.Suspects {
		if !v.mayOf("resource.read", x.Resource) {
			continue
		}
		h, err := v.sees(x.Resource.Stack(), v.typeOf(x.Resource), string(x.Resource))
		if err != nil {
			return a, err
		}
		suspects = append(suspects, hide(h, x))
	}
	a.Suspects = suspects
	return a, nil
}

// Rollups implements [api.Listener].
func (s *Service) Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error) {
	if q.Resource != "" {
		if _, _, err := s.onResource(ctx, "metric.read", q.Resource); err != nil {
			return nil, err
		}
		return s.inner.Rollups(ctx, q)
	}
	if err := s.Reach(ctx, "metric.read"); err != nil {
		return nil, err
	}
	list, err := s.inner.Rollups(ctx, q)
	if err != nil || s.auth.Unbounded(ctx, penumbra.PrincipalOf(ctx), "metric.read") {
		return list, err
	}
	v := s.view(ctx)
	var out []penumbra.Rollup
	for i := range list {
		if v.mayOf("metric.read", list[i].Resource) {
			out = append(out, list[i])
		}
	}
	return out, nil
}

// Knowledge implements [api.Librarian]. It is of no stack.
func (s *Service) Knowledge(ctx context.Context, q penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error) {
	if err := s.Reach(ctx, "knowledge.read"); err != nil {
		return nil, err
	}
	return s.inner.Knowledge(ctx, q)
}
