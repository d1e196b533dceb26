//go:build unix

package tofu

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the command into a process group of its own: an interrupt
// typed at a terminal is then Penumbra's to handle, and a kill reaches the
// command's providers too.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
