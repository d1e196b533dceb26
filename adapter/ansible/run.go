package ansible

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envfile"
	"github.com/penumbra-iac/penumbra/internal/procgroup"
)

// run starts one of Ansible's programs in a folder and hands its output to read.
func (w *Workspace) run(ctx context.Context, dir, program string, args, env []string, read func(io.Reader) error) error {
	held, err := envfile.Read(w.config.ReadEnv)
	if err != nil {
		return err
	}
	cmd := procgroup.CommandContext(ctx, filepath.Join(w.programs, program), args...)
	cmd.Dir = dir
	cmd.Env = append(environment(held), env...)
	cmd.WaitDelay = 5 * time.Second
	stderr := &tail{}
	cmd.Stderr = stderr
	failure := func(err error) error {
		if ctx.Err() != nil {
			err = ctx.Err()
		} else if line := stderr.last(); line != "" {
			err = errors.New(line)
		}
		return &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("stack %s: run %s", w.config.Stack, program), Err: err, Remedy: "run it by hand in " + w.dir}
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return failure(err)
	}
	readErr := read(stdout)
	_, _ = io.Copy(io.Discard, stdout)
	waitErr := cmd.Wait()
	if readErr == nil && ctx.Err() == nil {
		return nil // a host that failed gives a status, and results all the same
	}
	if waitErr != nil {
		return failure(waitErr)
	}
	return readErr
}

// environment is the user's, with what a file of credentials has over it, without
// what would change the output's form.
func environment(held []string) []string {
	var out []string
	for _, e := range slices.Concat(procgroup.Environ(), held) {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "ANSIBLE_FORCE_COLOR", "ANSIBLE_DEBUG", "ANSIBLE_VERBOSITY", "ANSIBLE_CALLBACK_WHITELIST", "ANSIBLE_JSON_INDENT":
		default:
			out = append(out, e)
		}
	}
	return append(out, "ANSIBLE_STDOUT_CALLBACK=json", "ANSIBLE_NOCOLOR=1", "ANSIBLE_FORCE_COLOR=0", "ANSIBLE_RETRY_FILES_ENABLED=0",
		"ANSIBLE_LOG_PATH=/dev/null", "ANSIBLE_CACHE_PLUGIN=memory", "ANSIBLE_DEPRECATION_WARNINGS=0", "ANSIBLE_LOCALHOST_WARNING=0",
		"ANSIBLE_DISPLAY_SKIPPED_HOSTS=1", "ANSIBLE_DISPLAY_OK_HOSTS=1", "ANSIBLE_VERBOSITY=0")
}

// tail keeps the last 8 KiB of what is written to it.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if n := len(t.text) - 8<<10; n > 0 {
		t.text = append(t.text[:0], t.text[n:]...)
	}
	return len(p), nil
}

func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	for _, line := range lines {
		if strings.Contains(line, "ERROR!") {
			return reason(line)
		}
	}
	return reason(lines[len(lines)-1])
}
