package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/engine"
)

// auditedStore records what changes the world or what people may do with it, where
// all of it passes: decisions of people and of policies, runs, freezes, rules,
// versions of the model. An entry is written before what it is about; what cannot
// be recorded is not stored, and so not done.
type auditedStore struct {
	engine.Store
	audit *audit.Log
	log   *slog.Logger
}

// recorded does something once it is recorded, and records if it then failed.
func (s *auditedStore) recorded(ctx context.Context, e penumbra.AuditEntry, do func() error) error {
	if err := s.audit.Record(ctx, e); err != nil {
		return err
	}
	err := do()
	if err == nil {
		return nil
	}
	e.Outcome = penumbra.AuditFailed
	e.Details = map[string]string{"error": err.Error()}
	return errors.Join(err, s.audit.Record(ctx, e))
}

// by names who decided where the context does not: a policy, or Penumbra itself.
func by(ctx context.Context, name string, e *penumbra.AuditEntry) {
	p := penumbra.PrincipalOf(ctx)
	switch {
	case p != nil && penumbra.SamePerson(p.Name, name):
	case p != nil && name != "":
		e.Details["by"] = name
	case strings.HasPrefix(name, penumbra.PolicyPrefix):
		e.Principal, e.Name, e.Kind = name, name, penumbra.SystemPrincipal
	case name == "":
		e.Principal, e.Name, e.Kind = "system:penumbra", "Penumbra", penumbra.SystemPrincipal
	default:
		e.Name, e.Kind = name, penumbra.PersonPrincipal
	}
}

// decisionActs are what the acts of decisions are called.
var decisionActs = map[penumbra.Verb]penumbra.Act{
	penumbra.Approve: "proposal.approve", penumbra.Reject: "proposal.reject", penumbra.Customize: "proposal.customize",
	penumbra.Snooze: "drift.snooze", penumbra.Accept: "drift.accept",
}

func decided(ctx context.Context, d *penumbra.Decision, stack string) penumbra.AuditEntry {
	act, ok := decisionActs[d.Verb]
	if !ok {
		act = "proposal." + penumbra.Act(d.Verb)
	}
	e := penumbra.AuditEntry{Act: act, Target: penumbra.Target{Stack: stack, ID: d.Proposal}, Details: map[string]string{
		"decision": d.ID, "drift": d.Drift, "plan": d.Hash, "reason": d.Reason,
	}}
	if d.Proposal == "" {
		e.Target.ID = d.Drift
	}
	if !d.Until.IsZero() {
		e.Details["until"] = d.Until.UTC().Format(time.RFC3339)
	}
	by(ctx, d.By, &e)
	return e
}

// stackOf returns the stack of a drift, "" if that is not stored.
func (s *auditedStore) stackOf(ctx context.Context, drift string) (string, error) {
	found, err := s.Drifts(ctx, penumbra.DriftQuery{ID: drift})
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].Resource.Stack(), nil
}

func started(ctx context.Context, run *penumbra.Run) penumbra.AuditEntry {
	e := penumbra.AuditEntry{Act: "run.start", Target: penumbra.Target{Stack: run.Stack, ID: run.ID}, Details: map[string]string{
		"proposal": run.Proposal, "drift": run.Drift, "approvals": strings.Join(run.Approvals, ", "), "kind": string(run.Kind),
	}}
	by(ctx, "", &e)
	return e
}

// Decide implements [engine.Store].
func (s *auditedStore) Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error {
	stack, err := s.stackOf(ctx, d.Drift)
	if err != nil {
		return err
	}
	return s.recorded(ctx, decided(ctx, &d, stack), func() error {
		if run == nil {
			return s.Store.Decide(ctx, d, p, nil)
		}
		return s.recorded(ctx, started(ctx, run), func() error { return s.Store.Decide(ctx, d, p, run) })
	})
}

// Start implements [engine.Store].
func (s *auditedStore) Start(ctx context.Context, p penumbra.Proposal, run penumbra.Run) error {
	return s.recorded(ctx, started(ctx, &run), func() error { return s.Store.Start(ctx, p, run) })
}

