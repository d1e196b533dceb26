// Package bayes answers one question: which settings and which ways of
// operating a resource move its performance, and what would happen to it if
// somebody set one of them? It also is a shadow for estates whose settings
// explain each other: see [Model].
//
// [Network] is a Bayesian network over discrete variables in three tiers:
// operational patterns cause settings, settings cause metrics. [Learn] finds its
// structure from cases, [Fit] its parameters, Posterior and Joint answer
// exactly, [Network.Do] tells what an intervention does, how sure that is and
// how many cases stand behind it, and [Network.Influences] ranks causes. [Scale]
// makes states of values.
//
// Use Do, not Posterior, to ask what a change of a setting would bring: what is
// observed together may have a cause in common. Use the pooled model of package
// shadow alone where nothing but the timing of changes is asked for.
//
// What it guarantees: the same cases, options and seeds give the same network
// and the same answers; inference is exact or refused; nothing is asked of a
// clock; a network is for one goroutine at a time.
//
// docs/model-bayes.md has the formulas, their sources, measured figures and what
// falls short; format.md beside this file describes the checkpoint.
package bayes
