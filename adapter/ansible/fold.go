package ansible

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// pair is what one setting should be and what it was. An actual that was not
// seen is left out of the snapshot.
type pair struct {
	want, got penumbra.Value
	declared  bool
	seen      bool
	from      *origin
}

// item is one resource as the tasks of a run tell of it.
type item struct {
	typ        string
	pairs      map[string]pair
	notChecked string
	host, path string // of a file that a second look can be had at
	// sameContent is set if a task declares the content and found it there, found is
	// then that content's SHA-1, "" if the task did not say.
	sameContent bool
	found       string
	args        map[string]string // owner and group as the task declares them

	origins []origin // the tasks that told of it
	now     *origin  // the one that is telling
	// executes is set if a task would run of which check mode foresees nothing.
	executes bool
	service  string   // its name
	restart  []string // settings that would differ and take force at a restart
}

// book collects the resources of a run.
type book struct {
	stack string
	key   penumbra.Key
	items map[penumbra.Address]*item
	names map[string]string // the inventory's name of each ansible_host
	lost  map[string]string // why a host was left before its last task
	ended map[string]string // the last task that manages nothing and failed on a host, such as an assertion
	now   origin            // what is being taken in
	acts  []act             // what would be restarted or reloaded
}

// act is something that a task does and that leaves no state behind.
type act struct {
	address penumbra.Address
	task    string
}

func newBook(stack string, key penumbra.Key) *book {
	return &book{stack: stack, key: key, items: map[penumbra.Address]*item{}, names: map[string]string{}, lost: map[string]string{}, ended: map[string]string{}}
}

func (b *book) item(host, local, typ string) *item {
	address := penumbra.NewAddress(b.stack, host+"/"+local)
	it := b.items[address]
	if it == nil {
		it = &item{typ: typ, pairs: map[string]pair{}, host: host}
		b.items[address] = it
	}
	it.tell(b.now)
	return it
}

// tell notes the task that is telling of the resource.
func (it *item) tell(o origin) {
	if o.task == "" {
		it.now = nil
		return
	}
	it.now = &o
	if !slices.ContainsFunc(it.origins, func(x origin) bool { return x.task == o.task && x.host == o.host }) {
		it.origins = append(it.origins, o)
	}
}

// agree notes a setting that is as declared.
func (it *item) agree(path string, v penumbra.Value) { it.set(path, v, v) }

func (it *item) set(path string, want, got penumbra.Value) {
	it.pairs[path] = pair{want: want, got: got, declared: true, seen: true, from: it.now}
}

// declare notes a setting whose actual value the run does not tell.
func (it *item) declare(path string, want penumbra.Value) {
	it.pairs[path] = pair{want: want, declared: true, from: it.now}
}

// differs notes that the task would change the resource, and not in what.
func (it *item) differs() { it.set("changed", penumbra.Bool(false), penumbra.Bool(true)) }

func (it *item) same() {
	if _, ok := it.pairs["changed"]; !ok { // another task's word stands
		it.agree("changed", penumbra.Bool(false))
	}
}

// passive are actions that manage nothing on a host.
var passive = map[string]bool{
	"add_host": true, "assert": true, "async_status": true, "debug": true, "fail": true, "fetch": true,
	"find": true, "gather_facts": true, "getent": true, "group_by": true, "import_playbook": true,
	"import_role": true, "import_tasks": true, "include": true, "include_role": true, "include_tasks": true,
	"include_vars": true, "meta": true, "package_facts": true, "pause": true, "ping": true,
	"service_facts": true, "set_fact": true, "set_stats": true, "setup": true, "slurp": true, "stat": true,
	"validate_argument_spec": true, "wait_for": true, "wait_for_connection": true,
}

func isPassive(module string) bool {
	return passive[module] || strings.HasSuffix(module, "_info") || strings.HasSuffix(module, "_facts")
}