// Note implements [engine.Store].
func (s *auditedStore) Note(ctx context.Context, d penumbra.Decision) error {
	stack, err := s.stackOf(ctx, d.Drift)
	if err != nil {
		return err
	}
	return s.recorded(ctx, decided(ctx, &d, stack), func() error { return s.Store.Note(ctx, d) })
}

// SaveRun implements [engine.Store]. What a run came to is stored whether or not
// that can be recorded: it has happened.
func (s *auditedStore) SaveRun(ctx context.Context, run penumbra.Run) error {
	before, err := s.Runs(ctx, penumbra.RunQuery{ID: run.ID})
	if err != nil {
		return err
	}
	if err := s.Store.SaveRun(ctx, run); err != nil {
		return err
	}
	if !run.State.Ended() || len(before) > 0 && before[0].State == run.State {
		return nil
	}
	e := penumbra.AuditEntry{Act: "run.end", Target: penumbra.Target{Stack: run.Stack, ID: run.ID}, Details: map[string]string{
		"state": run.State.String(), "proposal": run.Proposal, "drift": run.Drift,
	}}
	if run.State != penumbra.Done {
		e.Outcome = penumbra.AuditFailed
	}
	by(ctx, "", &e)
	if err := s.audit.Record(ctx, e); err != nil {
		s.log.Error("the end of a run is not in the audit log", "run", run.ID, "state", run.State, "error", err)
	}
	return nil
}

// SaveFreeze implements [engine.Store].
func (s *auditedStore) SaveFreeze(ctx context.Context, f penumbra.Freeze) error {
	e := penumbra.AuditEntry{Act: "stack.freeze", Target: penumbra.Target{Stack: strings.Join(f.Stacks, ","), ID: f.ID}, Details: map[string]string{"reason": f.Reason}}
	name := f.By
	if !f.Lifted.IsZero() {
		e.Act, name = "stack.unfreeze", f.LiftedBy
	} else if !f.Until.IsZero() {
		e.Details["until"] = f.Until.UTC().Format(time.RFC3339)
	}
	by(ctx, name, &e)
	return s.recorded(ctx, e, func() error { return s.Store.SaveFreeze(ctx, f) })
}

// SaveRule implements [engine.Store].
func (s *auditedStore) SaveRule(ctx context.Context, rule penumbra.Rule) error {
	e := penumbra.AuditEntry{Act: "rule.save", Target: penumbra.Target{ID: rule.ID}, Details: map[string]string{"pattern": rule.Pattern}}
	by(ctx, "", &e)
	return s.recorded(ctx, e, func() error { return s.Store.SaveRule(ctx, rule) })
}

// DeleteRule implements [engine.Store].
func (s *auditedStore) DeleteRule(ctx context.Context, id string) error {
	e := penumbra.AuditEntry{Act: "rule.delete", Target: penumbra.Target{ID: id}, Details: map[string]string{}}
	by(ctx, "", &e)
	return s.recorded(ctx, e, func() error { return s.Store.DeleteRule(ctx, id) })
}

// AddVersion implements [engine.Store].
func (s *auditedStore) AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (number int, err error) {
	e := penumbra.AuditEntry{Act: "model.add", Details: map[string]string{"family": v.Family, "state": string(v.State), "origin": string(v.Origin)}}
	by(ctx, v.By, &e)
	err = s.recorded(ctx, e, func() error {
		number, err = s.Store.AddVersion(ctx, v, body)
		return err
	})
	return number, err
}

// SaveVersions implements [engine.Store].
func (s *auditedStore) SaveVersions(ctx context.Context, versions []penumbra.ModelVersion) error {
	e := penumbra.AuditEntry{Act: "model.change", Details: map[string]string{}}
	name := ""
	for _, v := range versions {
		e.Details[fmt.Sprintf("version %d", v.Number)] = string(v.State)
		if v.State == penumbra.ActiveVersion {
			name, e.Details["forced"] = v.By, v.Forced
		}
	}
	by(ctx, name, &e)
	return s.recorded(ctx, e, func() error { return s.Store.SaveVersions(ctx, versions) })
}
