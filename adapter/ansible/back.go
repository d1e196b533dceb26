package ansible

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

// wayBack prepares what undoes a trial, while the values of before are there: a
// play that sets them, and copies of the files that would be changed.
type wayBack struct {
	w      *Workspace
	survey *survey
	trial  *trial
	folder string // for copies of files

	plays map[string]*play // by host
	lost  []string
	kept  map[string]string // digests of the copies
	tried string

	errand *errand // the outcome, nil if there is nothing that can be undone
}

// mostKept is the size of the largest file that is kept.
const mostKept = 16 << 20

// prepare fills in the way back. Its error is that of a host that cannot be
// reached; what cannot be undone is no error and is said.
func (b *wayBack) prepare(ctx context.Context) error {
	b.plays, b.kept = map[string]*play{}, map[string]string{}
	var files []*item
	undone := false
	for _, c := range b.trial.changes {
		it := b.trial.book.items[c.Resource]
		switch {
		case c.Action == penumbra.Execute:
			if t := b.handler(c.Resource); t == nil {
				b.lose(c.Resource, "what a command did is not known")
			}
		case it.typ == "ansible_file" && it.path != "":
			files = append(files, it)
		case it.typ == "postgresql":
			undone = b.server(it, c) || undone
		case it.typ == "ansible_service":
			undone = b.service(it, c) || undone
		default:
			b.lose(c.Resource, "check mode does not tell all of what is there now")
		}
	}
	done, err := b.files(ctx, files)
	if err != nil {
		return err
	}
	if !undone && !done {
		return nil
	}
	b.notify()
	return b.try(ctx)
}

func (b *wayBack) lose(what penumbra.Address, why string) {
	b.lost = append(b.lost, fmt.Sprintf("%s: %s", what, why))
}

func (b *wayBack) play(host string) *play {
	if b.plays[host] == nil {
		b.plays[host] = &play{hosts: []string{host}}
	}
	return b.plays[host]
}

// declared returns the first task that told of the item.
func (b *wayBack) declared(it *item) *declared {
	for _, o := range it.origins {
		if t := b.trial.tasks[o.task]; t != nil && !t.Handler {
			return t
		}
	}
	return nil
}

// task starts a task on the item's host that reaches it as its declared task does.
func (b *wayBack) task(it *item, name, module string, args *yaml.Node) bool {
	t := b.declared(it)
	if t == nil || t.sealed() {
		return false
	}
	n := mapping("name", literal(name), module, args)
	t.keywords(n)
	p := b.play(it.host)
	p.tasks = append(p.tasks, n)
	if t.Role != "" {
		p.addRole(t.Role)
	}
	return true
}

// server sets a server's parameters to what they are now.
func (b *wayBack) server(it *item, c penumbra.PlannedChange) bool {
	var values []penumbra.Setting
	for _, x := range c.Changes {
		if x.Before.Kind() == penumbra.SecretKind {
			b.lose(penumbra.Address(penumbra.JoinPath(string(c.Resource), x.Path)), "a secret is not kept")
			continue
		}
		values = append(values, penumbra.Setting{Path: x.Path, Value: x.Before})
	}
	if len(values) == 0 {
		return false
	}
	// The trial may be of a play of ours, which has no task to learn from.
	from, tasks := b.survey.items[c.Resource], b.survey.tasks
	if from == nil {
		from, tasks = it, b.trial.tasks
	}
	made, err := serverPlay(tasks, from, values)
	if err != nil {
		b.lose(c.Resource, err.Error())
		return false
	}
	p := b.play(made.hosts[0])
	p.tasks = append(p.tasks, made.tasks...)
	for _, r := range made.roles {
		p.addRole(r)
	}
	return true
}

func (b *wayBack) service(it *item, c penumbra.PlannedChange) bool {
	args := mapping("name", literal(it.service))
	for _, x := range c.Changes {
		switch x.Path {
		case "state":
			put(args, "state", literal(x.Before.Text()))
		case "enabled":
			put(args, "enabled", x.Before.Text() == "true")
		default:
			b.lose(penumbra.Address(penumbra.JoinPath(string(c.Resource), x.Path)), "check mode does not tell what it is now")
		}
	}
	if len(args.Content) < 4 {
		return false
	}
	return b.task(it, "Set "+it.service+" as it was", "ansible.builtin.service", args)
}

// handler returns the handler that a change is the work of, nil if it is none.
func (b *wayBack) handler(a penumbra.Address) *declared {
	for _, act := range b.trial.book.acts {
		if act.address == a {
			return handlerOf(b.trial.tasks, act.task)
		}
	}
	if it := b.trial.book.items[a]; it != nil {
		for _, o := range it.origins {
			if t := handlerOf(b.trial.tasks, o.task); t != nil {
				return t
			}
		}
	}
	return nil
}