// add takes in one task's results.
func (b *book) add(t *task) {
	defer func() { b.now = origin{} }()
	for _, host := range slices.Sorted(maps.Keys(t.Hosts)) {
		r := t.Hosts[host]
		if r == nil {
			continue
		}
		if r.Unreachable {
			b.lost[host] = "host unreachable: " + reason(r.Msg)
			continue
		}
		b.now = origin{task: t.Task.ID, host: host, index: -1}
		if len(r.Results) == 0 {
			b.one(host, t.Task.Name, r)
			continue
		}
		for i, each := range r.Results {
			if each == nil {
				continue
			}
			each.Action = r.Action
			if each.Delegated == nil {
				each.Delegated = r.Delegated
			}
			b.now.index, b.now.item = i, each.Item
			b.one(host, fmt.Sprintf("%s #%d", t.Task.Name, i+1), each)
		}
	}
}

func (b *book) one(host, name string, r *result) {
	module := r.Action[strings.LastIndexByte(r.Action, '.')+1:]
	conditional := r.Skipped && strings.HasPrefix(r.SkipReason, "Conditional")
	if isPassive(module) && r.Failed && len(r.Censored) == 0 {
		b.ended[host] = fmt.Sprintf(" (%s: %s)", penumbra.Redact(name), reason(r.Msg))
	}
	if module == "" || conditional || isPassive(module) {
		return // when: false declares nothing for this host
	}
	b.now.args = r.Invocation.Args
	delegated, _ := r.Delegated["ansible_host"].(string)
	if delegated != "" {
		host = delegated
		if known := b.names[delegated]; known != "" {
			host = known
		}
	}
	if state := text(r.Invocation.Args["state"]); serviceModules[module] && r.Changed && (state == "restarted" || state == "reloaded") {
		b.acts = append(b.acts, act{penumbra.NewAddress(b.stack, host+"/"+state+"["+text(r.Invocation.Args["name"])+"]"), b.now.task})
	}
	switch why := notChecked(r); {
	case why != "":
		for _, it := range b.named(host, module, name, r) {
			it.notChecked = why
			it.executes = it.executes || r.Skipped && r.SkipReason == "" || len(r.Censored) > 0 && r.Changed
		}
	case module == "postgresql_set":
		b.postgres(host, r)
	case module == "postgresql_query" && b.pending(host, r):
	case fileModules[module]:
		b.file(host, module, r, delegated != "")
	case packageModules[module]:
		b.packages(host, r)
	case serviceModules[module]:
		b.service(host, r)
	case module == "user" || module == "group":
		b.account(host, module, r)
	default:
		b.other(host, module, name, r)
	}
}

// notChecked returns why a result says nothing of the resource, "" if it does.
func notChecked(r *result) string {
	switch {
	case len(r.Censored) > 0:
		return "the task has no_log: its result is hidden"
	case r.Failed:
		return "the task failed: " + reason(r.Msg)
	case r.Skipped && r.SkipReason != "":
		return "skipped: " + reason(r.SkipReason)
	case r.Skipped:
		return "skipped in check mode: " + reason(r.Msg)
	}
	return ""
}

// named returns the resources that a result is of, which may be all that can
// be told of it.
func (b *book) named(host, module, name string, r *result) []*item {
	args := r.Invocation.Args
	switch {
	case fileModules[module] && filePath(args) != "":
		return []*item{b.item(host, "file["+filePath(args)+"]", "ansible_file")}
	case packageModules[module] && len(texts(args["name"])) > 0:
		var out []*item
		for _, p := range texts(args["name"]) {
			p, _, _ = strings.Cut(p, "=")
			out = append(out, b.item(host, "package["+p+"]", "ansible_package"))
		}
		return out
	case serviceModules[module] && text(args["name"]) != "":
		return []*item{b.item(host, "service["+text(args["name"])+"]", "ansible_service")}
	case (module == "user" || module == "group") && text(args["name"]) != "":
		return []*item{b.item(host, module+"["+text(args["name"])+"]", "ansible_"+module)}
	}
	// postgresql_set is here too: one parameter that could not be read must
	// not hide the others of its server.
	return []*item{b.item(host, module+"["+penumbra.Redact(name)+"]", "ansible_"+module)}
}

