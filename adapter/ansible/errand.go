package ansible

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

// errand is one run of ansible-playbook: of the stack's playbook, or of a play
// that was written for it and runs beside the playbook.
type errand struct {
	Play     string   `json:"play,omitempty"` // its text, "" for the playbook
	Limit    string   `json:"limit,omitempty"`
	Tags     []string `json:"tags,omitempty"`
	SkipTags []string `json:"skip_tags,omitempty"`
}

// playFile is the name of a play that was written, beside the playbook: there it
// finds the variables that the playbook finds.
const playFile = "penumbra-play.yml"

// everything is what a read runs.
func (w *Workspace) everything() errand {
	return errand{Limit: w.config.Limit, Tags: w.config.Tags, SkipTags: w.config.SkipTags}
}

// playbook is the file that the errand runs, relative to the stack's folder.
func (w *Workspace) playbook(e errand) string {
	if e.Play == "" {
		return w.config.Playbook
	}
	return filepath.Join(filepath.Dir(w.config.Playbook), playFile)
}

// hostArgs are the options that say which hosts there are, and how they are
// reached.
func (w *Workspace) hostArgs(limit string) []string {
	var args []string
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				args = append(args, flag, v)
			}
		}
	}
	add("-i", w.config.Inventory...)
	add("--limit", limit)
	add("--vault-password-file", w.config.VaultPasswordFile)
	for _, f := range w.config.ExtraVars {
		add("-e", "@"+f)
	}
	return args
}

func (w *Workspace) args(e errand) []string {
	args := append([]string{w.playbook(e)}, w.hostArgs(e.Limit)...)
	for _, t := range e.Tags {
		args = append(args, "--tags", t)
	}
	for _, t := range e.SkipTags {
		args = append(args, "--skip-tags", t)
	}
	return args
}

// command is what a person would type in the stack's folder, in a POSIX shell.
func (w *Workspace) command(e errand, flags ...string) string {
	words := []string{"ansible-playbook"}
	for _, a := range append(w.args(e), flags...) {
		words = append(words, shellWord(a))
	}
	line := strings.Join(words, " ")
	if e.Play == "" {
		return line
	}
	file := shellWord(w.playbook(e))
	mark := "PLAY"
	for strings.Contains("\n"+e.Play, "\n"+mark+"\n") {
		mark += "_"
	}
	return fmt.Sprintf("cat >%s <<'%s'\n%s%s\n%s\nrm %s", file, mark, e.Play, mark, line, file)
}

func shellWord(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-@,=:") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// folder returns the folder in which an errand runs, with the patch: the stack's
// own, or a copy.
func (w *Workspace) folder(e errand, patch *penumbra.Patch) (dir string, remove func(), err error) {
	if e.Play == "" && patch == nil {
		return w.dir, func() {}, nil
	}
	var more map[string]string
	if e.Play != "" {
		more = map[string]string{w.playbook(e): e.Play}
	}
	return w.codeFolder().Copy(patch, more)
}

func (w *Workspace) codeFolder() codepatch.Folder {
	return codepatch.Folder{Stack: w.config.Stack, Dir: w.dir, Data: w.data}
}

// check runs an errand in check mode with diff, behind the gate, and returns the
// tasks that it came by.
func (w *Workspace) check(ctx context.Context, dir, scratch string, e errand, b *book) (map[string]*declared, error) {
	refusal := filepath.Join(scratch, "refused")
	if err := os.WriteFile(filepath.Join(scratch, "penumbra_gate.py"), []byte(gate), 0o600); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Full, What: "write a scratch file", Err: err, Remedy: "make room in the temporary folder"}
	}
	env := []string{"ANSIBLE_CALLBACK_PLUGINS=" + scratch, "ANSIBLE_CALLBACKS_ENABLED=penumbra_gate", "PENUMBRA_GATE=" + refusal}
	if w.config.AllowCheckModeFalse {
		env = append(env, "PENUMBRA_GATE_OPEN=1")
	}
	var stats map[string]hostStats
	err := w.run(ctx, dir, "ansible-playbook", append(w.args(e), "--check", "--diff"), env, func(r io.Reader) (err error) {
		stats, err = readOutput(r, b.add)
		return err
	})
	if name, readErr := os.ReadFile(refusal); readErr == nil {
		return nil, &penumbra.Error{
			Kind: penumbra.Refused, What: fmt.Sprintf("stack %s: task %s has check_mode: false and would run for real", w.config.Stack, penumbra.Redact(string(name))),
			Remedy: "leave it out with a skipped tag, or allow such tasks in the configuration if they only read",
		}
	}
	if err != nil {
		return nil, err
	}
	if _, statErr := os.Stat(refusal + ".loaded"); statErr != nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "stack " + w.config.Stack + ": Ansible did not load the plugin that guards check mode", Remedy: "report this with the version of Ansible"}
	}
	b.close(stats)
	root := strings.TrimSuffix(dir, w.dir) // of a copy
	if root == dir {
		root = ""
	}
	return readDeclared(refusal+".tasks", root), nil
}

// narrow is the errand that brings resources back: on their hosts, with the tags
// that select their tasks and the fewest others. tagged is false if no tags do.
func (w *Workspace) narrow(s *survey, items []*item) (e errand, tagged bool) {
	hosts, tags := map[string]bool{}, map[string]bool{}
	untagged := false
	for _, it := range items {
		found := false
		for _, o := range it.origins {
			hosts[o.host] = true
			if t := s.tasks[o.task]; t != nil && !t.Handler {
				tag := w.fewest(s, t)
				tags[tag], found = true, true
				untagged = untagged || tag == ""
			}
		}
		untagged = untagged || !found
	}
	e = errand{Limit: strings.Join(slices.Sorted(maps.Keys(hosts)), ","), Tags: w.config.Tags, SkipTags: w.config.SkipTags}
	if untagged {
		return e, false
	}
	e.Tags = slices.Sorted(maps.Keys(tags))
	return e, true
}

// fewest is the tag that selects a task and the fewest others, "" if there is none.
func (w *Workspace) fewest(s *survey, t *declared) string {
	best, fewest := "", 0
	for _, tag := range t.Tags {
		if specialTags[tag] || len(w.config.Tags) > 0 && !slices.Contains(w.config.Tags, tag) || slices.Contains(w.config.SkipTags, tag) {
			continue
		}
		if n := s.tagged(tag); best == "" || n < fewest {
			best, fewest = tag, n
		}
	}
	return best
}

// specialTags select by rules of Ansible's own.
var specialTags = map[string]bool{"always": true, "never": true, "all": true, "tagged": true, "untagged": true}
