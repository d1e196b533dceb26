//go:build unix

package procgroup

import (
	"os/exec"
	"syscall"
)

// Own puts the command into a process group of its own. It is called before the
// command starts.
func Own(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// kill ends the command and all that it started, if it was started.
func kill(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
