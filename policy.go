package penumbra

import (
	"slices"
	"strings"
	"time"
)

// PolicyPrefix begins the name of a policy where the name of a person would
// stand: an approval of its own is by "policy:" and its identifier. No person
// may be named so.
const PolicyPrefix = "policy:"

// PolicyQuestion is what a policy is asked: may somebody act on a proposal, or on
// a drift, in the circumstances of now?
type PolicyQuestion struct {
	// By is the person; "" is Penumbra itself.
	By   string
	Verb Verb
	// Proposal is nil of acts on a drift alone: to snooze or accept it. Drift is nil
	// too of acts on a stack, which Stack names then, "*" for all.
	Proposal *Proposal
	Drift    *Drift
	Stack    string
	Time     time.Time
	// InWindow and Frozen say whether a run on the stack may start now, as far as
	// maintenance windows and freezes go.
	InWindow bool
	Frozen   bool
	// ApprovedBy are those who approved this very plan before.
	ApprovedBy []string
	// RunsToday counts the runs on the resource within the last 24 hours that a
	// policy approved.
	RunsToday int
}

// PolicyAnswer is what policies say of a question.
type PolicyAnswer struct {
	Verb    Verb   `json:"verb"`
	By      string `json:"by,omitempty"` // "" is Penumbra itself
	Allowed bool   `json:"allowed"`
	// Policies are those that decided, by their identifiers.
	Policies []string `json:"policies,omitempty"`
	// Needs is how many people have to approve, at least 1.
	Needs int `json:"needs"`
	// Overrides lists what the act may pass: "window", "freeze".
	Overrides []string `json:"overrides,omitempty"`
	// Reason is the answer in words, with the reasons that the policies give.
	Reason string `json:"reason"`
}

// What a policy may override.
const (
	OverrideWindow = "window" // the act need not wait for a maintenance window
	OverrideFreeze = "freeze" // nor for the end of a freeze
)

// Passes reports whether the answer overrides what is named.
func (a *PolicyAnswer) Passes(what string) bool { return slices.Contains(a.Overrides, what) }

// SamePerson reports whether two names are one person's: case and space around
// them tell nobody apart.
func SamePerson(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// Window is whether runs on a stack may start at a time.
type Window struct {
	Open bool
	// Next is when the next window opens, zero if it is open or never will.
	Next time.Time
}

// Freeze keeps runs of stacks from starting.
type Freeze struct {
	ID string `json:"id"`
	// Stacks are those that it holds for; none means all.
	Stacks []string  `json:"stacks,omitempty"`
	From   time.Time `json:"from"`
	// Until ends it; zero means that somebody has to lift it.
	Until   time.Time `json:"until,omitzero"`
	Reason  string    `json:"reason"`
	By      string    `json:"by,omitempty"`
	Created time.Time `json:"created"`
	// LiftedBy ended it at the time Lifted.
	LiftedBy string    `json:"lifted_by,omitempty"`
	Lifted   time.Time `json:"lifted,omitzero"`
	// Configured marks one of the configuration, which only that can lift.
	Configured bool `json:"configured,omitempty"`
}

// Ended reports whether the freeze holds for nothing at or after a time.
func (f *Freeze) Ended(at time.Time) bool {
	return !f.Lifted.IsZero() || !f.Until.IsZero() && !at.Before(f.Until)
}

// Holds reports whether the freeze keeps runs of a stack from starting at a time.
func (f *Freeze) Holds(stack string, at time.Time) bool {
	return !at.Before(f.From) && !f.Ended(at) && (len(f.Stacks) == 0 || slices.Contains(f.Stacks, stack))
}

// PolicyReport says what policies answer for each act on a proposal, and in which
// circumstances.
type PolicyReport struct {
	Proposal string    `json:"proposal"`
	Drift    string    `json:"drift"`
	By       string    `json:"by,omitempty"` // the person asked about
	Time     time.Time `json:"time"`
	// Answers are those on the person's acts, if one was asked about; the last is
	// on an approval by Penumbra itself.
	Answers    []PolicyAnswer `json:"answers"`
	ApprovedBy []string       `json:"approved_by,omitempty"`
	InWindow   bool           `json:"in_window"`
	NextWindow time.Time      `json:"next_window,omitzero"`
	Freeze     *Freeze        `json:"freeze,omitempty"` // that holds now
}
