//go:build !unix

package procgroup

import "os/exec"

// Own does nothing where there are no process groups.
func Own(*exec.Cmd) {}

// kill does nothing where there are no process groups.
func kill(*exec.Cmd) {}
