package ansible

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
	"github.com/penumbra-iac/penumbra/internal/yamledit"
)

// PatchValues returns the patch after which the code declares the settings: the
// literal that each follows from, in a task, a file of variables or a role, is
// replaced, and every other byte stays. It returns an error of kind Refused, with
// the place, where a value is computed, encrypted or not the code's to say, where
// it stands outside of the stack's folder, and where the file holds a secret,
// which a patch would keep.
func (w *Workspace) PatchValues(ctx context.Context, addresses []penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	patch := penumbra.Patch{Stack: w.config.Stack}
	if len(addresses) != 1 {
		return patch, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("change the code of %d resources of stack %s at once: where each value follows from is looked up for one", len(addresses), w.config.Stack), Remedy: "adopt the first: who shares a variable follows with it"}
	}
	address := addresses[0]
	s, err := w.surveyed(ctx)
	if err != nil {
		return patch, err
	}
	it := s.items[address]
	if it == nil || it.notChecked != "" {
		return patch, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("no task of %s that could be checked declares %s", w.config.Playbook, address), Remedy: "edit the code by hand"}
	}
	files := map[string]*yamledit.Document{}
	notes, err := w.replaced(s, it, settings, files)
	if err != nil {
		return patch, err
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		f, err := w.filePatch(files[path])
		if err != nil {
			return patch, err
		}
		if f != nil {
			patch.Files = append(patch.Files, *f)
		}
	}
	slices.Sort(notes)
	patch.Note = strings.Join(slices.Compact(notes), " ")
	return patch, nil
}

// replaced has the files declare the settings, and says who follows.
func (w *Workspace) replaced(s *survey, it *item, settings []penumbra.Setting, files map[string]*yamledit.Document) (notes []string, err error) {
	for _, x := range settings {
		found, err := w.locate(s, it, x.Path, files)
		if err != nil {
			return nil, err
		}
		if found.node.Value == x.Value.Text() {
			continue
		}
		if isExpression(x.Value.Text()) {
			return nil, &penumbra.Error{Kind: penumbra.Refused, What: x.Path + " would become an expression, which Ansible would evaluate", Remedy: "edit the code by hand"}
		}
		if found.variable != "" && !harmless.MatchString(x.Value.Text()) {
			if where := w.codeAt(s, found.variable); where != "" {
				return nil, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s would become a text with signs that a shell or an expression takes for more than a value, and %s leads to one: %s", x.Path, found.variable, where), Remedy: "edit the code by hand"}
			}
		}
		if err := found.doc.Replace(found.node, x.Value); err != nil {
			return nil, err
		}
		notes = append(notes, w.shared(s, it, x.Path, found)...)
	}
	return notes, nil
}

// PatchInstance is PatchValues: a play is limited to one host, whichever others
// share the variable.
func (w *Workspace) PatchInstance(ctx context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	return w.PatchValues(ctx, []penumbra.Address{address}, settings)
}

// PatchIgnore refuses: Ansible has nothing of the kind.
func (w *Workspace) PatchIgnore(context.Context, penumbra.Address, []string, string) (penumbra.Patch, error) {
	return penumbra.Patch{}, &penumbra.Error{Kind: penumbra.Refused, What: "Ansible has no ignore_changes: whatever a task declares it sets", Remedy: "take it out of the playbook, or use an ignore rule"}
}

// PatchImport refuses: Ansible has no state that a resource could be missing from.
func (w *Workspace) PatchImport(context.Context, penumbra.Address, string) (penumbra.Patch, error) {
	return penumbra.Patch{}, &penumbra.Error{Kind: penumbra.Refused, What: "Ansible has no state to import into", Remedy: "run the playbook"}
}

func (w *Workspace) filePatch(d *yamledit.Document) (*penumbra.FilePatch, error) {
	after, err := d.Spliced()
	if err != nil || after == d.Text {
		return nil, err
	}
	return patchOf(d, after)
}

