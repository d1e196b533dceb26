package ansible

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/yamledit"
)

// PatchGuard returns the patch after which a task that asserts the bounds stands
// right before the one that declares the settings: a run on the resource's hosts
// in which one does not hold ends there, in check mode too. trial, if there is any,
// are settings that the code declares too. A patch without files says that the code
// has the guard already. It returns an error of kind Refused, with the place, where
// the setting does not follow from a variable: whoever changes the task itself has
// it before their eyes.
func (w *Workspace) PatchGuard(ctx context.Context, address penumbra.Address, bounds []penumbra.Bound, trial []penumbra.Setting) (penumbra.Patch, error) {
	patch := penumbra.Patch{Stack: w.config.Stack}
	s, err := w.surveyed(ctx)
	if err != nil {
		return patch, err
	}
	it := s.items[address]
	if it == nil || it.notChecked != "" {
		return patch, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("no task of %s that could be checked declares %s", w.config.Playbook, address), Remedy: "write an assert task by hand"}
	}
	files := map[string]*yamledit.Document{}
	if _, err := w.replaced(s, it, trial, files); err != nil {
		return patch, err
	}
	guards := map[string][]assertion{} // by the task's place
	for _, b := range bounds {
		t, test, err := w.assertionOf(s, it, &b)
		if err != nil {
			return patch, err
		}
		guards[t.Path] = append(guards[t.Path], assertion{t, test, b.Message})
	}
	texts := map[string]string{}
	places := slices.SortedFunc(maps.Values(guards), func(a, b []assertion) int { // the last in a file first
		fileA, lineA := a[0].task.file()
		fileB, lineB := b[0].task.file()
		return cmp.Or(cmp.Compare(fileA, fileB), cmp.Compare(lineB, lineA))
	})
	for _, list := range places {
		path, line := list[0].task.file()
		if err := w.insert(path, line, list, it.ranOn(), files, texts); err != nil {
			return patch, err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		after, written := texts[path]
		if !written {
			if after, err = files[path].Spliced(); err != nil {
				return patch, err
			}
		}
		if after == files[path].Text {
			continue
		}
		f, err := patchOf(files[path], after)
		if err != nil {
			return patch, err
		}
		patch.Files = append(patch.Files, *f)
	}
	return patch, nil
}

// sizes matches an amount of memory, of which Ansible knows how much it is.
var sizes = regexp.MustCompile(`^[0-9]+(kB|MB|GB|TB)$`)

// assertion is a condition that is asserted before a task.
type assertion struct {
	task          *declared
	test, message string
}

// assertionOf returns the task that declares a setting, and the condition on the
// variable that it follows from.
func (w *Workspace) assertionOf(s *survey, it *item, b *penumbra.Bound) (*declared, string, error) {
	refused := func(what string) (*declared, string, error) {
		return nil, "", &penumbra.Error{Kind: penumbra.Refused, What: b.Path + ": " + what, Remedy: "write an assert task by hand"}
	}
	p := it.pairs[b.Path]
	if !p.declared || p.from == nil || s.tasks[p.from.task] == nil {
		return refused("no task declares it")
	}
	t := s.tasks[p.from.task]
	name, why := argument(it, b.Path)
	if why != "" {
		return refused(why)
	}
	raw, _ := t.Args[name].(string)
	variable, _, items, plain := parseExpression(raw)
	if !plain || items || variable == "item" {
		return refused(fmt.Sprintf("it follows from no single variable (%s)", w.where(t)))
	}
	expression := strings.TrimSpace(strings.Trim(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(raw), "{{"), "}}"), "-"))
	value := b.Value
	if isExpression(b.Message) {
		return refused("what it would be told with is an expression, which Ansible would evaluate")
	}
	if value.Kind() == penumbra.SecretKind || penumbra.LooksSecret(b.Path, value) {
		return refused("it is a secret, which no patch may hold")
	}
	switch value.Kind() {
	case penumbra.NumberKind:
		return t, fmt.Sprintf("(%s) | float %s %s", expression, b.Is, value.Text()), nil
	case penumbra.BoolKind:
		return t, fmt.Sprintf("(%s) | bool %s %s", expression, b.Is, value.Text()), nil
	case penumbra.StringKind:
		if sizes.MatchString(value.Text()) && b.Is != penumbra.Equal && b.Is != penumbra.Unequal {
			return t, fmt.Sprintf("(%s) | string | human_to_bytes %s ('%s' | human_to_bytes)", expression, b.Is, value.Text()), nil
		}
		if !strings.ContainsAny(value.Text(), "'\\\n{}%") && (b.Is == penumbra.Equal || b.Is == penumbra.Unequal) {
			return t, fmt.Sprintf("(%s) | string %s '%s'", expression, b.Is, value.Text()), nil
		}
	}
	return refused("its value cannot be written as a condition")
}

// insert puts a task with assertions before the one on a line.
func (w *Workspace) insert(path string, line int, list []assertion, hosts []string, files map[string]*yamledit.Document, texts map[string]string) error {
	d, err := w.document(path, files)
	if err != nil {
		return err
	}
	text, changed := texts[path]
	if !changed {
		if text, err = d.Spliced(); err != nil {
			return err
		}
	}
	t := list[0].task
	var tests, messages []string
	for _, a := range list {
		if strings.Contains(d.Text, yamledit.Quoted(a.test)) {
			continue
		}
		tests = append(tests, "    - "+yamledit.Quoted(a.test))
		messages = append(messages, a.message)
	}
	if len(tests) == 0 {
		texts[path] = text
		return nil
	}
	item := append([]string{"name: " + yamledit.Quoted("Guard of "+cmp.Or(t.Name, "the next task")), "ansible.builtin.assert:", "  that:"}, tests...)
	item = append(item, "  fail_msg: "+yamledit.Quoted(strings.Join(messages, " ")), "  quiet: true", "when: "+yamledit.Quoted("inventory_hostname in ['"+strings.Join(hosts, "', '")+"']"))
	var tags []string
	for _, tag := range t.Tags {
		tags = append(tags, yamledit.Quoted(tag))
	}
	if len(tags) > 0 {
		item = append(item, "tags: ["+strings.Join(tags, ", ")+"]")
	}
	now, err := yamledit.Parse(d.Path, d.Name, text)
	if err != nil {
		return err
	}
	texts[path], err = now.InsertItem(line, item)
	return err
}
