// Package prometheus brings performance metrics in from Prometheus, in both
// directions: a [Poller] asks for the values of PromQL expressions, a [Receiver]
// takes what Prometheus sends by remote write.
//
// Use the poller for a few metrics that a user names: the expression does the
// arithmetic (a rate, a share) and the sum over what does not matter. Use remote
// write for many series, or where Penumbra may not reach Prometheus.
//
// Both guarantee: a time is told again rather than left out, so whoever takes
// the series must know a point by its time; NaN, the infinities and staleness
// marks are never told; what is refused is counted and said; memory is bounded
// whatever the other side sends.
package prometheus

import (
	"github.com/penumbra-iac/penumbra/internal/intake"
)

// Limits bound what a [Receiver] takes. The zero value takes the defaults.
type Limits = intake.Limits
