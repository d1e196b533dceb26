package procgroup

import (
	"context"
	"os/exec"
)

// CommandContext is [exec.CommandContext] of a command with a group of its own, which is
// killed whole when ctx ends: of what changes nothing, and holds nothing that it would
// have to release. The caller says by WaitDelay how long to wait for what has left the group
// and holds the output.
func CommandContext(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	Own(cmd)
	cmd.Cancel = func() error {
		kill(cmd)
		return cmd.Process.Kill() // where there are no groups
	}
	return cmd
}
