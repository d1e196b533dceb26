package tofu

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// grace is how long a command that was asked to stop may take to release what
// it holds before it and its providers are killed.
const grace = 30 * time.Second

// output is what a command wrote.
type output struct {
	stdout, stderr bytes.Buffer
}

// run executes a command in the working directory and returns its output. When
// ctx ends the command gets an interrupt, on which both tools stop cleanly, and
// after a grace period the whole process group is killed.
func (w *Workspace) run(ctx context.Context, args ...string) (*output, error) {
	out := &output{}
	return out, w.runIn(ctx, w.dir, out, &out.stdout, args...)
}

func (w *Workspace) runIn(ctx context.Context, dir string, out *output, stdout io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, w.binary, args...)
	cmd.Dir, cmd.Env = dir, w.environment()
	cmd.Stdout, cmd.Stderr = stdout, &out.stderr
	ownGroup(cmd)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	err := cmd.Run()
	if ctx.Err() != nil {
		killGroup(cmd)
		return ctx.Err()
	}
	return err
}

// environment is the process's own, with the stack's settings over it and what
// keeps the output readable by a program. Logging would mix into the errors.
func (w *Workspace) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TF_LOG") })
	for _, name := range slices.Sorted(maps.Keys(w.config.Env)) {
		env = append(env, name+"="+w.config.Env[name])
	}
	return append(env, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0")
}