func handlerOf(tasks map[string]*declared, id string) *declared {
	if t := tasks[id]; t != nil && t.Handler {
		return t
	}
	return nil
}

// notify has the way back run the handlers that the run itself would run: a
// service must read a file again that is put back.
func (b *wayBack) notify() {
	for _, c := range b.trial.changes {
		if c.Action != penumbra.Execute {
			continue
		}
		t := b.handler(c.Resource)
		host, _, _ := strings.Cut(c.Resource.Local(), "/")
		p := b.plays[host]
		if t == nil || p == nil {
			continue
		}
		if t.Role != "" {
			p.addRole(t.Role)
		} else if again := t.again(); again != nil {
			p.handlers = append(p.handlers, again)
		} else {
			b.lose(c.Resource, "the way back does not run it again: run it by hand")
			continue
		}
		for _, task := range p.tasks {
			b.addNotify(task, t.Name)
		}
	}
}

func (b *wayBack) addNotify(task *yaml.Node, name string) {
	for i := 0; i+1 < len(task.Content); i += 2 {
		if task.Content[i].Value == "notify" {
			task.Content[i+1].Content = append(task.Content[i+1].Content, literal(name))
			return
		}
	}
	put(task, "notify", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{literal(name)}})
}

// files copies files to the data folder, for their owner alone, and writes the tasks
// that put them back. Ansible is started once for all hosts.
func (b *wayBack) files(ctx context.Context, items []*item) (undone bool, err error) {
	if len(items) == 0 {
		return false, nil
	}
	if err := os.MkdirAll(b.folder, 0o700); err != nil {
		return false, &penumbra.Error{Kind: penumbra.Full, What: "make a folder for the way back", Remedy: "make room in the data folder", Err: err}
	}
	looks := map[string]*play{} // by host
	wanted := map[string][]keptFile{}
	numbers := map[string]int{} // of paths: the same on all hosts
	for _, it := range items {
		t := b.declared(it)
		if t == nil || t.sealed() {
			b.loseFile(it, "its task cannot be written down")
			continue
		}
		if _, ok := numbers[it.path]; !ok {
			numbers[it.path] = len(numbers)
		}
		k := keptFile{it, numbers[it.path]}
		n := strconv.Itoa(k.number)
		stat := mapping("name", "stat "+n, "ansible.builtin.stat", mapping("path", literal(it.path), "checksum_algorithm", "sha256", "get_mime", false, "get_attributes", false), "register", "penumbra_"+n)
		fetch := mapping("name", "fetch "+n, "ansible.builtin.fetch", mapping("src", literal(it.path), "dest", b.copyNode(k), "flat", true),
			"when", fmt.Sprintf("penumbra_%s.stat.exists and penumbra_%s.stat.isreg and penumbra_%s.stat.size <= %d", n, n, n, mostKept))
		t.keywords(stat)
		t.keywords(fetch)
		look := looks[it.host]
		if look == nil {
			look = &play{hosts: []string{it.host}}
			looks[it.host] = look
		}
		look.tasks = append(look.tasks, stat, fetch)
		if t.Role != "" {
			look.addRole(t.Role)
		}
		wanted[it.host] = append(wanted[it.host], k)
	}
	found, err := b.capture(ctx, looks, wanted)
	if err != nil {
		return false, err
	}
	for _, host := range slices.Sorted(maps.Keys(wanted)) {
		for _, k := range wanted[host] {
			call, why, err := b.putBack(k, found[host]["stat "+strconv.Itoa(k.number)])
			switch {
			case err != nil:
				return false, err
			case why != "":
				b.loseFile(k.item, why)
			default:
				undone = b.task(k.item, "Put "+k.item.path+" back", call.module, call.args) || undone
			}
		}
	}
	return undone, nil
}

// keptFile is a file that is copied for the way back.
type keptFile struct {
	item   *item
	number int // of its path
}

func (b *wayBack) loseFile(it *item, why string) {
	b.lose(penumbra.NewAddress(b.w.config.Stack, it.host+"/file["+it.path+"]"), why)
}

// copyPath is where the copy of a file lies.
func (b *wayBack) copyPath(k keptFile) string {
	return filepath.Join(b.folder, k.item.host+"-"+strconv.Itoa(k.number))
}

// copyNode is copyPath in a play: the same words for each host, so that plays that do
// the same can be merged.
func (b *wayBack) copyNode(k keptFile) *yaml.Node {
	if isExpression(b.folder) {
		return literal(b.copyPath(k))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: filepath.Join(b.folder, "{{ inventory_hostname }}-"+strconv.Itoa(k.number))}
}

type moduleCall struct {
	module string
	args   *yaml.Node
}

