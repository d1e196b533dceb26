// Package mixture is the shadow that learns: five experts say how likely each
// setting is to change, and what they say is joined by weights that follow how
// well each of them does.
//
//   - counts: the pooled gamma-Poisson model, on which all others stand
//   - logistic: dynamic logistic regression on its features
//   - tempered: the same, slower to believe and quicker to forget, because what
//     changes together counts as little more than once
//   - excitation: a self-exciting process that adds where logistic multiplies
//   - network: the recurrent network of package rnn
//
// They are joined on the scale of log odds, a logarithmic opinion pool, with
// weights by the fixed-share rule (Herbster and Warmuth, "Tracking the Best
// Expert", Machine Learning 32 (1998), 151-178), kept for the estate and for
// each type. Contrasts then move the odds of a setting against the others of its
// class, and the last word is a mean of all of these and of the estate's rate,
// believed by how well each did. What one day brought moves beliefs by a bounded
// amount, because what changes together is one occasion.
//
// The model asks itself: every day of the timeline it draws some resources,
// notes what each expert says of their settings, and learns when the answer is
// known, 1 hour to 30 days later. Settings that will hardly change are thinned
// out and weighted. It costs no more for a large estate than for a small one.
//
// Models beside the experts answer what those do not: package choice which value
// a setting would take, package succession which setting changes next, package
// duration what lasts too long, package departure which declared settings leave
// their template and for what. The mixture owns them, tells them of each change,
// and stores them. Its prediction sets are composed of what choice says and of how
// likely the experts say that a change is, and are calibrated by what came of
// earlier ones.
//
// What is legitimate, what has departed and what is never learnt are the pooled
// model's, see package shadow: the mixture decides how likely a normal change
// is, and to what.
package mixture
