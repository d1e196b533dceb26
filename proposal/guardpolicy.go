package proposal

import (
	"fmt"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Policies are those by which people decide.
type Policies interface {
	// Guarding returns a file of policies, not yet written, by which two people decide
	// on what takes these settings of the drift off the template, or leaves them there.
	// d is the drift as it is once it has come. The policies were tried: nothing else is
	// decided otherwise. It returns an error of kind Missing if no folder of policies
	// is configured, and of kind Refused if two people have to decide already.
	Guarding(d *penumbra.Drift, paths []string) (penumbra.PolicyFile, error)
}

// leastReturns is how many earlier drifts of the same settings make one that keeps
// coming back.
const leastReturns = 2

// guardPolicy has two people decide on what is foreseen, or keeps coming back: the
// code can refuse a value, and nobody can refuse that somebody writes another into it.
func (s *search) guardPolicy() {
	foreseen := s.come()
	var paths []string
	for i := range foreseen.Findings {
		if f := &foreseen.Findings[i]; f.Path != "" && f.OffTemplate(f.Actual) {
			paths = append(paths, f.Path)
		}
	}
	switch {
	case s.Policies == nil:
		s.omit(penumbra.GuardPolicy, "policies are not asked here")
		return
	case len(paths) == 0:
		s.omit(penumbra.GuardPolicy, "no setting of it is off what the code says, or is going to be: there is nothing to decide on by two")
		return
	}
	f, err := s.Policies.Guarding(&foreseen, paths)
	if err != nil {
		s.omit(penumbra.GuardPolicy, err.Error())
		return
	}
	s.add(penumbra.Proposal{
		Kind: penumbra.GuardPolicy, Policy: &f,
		Title: "Have two people decide on " + sentence(slices.Clone(paths)) + " other than the code says",
	}, float64(len(paths))/float64(len(s.Drift.Findings)))
}

// come returns the drift as it is once it has come: an open one as it is, an impending
// one with the values that are foreseen.
func (s *search) come() penumbra.Drift {
	d := s.Drift
	d.Findings = slices.Clone(d.Findings)
	if d.Verdict != penumbra.Impending {
		return d
	}
	d.Verdict = penumbra.Drifted
	for i := range d.Findings {
		f := &d.Findings[i]
		f.Verdict = penumbra.Drifted
		_, trial, why := bound(&s.Drift, *f)
		if f.Actual = trial.Value; why != "" {
			f.Actual = penumbra.Unknown() // other than it is, whatever it will be
		}
		if l := f.Expectation.Limit; l != nil {
			passed := *l
			passed.Passed = true
			f.Expectation.Limit = &passed
		}
	}
	return d
}

// guardPolicyWords say what a policy that guards does, and how it was tried.
func guardPolicyWords(p *penumbra.Proposal) string {
	return fmt.Sprintf("This adds a policy, by which two people decide on whatever takes %s of %s off what the code says, or leaves it there: to adopt it, to set it otherwise, to ignore it. Penumbra approves none of that by itself, and nobody accepts such a value alone. "+
		"It was tried with the policies in use: with it such a decision takes two people, without it one, and all others are answered as before. It keeps nobody from changing the resource; to bring it back takes one person. Fewer than two people who may approve can then do no more than that. "+
		"Whoever approves this has to be an admin, for policies are theirs.", sentence(slices.Clone(p.Policy.Paths)), p.Policy.Resource.Local())
}
