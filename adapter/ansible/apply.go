package ansible

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envfile"
	"github.com/penumbra-iac/penumbra/internal/procgroup"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// stepsPlugin is a callback plugin that writes down which tasks began on which hosts: a
// failure before the first of them changed nothing.
const stepsPlugin = `from __future__ import annotations
import os
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'aggregate'
    CALLBACK_NAME = 'penumbra_steps'
    CALLBACK_NEEDS_ENABLED = True

    def note(self, mark, host, task):
        with open(os.environ['PENUMBRA_STEPS'], 'a', encoding='utf-8', errors='replace') as f:
            f.write(mark + ' ' + str(task._uuid) + ' ' + str(host) + '\n')

    def v2_runner_on_start(self, host, task):
        self.note('+', host, task)

    def v2_runner_on_unreachable(self, result):
        self.note('-', result._host, result._task)
`

// Apply runs what the plan planned, for real, and writes Ansible's output to log,
// redacted, line by line while it runs. It runs the saved errand on the code that it was
// planned with and on no other.
//
// A run that has begun is never abandoned: ctx being cancelled does not stop it,
// and should Penumbra end Ansible goes on by itself, which is why its output goes
// to a file. A cancelled ctx does keep it from starting.
//
// An error of kind Stale, Refused or Missing says that nothing was changed. After
// any other, something may have been.
func (w *Workspace) Apply(ctx context.Context, plan penumbra.Plan, log io.Writer) error {
	what := "run the play of stack " + w.config.Stack
	refused := func(why string, err error) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: what + ": " + why, Err: savedplan.Pathless(err), Remedy: "make room in the data folder, and approve again"}
	}
	if err := ctx.Err(); err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: what + ": cancelled before it began", Err: err}
	}
	file, of, err := w.open(plan)
	if err != nil {
		return err
	}
	patch, err := w.patchToRun(&of)
	if err != nil {
		return err
	}
	dir, remove, err := w.folder(of.Errand, patch)
	if err != nil {
		return refused("the code cannot be copied", err)
	}
	defer remove()
	held, err := envfile.Read(cmp.Or(w.config.ApplyEnv, w.config.ReadEnv))
	if err != nil {
		return refused("nothing was changed", err)
	}
	lock, err := w.unlock(of.Kept)
	if err != nil {
		return err
	}
	defer func() { _ = lock() }() // tried again with the next plan
	w.keepOn(file)
	plugins, err := os.MkdirTemp(w.data, "scratch-")
	if err == nil {
		err = os.WriteFile(filepath.Join(plugins, "penumbra_steps.py"), []byte(stepsPlugin), 0o600)
	}
	if err != nil {
		return refused("a plugin cannot be written", err)
	}
	defer os.RemoveAll(plugins)
	record, err := os.OpenFile(file+".log", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return refused("no log can be kept", err)
	}
	defer func() {
		_ = record.Close()
		_ = w.plans().Lock(file + ".log") // tried again with the next plan
	}()
	began := filepath.Join(plugins, "began")
	cmd := exec.Command(filepath.Join(w.programs, "ansible-playbook"), w.args(of.Errand)...)
	cmd.Dir = dir
	cmd.Env = append(environment(held), "ANSIBLE_STDOUT_CALLBACK=default", "ANSIBLE_CALLBACK_PLUGINS="+plugins, "ANSIBLE_CALLBACKS_ENABLED=penumbra_steps", "PENUMBRA_STEPS="+began)
	procgroup.Own(cmd)
	var logErr error
	failed, err := procgroup.RunRecorded(cmd, record, MaxOutput, func(line []byte) {
		if _, err := io.WriteString(log, penumbra.Redact(string(line))); logErr == nil {
			logErr = err
		}
	})
	text, unread := readBack(record)
	switch {
	case failed != nil && !hasBegun(began):
		return &penumbra.Error{Kind: penumbra.Refused, What: what + ": nothing was changed: " + lastWords(text, failed), Remedy: "run it by hand: " + w.command(of.Errand, "--check", "--diff")}
	case failed != nil:
		return &penumbra.Error{Kind: penumbra.Unavailable, What: what + ": " + lastWords(text, failed), Remedy: "look at the log and at what is there now"}
	case err != nil || unread != nil || logErr != nil:
		return &penumbra.Error{Kind: penumbra.Full, What: what + ": it was run, and its log cannot be kept"}
	}
	return nil
}

// patchToRun holds the code against the one that was planned, and returns the
// patch that a copy of it needs: none if the patch has been written.
func (w *Workspace) patchToRun(of *saved) (*penumbra.Patch, error) {
	if name := changedFile(of.Beside, besideNow(of.Beside)); name != "" {
		return nil, w.codeChanged(name)
	}
	name := changedFile(of.Code, w.codeFiles(nil))
	if name == "" {
		return nil, nil
	}
	if of.Patch != nil && changedFile(of.Code, w.codeFiles(of.Patch)) == "" {
		return of.Patch, nil
	}
	return nil, w.codeChanged(name)
}

// keepOn has the plan and its way back kept for a week from now.
func (w *Workspace) keepOn(file string) {
	now := w.config.Now()
	for _, path := range [...]string{file, file + ".back"} {
		_ = os.Chtimes(path, now, now)
	}
}

// readBack returns what Ansible wrote, redacted.
func readBack(record *os.File) (string, error) {
	if _, err := record.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(record, MaxOutput))
	return penumbra.Redact(string(data)), err
}

// hasBegun reports whether any task began on a host that could be reached.
func hasBegun(file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	running := map[string]bool{}
	for line := range bytes.Lines(data) {
		mark, of, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		if mark == "+" {
			running[of] = true
		} else {
			delete(running, of)
		}
	}
	return len(running) > 0
}

// lastWords is the line of an output that says what failed.
func lastWords(text string, failed error) string {
	said := ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "failed: ") || strings.Contains(line, "ERROR!") || strings.HasPrefix(line, "[ERROR]") {
			said = line
		}
	}
	if said == "" {
		return fmt.Sprint(failed)
	}
	return reason(said)
}

// WritePatch writes the patch into the code: all files or none. It returns an
// error of kind Stale, having written nothing, if a file is not the one that the
// patch is for, and Refused if one lies outside the stack's folder.
func (w *Workspace) WritePatch(ctx context.Context, patch penumbra.Patch) error {
	return w.codeFolder().Write(ctx, patch)
}

// RevertPatch puts the files of a patch back; those that were not written stay.
// It returns an error of kind Stale, having written nothing, if a file is neither
// what the patch was for nor what it made.
func (w *Workspace) RevertPatch(ctx context.Context, patch penumbra.Patch) error {
	return w.codeFolder().Revert(ctx, patch)
}
