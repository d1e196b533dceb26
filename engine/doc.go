// Package engine turns the loop: it reads the sources when an event, the clock
// or a person asks for it, calls the stages in their order, keeps what they
// found and carries decisions to remediation.
package engine
