package ansible

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/yamledit"
)

// variables is a mapping of variables in a file, and whom it holds for.
type variables struct {
	doc      *yamledit.Document
	node     *yaml.Node
	hosts    []string
	everyone bool
}

// sources returns where the variables of the task on its host stand, the one that
// wins first, in Ansible's order of precedence ("Understanding variable
// precedence" in its documentation). What tasks, includes and inventory programs
// set is not among them; the check of a patch shows where one of those wins.
func (r *resolver) sources() ([]variables, error) {
	var out []variables
	file := func(path string, hosts []string, everyone bool) error {
		doc, err := r.w.document(path, r.files)
		if err != nil {
			return err
		}
		if len(doc.Root.Content) > 0 {
			out = append(out, variables{doc, doc.Root.Content[0], hosts, everyone})
		}
		return nil
	}
	for _, f := range r.w.config.ExtraVars {
		if err := file(r.w.abs(f), nil, true); err != nil {
			return nil, err
		}
	}
	taskFile, line := r.task.file()
	doc, err := r.w.document(taskFile, r.files)
	if err != nil {
		return nil, err
	}
	isPlaybook := func(n *yaml.Node) bool { return yamledit.Child(n, "hosts") != nil }
	for _, n := range yamledit.MappingsTo(doc.Root, line) {
		if at := yamledit.Child(n, "vars"); at != nil && !isPlaybook(n) {
			out = append(out, variables{doc, at, nil, true})
		}
	}
	if r.task.RolePath != "" {
		for _, f := range varFiles(filepath.Join(r.task.RolePath, "vars"), "main") {
			if err := file(f, nil, true); err != nil {
				return nil, err
			}
		}
	}
	if err := r.ofPlays(&out, file); err != nil {
		return nil, err
	}
	dirs := r.w.varFolders()
	for _, dir := range dirs {
		for _, f := range varFiles(filepath.Join(dir, "host_vars"), r.host) {
			if err := file(f, []string{r.host}, false); err != nil {
				return nil, err
			}
		}
	}
	groups := r.survey.inventory.of(r.host)
	for _, of := range [][]string{groups, {"all"}} {
		for _, dir := range dirs {
			for _, g := range of {
				for _, f := range varFiles(filepath.Join(dir, "group_vars"), g) {
					if err := file(f, r.survey.inventory.members(g), false); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	if r.task.RolePath != "" {
		for _, f := range varFiles(filepath.Join(r.task.RolePath, "defaults"), "main") {
			if err := file(f, nil, true); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// ofPlays adds the variables of the playbook's plays: their files, then their
// own.
func (r *resolver) ofPlays(out *[]variables, file func(string, []string, bool) error) error {
	doc, err := r.w.document(r.w.abs(r.w.config.Playbook), r.files)
	if err != nil || len(doc.Root.Content) == 0 {
		return err
	}
	taskFile, line := r.task.file()
	for _, n := range doc.Root.Content[0].Content {
		inside := doc.Path == taskFile && slices.Contains(yamledit.MappingsTo(doc.Root, line), n)
		if doc.Path == taskFile && !inside {
			continue // another play's
		}
		if list := yamledit.Child(n, "vars_files"); list != nil {
			for _, f := range slices.Backward(list.Content) {
				path := filepath.Join(filepath.Dir(doc.Path), f.Value)
				if filepath.IsAbs(f.Value) {
					path = f.Value
				}
				if _, err := os.Stat(path); err != nil || f.Kind != yaml.ScalarNode {
					continue
				}
				if err := file(path, nil, true); err != nil {
					return err
				}
			}
		}
		if at := yamledit.Child(n, "vars"); at != nil {
			*out = append(*out, variables{doc, at, nil, true})
		}
	}
	return nil
}

// varFolders are those beside which group_vars and host_vars are looked for, the
// playbook's first, for it wins.
func (w *Workspace) varFolders() []string {
	out := []string{filepath.Dir(w.abs(w.config.Playbook))}
	for _, i := range slices.Backward(w.config.Inventory) {
		path := w.abs(i)
		info, err := os.Stat(path)
		if err != nil {
			continue // a list of hosts
		}
		if !info.IsDir() {
			path = filepath.Dir(path)
		}
		if !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

// varFiles returns the files of variables of a name in a folder, the one that wins
// first: all in a folder NAME, or else NAME, NAME.yml, NAME.yaml. Ansible takes the
// first of these that is there, and none of the others.
func varFiles(dir, name string) []string {
	for _, ending := range [...]string{"", ".yml", ".yaml"} {
		path := filepath.Join(dir, name+ending)
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		if !info.IsDir() {
			return []string{path}
		}
		var out []string
		entries, _ := os.ReadDir(path)
		for _, e := range slices.Backward(entries) {
			if ending := filepath.Ext(e.Name()); !e.IsDir() && (ending == "" || ending == ".yml" || ending == ".yaml") {
				out = append(out, filepath.Join(path, e.Name()))
			}
		}
		return out
	}
	return nil
}

// inInventory returns the place in an inventory file at which a variable is set.
func (w *Workspace) inInventory(name string) string {
	set := regexp.MustCompile(`(^|\s)` + regexp.QuoteMeta(name) + `\s*[=:]`)
	for _, i := range w.config.Inventory {
		text, err := os.ReadFile(w.abs(i))
		if err != nil {
			continue
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			if n++; set.MatchString(line) {
				return fmt.Sprintf("%s:%d", i, n)
			}
		}
	}
	return ""
}

// document reads a file of the stack, once.
func (w *Workspace) document(path string, files map[string]*yamledit.Document) (*yamledit.Document, error) {
	if d := files[path]; d != nil {
		return d, nil
	}
	text, err := os.ReadFile(path)
	name := w.relative(path)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "read " + name, Err: err, Remedy: "edit the code by hand"}
	}
	if strings.HasPrefix(string(text), "$ANSIBLE_VAULT") {
		text = nil // as if it set nothing: the check of a patch shows if it wins
	}
	d, err := yamledit.Parse(path, name, string(text))
	if err != nil {
		return nil, err
	}
	files[path] = d
	return d, nil
}
