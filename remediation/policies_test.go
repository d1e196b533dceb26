package remediation

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// book keeps files of policies in memory.
type book struct {
	files              map[string]penumbra.PolicyFile
	check, set, undone error
	idle               bool // what is put there does not come into force
	sets               int
}

func (b *book) CheckPolicies(context.Context, penumbra.PolicyFile, bool) error { return b.check }

func (b *book) SetPolicies(_ context.Context, f penumbra.PolicyFile, there bool) error {
	if b.sets++; b.sets > 1 && b.undone != nil {
		return b.undone
	}
	if there {
		b.files[f.Name] = f
	} else {
		delete(b.files, f.Name)
	}
	if b.sets == 1 {
		return b.set
	}
	return nil
}

func (b *book) PoliciesHold(_ context.Context, f penumbra.PolicyFile, there bool) error {
	if _, is := b.files[f.Name]; is == there && !b.idle {
		return nil
	}
	return &penumbra.Error{Kind: penumbra.Stale, What: "not in use"}
}

func guarding(kind penumbra.ProposalKind) penumbra.Proposal {
	p := penumbra.Proposal{ID: "p-1", Drift: "d-1", Kind: kind, Policy: &penumbra.PolicyFile{Folder: "policy", Name: "guard-d-1.cedar", Text: "t", Resource: address, Paths: []string{"log_level"}}}
	p.Hash = p.Digest()
	return p
}

func (b *book) with(kind penumbra.ProposalKind) *book {
	b.files = map[string]penumbra.PolicyFile{}
	if kind == penumbra.Restore {
		b.files["guard-d-1.cedar"] = *guarding(kind).Policy
	}
	return b
}

func TestPoliciesAreChanged(t *testing.T) {
	t.Parallel()
	broken := errors.New("no room")
	for name, c := range map[string]struct {
		kind    penumbra.ProposalKind
		book    book
		state   penumbra.RunState
		outcome string
		there   bool
	}{
		"added":                  {penumbra.GuardPolicy, book{}, penumbra.Done, "policy/guard-d-1.cedar are in use: two people decide on log_level of conffile_service.queue", true},
		"taken away":             {penumbra.Restore, book{}, penumbra.Done, "no longer in use: one person decides again", false},
		"as things are now":      {penumbra.GuardPolicy, book{check: &penumbra.Error{Kind: penumbra.Stale, What: "it is there already"}}, penumbra.Failed, "nothing was changed: it is there already", false},
		"not written":            {penumbra.GuardPolicy, book{set: broken}, penumbra.Failed, "nothing was changed: change the policies: no room", false},
		"not taken away":         {penumbra.Restore, book{set: broken}, penumbra.Failed, "nothing was changed", true},
		"not in force":           {penumbra.GuardPolicy, book{idle: true}, penumbra.Failed, "not in use", false},
		"and not taken back":     {penumbra.GuardPolicy, book{idle: true, undone: broken}, penumbra.Halted, "a person must look", true},
		"in force after it gone": {penumbra.Restore, book{idle: true}, penumbra.Failed, "not in use", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, b := newWorld(), c.book.with(c.kind)
			m := w.machine()
			m.Policies = b
			p := guarding(c.kind)
			run, decision := approved(p)
			run, err := m.Execute(t.Context(), run, p, decision)
			f, there := b.files["guard-d-1.cedar"]
			if run.State != c.state || !strings.Contains(run.Outcome, c.outcome) || (err == nil) != (c.state == penumbra.Done) || there != c.there || w.applies != 0 {
				t.Errorf("%s: %s (%v); there: %v", run.State, run.Outcome, err, there)
			}
			if name == "added" && f.By != "alice" {
				t.Errorf("added by %q", f.By)
			}
		})
	}
	w := newWorld()
	p := guarding(penumbra.GuardPolicy)
	run, decision := approved(p)
	if run, err := w.machine().Execute(t.Context(), run, p, decision); run.State != penumbra.Failed || penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("where nobody keeps policies: %s, %v", run.State, err)
	}
}

// After a kill the file is there or it is not: that is looked at, and nothing is
// written again.
func TestPoliciesAfterAKill(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind  penumbra.ProposalKind
		there bool
		idle  bool
		want  penumbra.RunState
	}{
		"it was added":         {penumbra.GuardPolicy, true, false, penumbra.Done},
		"it was not":           {penumbra.GuardPolicy, false, false, penumbra.Failed},
		"it was taken away":    {penumbra.Restore, false, false, penumbra.Done},
		"it is there still":    {penumbra.Restore, true, false, penumbra.Failed},
		"and nobody can say":   {penumbra.GuardPolicy, true, true, penumbra.Halted},
		"there, with mistakes": {penumbra.Restore, true, true, penumbra.Halted},
	} {
		for _, at := range []penumbra.RunState{penumbra.Applying, penumbra.Verifying} {
			w, b := newWorld(), &book{files: map[string]penumbra.PolicyFile{}, idle: c.idle}
			p := guarding(c.kind)
			if c.there {
				b.files[p.Policy.Name] = *p.Policy
			}
			m := w.machine()
			m.Policies = b
			run, _ := approved(p)
			run.State = at
			run, err := m.Recover(t.Context(), run, p)
			if run.State != c.want || b.sets != 0 || err != nil || run.Outcome == "" {
				t.Errorf("%s, killed while %s: %s: %s (%v); set %d times", name, at, run.State, run.Outcome, err, b.sets)
			}
		}
	}
}