// other takes in a module that has no rules of its own.
func (b *book) other(host, module, name string, r *result) {
	it := b.item(host, module+"["+penumbra.Redact(name)+"]", "ansible_"+module)
	if !r.Changed {
		it.same()
		return
	}
	before, after := r.attributes()
	found := false
	for _, key := range slices.Sorted(maps.Keys(after)) {
		want, ok := scalar(after[key])
		if got, alsoOK := scalar(before[key]); ok && alsoOK && want != got {
			it.set(key, want, got)
			found = true
		}
	}
	if !found {
		it.differs()
	}
}

// observations returns a template and a snapshot of each resource, by address.
func (b *book) observations(at time.Time) []penumbra.Observation {
	var out []penumbra.Observation
	for _, address := range slices.Sorted(maps.Keys(b.items)) {
		it := b.items[address]
		base := penumbra.Observation{Time: at, Seen: at, Resource: address, Type: it.typ, Source: "ansible"}
		var want, got penumbra.Settings
		for _, path := range slices.Sorted(maps.Keys(it.pairs)) {
			p := it.pairs[path]
			hide := b.hides(path, p.want) || b.hides(path, p.got)
			if p.declared {
				want = append(want, penumbra.Setting{Path: path, Value: p.want, Sensitive: hide})
			}
			if p.seen {
				got = append(got, penumbra.Setting{Path: path, Value: p.got, Sensitive: hide})
			}
		}
		b.key.SealSettings(want)
		b.key.SealSettings(got)
		if len(want) > 0 {
			o := base
			o.Kind, o.Settings = penumbra.TemplateKind, want
			out = append(out, o)
		}
		o := base
		o.Kind, o.Settings = penumbra.SnapshotKind, got
		if it.notChecked != "" {
			o.Settings, o.NotChecked = nil, it.notChecked
		}
		out = append(out, o)
	}
	return out
}

// hides reports whether a value must be sealed on both sides: what only one of
// them shows to be a secret would let the other be read.
func (b *book) hides(path string, v penumbra.Value) bool {
	return v.Kind() == penumbra.StringKind && !strings.HasPrefix(v.Text(), penumbra.SecretPrefix) &&
		(penumbra.LooksSecret(path, v) || penumbra.Redact(v.Text()) != v.Text())
}

// digest stands for a file's content: it is keyed, so that a short secret in a
// file cannot be found by trying.
func (b *book) digest(sum string) penumbra.Value {
	return penumbra.String(b.key.Seal(penumbra.String(sum)).Text())
}

func (b *book) digestOf(content string) penumbra.Value {
	sum := sha256.Sum256([]byte(content))
	return b.digest(hex.EncodeToString(sum[:]))
}

// reason shortens and redacts a message, to its first line.
func reason(msg any) string {
	s, _, _ := strings.Cut(strings.TrimSpace(text(msg)), "\n")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return penumbra.Redact(s)
}

// hidden is what Ansible writes in place of a parameter with no_log.
const hidden = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"

// text returns a scalar's text, "" for anything else.
func text(v any) string {
	switch v := v.(type) {
	case string:
		if v == hidden {
			return ""
		}
		return v
	case bool, float64:
		return fmt.Sprint(v)
	}
	return ""
}

func texts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		if s := text(v); s != "" {
			return []string{s}
		}
		return nil
	}
	var out []string
	for _, x := range list {
		if s := text(x); s != "" {
			out = append(out, s)
		}
	}
	return out
}

func scalar(v any) (penumbra.Value, bool) {
	switch v := v.(type) {
	case nil:
		return penumbra.Null(), true
	case bool:
		return penumbra.Bool(v), true
	case float64:
		return penumbra.Number(v), true
	case string:
		return penumbra.String(v), v != hidden
	}
	return penumbra.Null(), false
}