// putBack writes the call that makes a file what it is now, or says why it cannot.
func (b *wayBack) putBack(k keptFile, is *fileStat) (moduleCall, string, error) {
	it, copied := k.item, b.copyPath(k)
	if is == nil {
		return moduleCall{}, "it could not be looked at", nil
	}
	owned := func(args *yaml.Node) *yaml.Node {
		put(args, "owner", quoted(account("", is.Owner, is.UID)))
		put(args, "group", quoted(account("", is.Group, is.GID)))
		put(args, "mode", quoted(is.Mode))
		return args
	}
	const file = "ansible.builtin.file"
	switch {
	case !is.Exists:
		return moduleCall{file, mapping("path", literal(it.path), "state", "absent")}, "", nil
	case is.IsLink:
		return moduleCall{file, mapping("src", literal(is.Target), "dest", literal(it.path), "state", "link", "force", true)}, "", nil
	case is.IsDir:
		return moduleCall{file, owned(mapping("path", literal(it.path), "state", "directory"))}, "", nil
	}
	hash, err := codepatch.HashFile(copied)
	if err != nil {
		return moduleCall{}, fmt.Sprintf("it is no regular file, or larger than %d MiB", mostKept>>20), nil
	}
	if p, ok := it.pairs["content"]; ok && p.seen && p.got != b.trial.book.digest(hash) {
		return moduleCall{}, "", &penumbra.Error{Kind: penumbra.Stale, What: it.path + " changed while it was looked at", Remedy: "ask for the proposals again"}
	}
	if err := os.Chmod(copied, 0o600); err != nil {
		return moduleCall{}, "", err
	}
	b.kept[copied] = hash
	return moduleCall{"ansible.builtin.copy", owned(mapping("src", b.copyNode(k), "dest", literal(it.path)))}, "", nil
}

// capture runs the plays, which only read, and returns what their tasks found of
// files, by host and task. What a play cannot be written for is lost, and wanted no
// more.
func (b *wayBack) capture(ctx context.Context, looks map[string]*play, wanted map[string][]keptFile) (map[string]map[string]*fileStat, error) {
	var plays []*play
	for _, host := range slices.Sorted(maps.Keys(looks)) {
		if _, err := playText([]*play{looks[host]}); err != nil {
			for _, k := range wanted[host] {
				b.loseFile(k.item, err.Error())
			}
			delete(wanted, host)
			continue
		}
		plays = append(plays, looks[host])
	}
	if len(plays) == 0 {
		return nil, nil
	}
	e, err := errandOf(plays)
	if err != nil {
		return nil, err
	}
	dir, remove, err := b.w.folder(e, nil)
	if err != nil {
		return nil, err
	}
	defer remove()
	out := map[string]map[string]*fileStat{}
	err = b.w.run(ctx, dir, "ansible-playbook", b.w.args(e), []string{"ANSIBLE_CALLBACKS_ENABLED="}, func(r io.Reader) error {
		_, err := readOutput(r, func(t *task) {
			for host, r := range t.Hosts {
				if r == nil || r.Stat == nil || r.Failed {
					continue
				}
				if out[host] == nil {
					out[host] = map[string]*fileStat{}
				}
				out[host][t.Task.Name] = r.Stat
			}
		})
		return err
	})
	return out, err
}

// errandOf is the errand that runs plays on their hosts.
func errandOf(plays []*play) (errand, error) {
	var hosts []string
	for _, p := range plays {
		hosts = append(hosts, p.hosts...)
	}
	plays, err := merged(plays)
	if err != nil {
		return errand{}, err
	}
	text, err := playText(plays)
	return errand{Play: text, Limit: strings.Join(hosts, ",")}, err
}

// try runs the way back in check mode. As the values of before are there now, it
// must have nothing to change: that shows that it can be run, and what it sets.
func (b *wayBack) try(ctx context.Context) error {
	var plays []*play
	for _, host := range slices.Sorted(maps.Keys(b.plays)) {
		if p := b.plays[host]; len(p.tasks) > 0 {
			plays = append(plays, p)
		}
	}
	e, err := errandOf(plays)
	if err != nil {
		b.lost = append(b.lost, err.Error())
		return nil
	}
	t, err := b.w.try(ctx, e, nil)
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		b.lost = append(b.lost, "the way back was tried in check mode and failed: "+err.Error())
		return nil
	}
	for _, c := range t.changes {
		b.lost = append(b.lost, fmt.Sprintf("the way back was tried in check mode and would now change %s, where it should change nothing", c.Resource))
	}
	if len(t.changes) > 0 {
		return nil
	}
	b.errand, b.tried = &e, "in check mode it has nothing to change while the values of before are there"
	return nil
}

func (b *wayBack) words() *penumbra.WayBack {
	out := &penumbra.WayBack{Lost: b.lost}
	if b.errand != nil {
		out.Command, out.Checked = b.w.command(*b.errand), b.tried
	}
	return out
}