func patchOf(d *yamledit.Document, after string) (*penumbra.FilePatch, error) {
	if where := secretIn(d.Root); where != "" || penumbra.LooksSecret("", penumbra.String(d.Text)) {
		return nil, &penumbra.Error{
			Kind: penumbra.Refused, What: fmt.Sprintf("%s holds what looks like a secret (%s), and a patch would keep it", d.Name, where),
			Remedy: "edit the file by hand, and encrypt the secret with ansible-vault",
		}
	}
	name := filepath.ToSlash(d.Name)
	return &penumbra.FilePatch{
		Path: name, Base: codepatch.HashText(d.Text), Before: d.Text, After: after,
		Diff: udiff.Unified("a/"+name, "b/"+name, d.Text, after),
	}, nil
}

// found is the literal that a setting follows from.
type found struct {
	doc      *yamledit.Document
	node     *yaml.Node
	task     string // the task that declares the setting
	variable string // the name of the variable that it is in, "" in a task
	hosts    []string
	everyone bool // whom it holds for is not known to be fewer than all
}

// argument returns the argument of a task that a setting's path stands for.
func argument(it *item, path string) (name, why string) {
	switch {
	case it.typ == "postgresql", strings.HasPrefix(path, "ini."):
		return "value", ""
	case path == "content":
		return "", "the content follows from a template or a file, and Penumbra keeps no more than a digest of what is there"
	case it.typ == "ansible_package":
		return "", "which version is there is the package manager's to say"
	case path == "changed" || strings.HasPrefix(path, "lineinfile.") || strings.HasPrefix(path, "blockinfile.") || strings.HasPrefix(path, "replace."):
		return "", "what is there does not say how the task would have to be written"
	}
	return path, ""
}

func (w *Workspace) locate(s *survey, it *item, path string, files map[string]*yamledit.Document) (*found, error) {
	refused := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: path + ": " + what, Remedy: remedy}
	}
	p := it.pairs[path]
	if !p.declared || p.from == nil {
		return nil, refused("no task declares it", "add it to the playbook by hand")
	}
	t := s.tasks[p.from.task]
	if t == nil {
		return nil, refused("the task that declares it was not seen", "edit the code by hand")
	}
	name, why := argument(it, path)
	if why != "" {
		return nil, refused(why, "edit the code by hand: "+w.where(t))
	}
	r := &resolver{w: w, survey: s, task: t, from: p.from, host: p.from.host, files: files}
	out, err := r.argument(name)
	if err != nil {
		return nil, err
	}
	out.task = t.ID
	return out, nil
}

// where is a task's place, relative to the stack's folder.
func (w *Workspace) where(t *declared) string {
	file, line := t.file()
	return fmt.Sprintf("task %q, %s:%d", t.Name, w.relative(file), line)
}

func (w *Workspace) relative(path string) string {
	if name, err := filepath.Rel(w.dir, path); err == nil && filepath.IsLocal(name) {
		return name
	}
	return path
}

// shared says which other hosts follow what is edited, and where else a variable
// is used.
func (w *Workspace) shared(s *survey, it *item, path string, f *found) []string {
	var hosts []string
	for _, other := range s.items {
		p, ok := other.pairs[path]
		if !ok || other == it || p.from == nil || p.from.task != f.task || slices.Contains(hosts, p.from.host) {
			continue
		}
		if f.everyone || slices.Contains(f.hosts, p.from.host) {
			hosts = append(hosts, p.from.host)
		}
	}
	slices.Sort(hosts)
	var notes []string
	if len(hosts) > 0 {
		notes = append(notes, fmt.Sprintf("%s is shared: %s will follow at the next run.", f.doc.Name, strings.Join(hosts, ", ")))
	}
	if f.variable == "" {
		return notes
	}
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(f.variable) + `\b`)
	var used []string
	of := s.tasks[f.task]
	own, _ := of.file()
	for name := range s.code {
		if name == f.doc.Name || name == w.relative(own) {
			continue
		}
		if text, err := os.ReadFile(w.abs(name)); err == nil && len(text) < 1<<20 && word.Match(text) {
			used = append(used, name)
		}
	}
	slices.Sort(used)
	if len(used) > 0 {
		notes = append(notes, fmt.Sprintf("%s is also used in %s.", f.variable, strings.Join(used, ", ")))
	}
	return notes
}
