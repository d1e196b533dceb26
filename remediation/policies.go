package remediation

import (
	"context"
	"fmt"

	"github.com/penumbra-iac/penumbra"
)

// A PolicyBook keeps files of policies in the folder that is configured for them.
type PolicyBook interface {
	// CheckPolicies returns an error unless a file of policies can be added as things
	// are now, or taken away: of kind Stale if it, or another with its name, is not as
	// it should be before that, of kind Invalid if the policies would have a mistake, and
	// of kind Refused if they could then allow more than before it was added.
	CheckPolicies(ctx context.Context, f penumbra.PolicyFile, there bool) error
	// SetPolicies has the file there, or not, and all policies read again. Where it is
	// so already, that is no error.
	SetPolicies(ctx context.Context, f penumbra.PolicyFile, there bool) error
	// PoliciesHold returns an error unless the policies in use have those of the file,
	// or have none of them.
	PoliciesHold(ctx context.Context, f penumbra.PolicyFile, there bool) error
}

// there reports whether a proposal's policies are to be there after its run.
func (e *execution) there() bool { return e.p.Kind != penumbra.Restore }

// policyFile is the file of the proposal, by who approved it.
func (e *execution) policyFile() penumbra.PolicyFile {
	f := *e.p.Policy
	f.By = e.by
	return f
}

// checkPolicies holds a proposal's policies against those of now.
func (e *execution) checkPolicies(ctx context.Context) error {
	if e.Policies == nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: "nothing here keeps policies", Remedy: "have `penumbra serve` run"}
	}
	return e.Policies.CheckPolicies(ctx, e.policyFile(), e.there())
}

// setPolicies adds the proposal's policies, or takes them away, and makes sure that
// they are in use, or no longer. If not, all is as it was.
func (e *execution) setPolicies(ctx context.Context) (penumbra.RunState, error) {
	f := e.policyFile()
	err := e.Policies.SetPolicies(ctx, f, e.there())
	if err == nil {
		err = e.Policies.PoliciesHold(ctx, f, e.there())
	}
	if err == nil {
		return penumbra.Applying, nil
	}
	// What is there is not known now: the opposite settles it.
	if undo := e.Policies.SetPolicies(ctx, f, !e.there()); undo != nil {
		return penumbra.Halted, fmt.Errorf("change the policies: %w; change them back: %w", err, undo)
	}
	return penumbra.Failed, fmt.Errorf("change the policies: %w", err)
}

// reviewedPolicies ends a run of policies of which it is not known how far it came. The
// file is there or it is not, and was read when Penumbra started.
func (e *execution) reviewedPolicies(ctx context.Context, state penumbra.RunState) (penumbra.Run, error) {
	if e.Policies == nil {
		e.run.Outcome = "a person must look: nothing here keeps policies any more"
		return e.end(ctx, penumbra.Halted, nil)
	}
	err := e.Policies.PoliciesHold(ctx, *e.p.Policy, e.there())
	switch {
	case err == nil:
		e.run.Outcome = e.promised()
		return e.end(ctx, penumbra.Done, nil)
	case e.Policies.PoliciesHold(ctx, *e.p.Policy, !e.there()) == nil:
		e.run.Outcome = fmt.Sprintf("nothing was changed: Penumbra stopped while the run was %s; approve the proposal again", state)
		return e.end(ctx, penumbra.Failed, nil)
	}
	e.run.Outcome = penumbra.Redact(fmt.Sprintf("a person must look: Penumbra stopped while the run was %s: %v", state, err))
	return e.end(ctx, penumbra.Halted, nil)
}
