// Package creep answers one question: when will a setting that is raised (or
// lowered) step by step pass its limit?
//
// Use it for settings whose template is bounds instead of a value. [Watch] follows
// them from snapshots, learns from events who moved them, and gives the drift
// stage the limit and a forecast of passing it. Settings without a limit cost it a
// comparison of names; settings that never moved cost no arithmetic.
//
// # The model
//
// For each bound, the steps towards it since the setting last fell back by half
// are a run. Three things are kept apart, each with its own uncertainty:
//
//   - When: steps are a renewal process whose gaps are Erlang. Their shape (1, 2 or
//     4 stages) and the scale of their rate (two hours to a quarter of a year) are
//     mixed by what the gaps so far say of each; within one, the rate has a gamma
//     posterior in which older gaps count less. The waiting time for m more steps,
//     given how long none has come, is then a mixture of beta prime distributions:
//     exact, by the incomplete beta function. With one stage this is the
//     gamma-Poisson model, whose number of steps is negative binomial.
//   - How far: a step's size is one of the earlier ones or a new one, as in a
//     Dirichlet process with a lognormal base of unknown mean and variance
//     (Student's t of the logarithm). Sizes are absolute or relative, mixed by
//     which has predicted the sizes so far better. How many steps pass the limit
//     follows by convolution on a grid of 60 cells.
//   - Whether: a run goes on with a probability that has a beta posterior. A step
//     on speaks for it, a step back against. What goes back and forth is no creep.
//
// P(passed by h) = Σ_m P(the m-th step passes) · E[c^m] · P(m steps by h). Nothing
// is sampled. What the parts do not know of each other is left out: sizes that
// depend on gaps, or a person who knows of the limit and stops before it.
//
// Same observations, same answers: there is no clock and no chance.
package creep
