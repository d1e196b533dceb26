//go:build !unix

package tofu

import "os/exec"

// ownGroup does nothing where there are no process groups.
func ownGroup(*exec.Cmd) {}

func killGroup(*exec.Cmd) {}
