package guard

import (
	"context"

	"github.com/penumbra-iac/penumbra"
)

// The acts of seeing what is shown only to some.
const (
	valuesRead = penumbra.Act("values.read")
	logsRead   = penumbra.Act("logs.read")
)

// Reach returns an error of kind Refused, and records it, if who asks may do something
// to nothing at all. Routes ask it first.
func (s *Service) Reach(ctx context.Context, act penumbra.Act) error {
	err := s.auth.Reach(ctx, penumbra.PrincipalOf(ctx), act)
	s.refused(ctx, act, penumbra.Target{}, err)
	return err
}

// allow returns an error of kind Refused, and records it, unless who asks may do
// something to a target.
func (s *Service) allow(ctx context.Context, act penumbra.Act, t penumbra.Target) error {
	err := s.auth.Authorize(ctx, penumbra.PrincipalOf(ctx), act, t)
	s.refused(ctx, act, t, err)
	return err
}

func (s *Service) refused(ctx context.Context, act penumbra.Act, t penumbra.Target, err error) {
	if err == nil {
		return
	}
	// It is refused either way: that it cannot be recorded changes nothing.
	_ = s.audit.Count(ctx, penumbra.AuditEntry{Act: act, Target: t, Outcome: penumbra.AuditRefused})
}

// do does something that is recorded first, and once more if it then failed.
func (s *Service) do(ctx context.Context, act penumbra.Act, t penumbra.Target, details map[string]string, f func() error) error {
	e := penumbra.AuditEntry{Act: act, Target: t, Details: details}
	if err := s.audit.Record(ctx, e); err != nil {
		return err
	}
	err := f()
	if err != nil {
		e.Outcome, e.Details = penumbra.AuditFailed, map[string]string{"error": err.Error()}
		if recorded := s.audit.Record(ctx, e); recorded != nil {
			return recorded
		}
	}
	return err
}

// name is who asks, as decisions have it.
func name(ctx context.Context) string {
	if p := penumbra.PrincipalOf(ctx); p != nil {
		return p.Name
	}
	return ""
}

// view is what who asks may see, asked once for each stack and type.
type view struct {
	*Service
	ctx   context.Context
	p     *penumbra.Principal
	asked map[question]bool
	typed bool
}

type question struct {
	act         penumbra.Act
	stack, kind string
}

func (s *Service) view(ctx context.Context) *view {
	p := penumbra.PrincipalOf(ctx)
	return &view{Service: s, ctx: ctx, p: p, asked: map[question]bool{}, typed: s.auth.Typed(p)}
}

// may reports whether who asks may do something to resources of a type in a stack. It
// is no refusal if they may not: a list leaves out what it does not show.
func (v *view) may(act penumbra.Act, stack, kind string) bool {
	if !v.typed {
		kind = ""
	}
	q := question{act, stack, kind}
	ok, asked := v.asked[q]
	if !asked {
		ok = v.auth.Authorize(v.ctx, v.p, act, penumbra.Target{Stack: stack, Type: kind}) == nil
		v.asked[q] = ok
	}
	return ok
}

// typeOf returns a resource's type, "" if nothing depends on it or nobody knows it.
func (v *view) typeOf(a penumbra.Address) string {
	if !v.typed {
		return ""
	}
	return v.inner.TypeOf(a)
}

// mayOf is may of a resource.
func (v *view) mayOf(act penumbra.Act, a penumbra.Address) bool {
	return v.may(act, a.Stack(), v.typeOf(a))
}

// sees says whether values, and what logs and tools say, are shown of something, and
// records that they are. It returns an error if that cannot be recorded.
func (v *view) sees(stack, kind, id string) (hiding, error) {
	h := hiding{values: !v.may(valuesRead, stack, kind), logs: !v.may(logsRead, stack, kind)}
	for _, act := range []penumbra.Act{valuesRead, logsRead} {
		if act == valuesRead && h.values || act == logsRead && h.logs {
			continue
		}
		if err := v.reads(act, penumbra.Target{Stack: stack, Type: kind, ID: id}); err != nil {
			return h, err
		}
	}
	return h, nil
}

// reads records that something sensitive is shown.
func (s *Service) reads(ctx context.Context, act penumbra.Act, t penumbra.Target) error {
	if err := s.audit.Count(ctx, penumbra.AuditEntry{Act: act, Target: t, Outcome: penumbra.AuditDone}); err != nil {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "show what is sensitive while reads of it cannot be recorded", Remedy: "make room for the audit log; the daemon's log says what keeps it from being written", Err: err}
	}
	return nil
}

func (v *view) reads(act penumbra.Act, t penumbra.Target) error {
	return v.Service.reads(v.ctx, act, t)
}

// drift returns a drift and what it is on.
func (s *Service) drift(ctx context.Context, id string) (penumbra.Drift, penumbra.Target, error) {
	found, err := s.inner.Drifts(ctx, penumbra.DriftQuery{ID: id})
	if err == nil && (id == "" || len(found) == 0) {
		err = &penumbra.Error{Kind: penumbra.NotFound, What: "there is no drift " + id, Remedy: "see `penumbra drift list`"}
	}
	if err != nil {
		return penumbra.Drift{}, penumbra.Target{}, err
	}
	d := found[0]
	return d, penumbra.Target{Stack: d.Resource.Stack(), Type: d.Type, ID: d.ID}, nil
}

// onDrift allows an act on a drift.
func (s *Service) onDrift(ctx context.Context, act penumbra.Act, id string) (penumbra.Target, error) {
	if err := s.Reach(ctx, act); err != nil {
		return penumbra.Target{}, err
	}
	_, t, err := s.drift(ctx, id)
	if err != nil {
		return t, err
	}
	return t, s.allow(ctx, act, t)
}

// onProposal allows an act on a proposal: on its drift, and if changes is set on each
// resource that its plan changes.
func (s *Service) onProposal(ctx context.Context, act penumbra.Act, id string, changes bool) (penumbra.Proposal, penumbra.Target, error) {
	if err := s.Reach(ctx, act); err != nil {
		return penumbra.Proposal{}, penumbra.Target{}, err
	}
	p, on, err := s.ofProposal(ctx, id, changes)
	if err != nil {
		return p, penumbra.Target{}, err
	}
	return p, on[0], s.allowAll(ctx, act, on)
}

// allowAll is allow on each of some targets.
func (s *Service) allowAll(ctx context.Context, act penumbra.Act, on []penumbra.Target) error {
	for _, t := range on {
		if err := s.allow(ctx, act, t); err != nil {
			return err
		}
	}
	return nil
}

// onRun allows an act on a run.
func (s *Service) onRun(ctx context.Context, act penumbra.Act, id string) (penumbra.Run, penumbra.Target, error) {
	if err := s.Reach(ctx, act); err != nil {
		return penumbra.Run{}, penumbra.Target{}, err
	}
	run, t, err := s.ofRun(ctx, id)
	if err != nil {
		return run, t, err
	}
	return run, t, s.allow(ctx, act, t)
}
