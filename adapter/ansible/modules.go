package ansible

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

var fileModules = map[string]bool{
	"copy": true, "template": true, "file": true, "lineinfile": true, "blockinfile": true, "ini_file": true,
	"get_url": true, "assemble": true, "replace": true,
}

var packageModules = map[string]bool{"apt": true, "package": true, "dnf": true, "yum": true}

var serviceModules = map[string]bool{"service": true, "systemd": true, "systemd_service": true}

func filePath(args map[string]any) string {
	for _, name := range [...]string{"dest", "path", "destfile", "name"} {
		if s := text(args[name]); s != "" {
			return strings.TrimSuffix(s, "/")
		}
	}
	return ""
}

// fileStat is what the second look says of a file.
type fileStat struct {
	Exists   bool   `json:"exists"`
	Mode     string `json:"mode"`
	Owner    string `json:"pw_name"`
	Group    string `json:"gr_name"`
	UID      int    `json:"uid"`
	GID      int    `json:"gid"`
	IsDir    bool   `json:"isdir"`
	IsLink   bool   `json:"islnk"`
	Target   string `json:"lnk_target"`
	Checksum string `json:"checksum"`
}

// file takes in a task on a file. What a diff of its content hides is left for
// the second look.
func (b *book) file(host, module string, r *result, delegated bool) {
	args := r.Invocation.Args
	path := filePath(args)
	if path == "" {
		return
	}
	if dest := text(args["dest"]); strings.HasSuffix(dest, "/") && text(args["src"]) != "" && !strings.HasSuffix(text(args["src"]), "/") && module != "file" {
		path += "/" + text(args["src"])[strings.LastIndexByte(text(args["src"]), '/')+1:]
	}
	if r.Dest != "" && module != "file" {
		path = r.Dest
	}
	it := b.item(host, "file["+path+"]", "ansible_file")
	if !delegated {
		it.path = path
	}
	if it.args == nil {
		it.args = map[string]string{}
	}
	before, after := r.attributes()
	for _, name := range [...]string{"mode", "owner", "group"} {
		want := text(args[name])
		if name == "mode" {
			want = octal(want)
		}
		if want == "" {
			want = text(after[name]) // a symbolic mode, resolved
		}
		if want == "" {
			continue
		}
		it.args[name] = want
		if got := text(before[name]); got != "" {
			it.set(name, penumbra.String(want), penumbra.String(got))
		} else if !r.Changed {
			it.agree(name, penumbra.String(want))
		} else if _, known := it.pairs[name]; !known {
			it.declare(name, penumbra.String(want))
		}
	}
	b.fileState(it, module, r, before)
	switch module {
	case "lineinfile", "replace", "blockinfile", "ini_file":
		b.edit(it, module, r)
	case "copy", "template", "get_url", "assemble":
		b.content(it, r)
	}
}

func (b *book) fileState(it *item, module string, r *result, before map[string]any) {
	want := "file"
	if module == "file" {
		switch want = text(r.Invocation.Args["state"]); want {
		case "", "touch":
			want = "file"
		}
	} else if module == "lineinfile" || module == "ini_file" || module == "blockinfile" || module == "replace" {
		return // state is of the line there
	}
	switch got := text(before["state"]); {
	case got != "":
		it.set("state", penumbra.String(want), penumbra.String(got))
	case !r.Changed:
		it.agree("state", penumbra.String(want))
	default:
		it.declare("state", penumbra.String(want))
	}
}

// content takes in a task that declares the whole content of a file.
func (b *book) content(it *item, r *result) {
	before, after, ok := r.content()
	attributes, _ := r.attributes()
	switch {
	case ok && before == "" && !r.hadFile():
		it.set("content", b.digestOf(after), penumbra.Null())
		it.set("state", penumbra.String("file"), penumbra.String("absent"))
	case ok:
		it.set("content", b.digestOf(after), b.digestOf(before))
	case r.Changed && len(attributes) == 0:
		it.differs() // binary, or too large for Ansible to show
	case it.pairs["content"].seen || it.pairs["changed"].seen: // another task's word stands
	default:
		it.sameContent, it.found = true, r.Checksum
	}
}

// verify holds a file against what the task found: one that was edited between
// the two looks would have its new content taken for what the code declares.
func (b *book) verify(it *item, s *fileStat) {
	if s.Exists && !s.IsDir && s.Checksum != "" && s.Checksum != it.found {
		it.notChecked = "the file changed while it was looked at"
	}
}

// edit takes in a task that declares a part of a file. In check mode each of
// several such tasks sees the file as it is, so none knows the content that all
// of them together declare.
func (b *book) edit(it *item, module string, r *result) {
	args := r.Invocation.Args
	before, _, hasContent := r.content()
	changedContent := r.Changed && (!hasContent || len(r.changes()) > 0)
	if module == "ini_file" {
		section, option := text(args["section"]), text(args["option"])
		want, ok := args["value"].(string)
		if option != "" && ok && want != hidden {
			path := "ini." + section + "." + option
			switch {
			case !r.Changed:
				it.agree(path, penumbra.String(want))
			case hasContent:
				it.set(path, penumbra.String(want), iniValue(before, section, option))
			default:
				it.declare(path, penumbra.String(want))
				it.differs()
			}
			return
		}
	}
	// The line may hold a secret and a path is not sealed: a keyed digest.
	var id strings.Builder
	for _, name := range [...]string{"regexp", "line", "marker", "block", "section", "option", "state", "replace"} {
		id.WriteString(strconv.Quote(text(args[name])))
	}
	it.set(module+"."+b.key.Short(penumbra.String(id.String())), penumbra.Bool(true), penumbra.Bool(!changedContent))
}

// iniValue returns an option's value, null if it is not there.
func iniValue(content, section, option string) penumbra.Value {
	current := ""
	found := penumbra.Null()
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			current = strings.TrimSpace(line[1 : len(line)-1])
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && current == section && strings.TrimSpace(key) == option {
			found = penumbra.String(strings.TrimSpace(value))
		}
	}
	return found
}

// look takes in the second look at a file: only the settings that are declared.
func (b *book) look(it *item, s *fileStat) {
	set := func(path string, got penumbra.Value) {
		if p, ok := it.pairs[path]; ok {
			p.got, p.seen = got, true
			it.pairs[path] = p
		}
	}
	if !s.Exists {
		set("state", penumbra.String("absent"))
		for _, path := range [...]string{"content", "mode", "owner", "group"} {
			set(path, penumbra.Null())
		}
		return
	}
	if _, whole := it.pairs["content"]; s.IsDir && (whole || it.sameContent || it.pairs["state"].want.Text() == "file") {
		// A folder is copied as a whole: what Ansible says is of the files in it.
		same := it.sameContent && !it.pairs["changed"].seen
		it.pairs = map[string]pair{}
		it.set("changed", penumbra.Bool(false), penumbra.Bool(!same))
		return
	}
	state := "file"
	if s.IsDir {
		state = "directory"
	} else if s.IsLink {
		state = "link"
	}
	if p := it.pairs["state"]; p.want.Text() == "hard" && state == "file" {
		state = "hard"
	}
	set("state", penumbra.String(state))
	set("mode", penumbra.String(s.Mode))
	set("owner", penumbra.String(account(it.args["owner"], s.Owner, s.UID)))
	set("group", penumbra.String(account(it.args["group"], s.Group, s.GID)))
	if s.Checksum != "" {
		if _, ok := it.pairs["content"]; !ok && it.sameContent && !it.pairs["changed"].seen {
			it.declare("content", b.digest(s.Checksum))
		}
		set("content", b.digest(s.Checksum))
	}
}

// account returns the number where the task declares one, otherwise the name.
func account(declared, name string, id int) string {
	if _, err := strconv.Atoi(declared); err == nil || name == "" {
		return strconv.Itoa(id)
	}
	return name
}

// octal returns a mode with four digits, "" for a symbolic one.
func octal(mode string) string {
	n, err := strconv.ParseUint(strings.TrimPrefix(mode, "0o"), 8, 16)
	if err != nil {
		return ""
	}
	s := strconv.FormatUint(n, 8)
	return strings.Repeat("0", max(0, 4-len(s))) + s
}

// simulated matches apt's lines of what it would do: the package, and the
// version that is there.
var simulated = regexp.MustCompile(`(?m)^(Inst|Remv) (\S+)(?: \[([^\]]+)\])?`)

func (b *book) packages(host string, r *result) {
	args := r.Invocation.Args
	names := texts(args["name"])
	state := text(args["state"])
	if state == "installed" || state == "" {
		state = "present"
	}
	moves := map[string][]string{}
	for _, m := range simulated.FindAllStringSubmatch(text(r.Stdout), -1) {
		moves[m[2]] = m
	}
	for _, full := range names {
		name, version, pinned := strings.Cut(full, "=")
		it := b.item(host, "package["+name+"]", "ansible_package")
		move := moves[name]
		switch {
		case !r.Changed || move == nil && len(moves) > 0:
			it.agree("state", penumbra.String(state))
			if pinned {
				it.agree("version", penumbra.String(version))
			}
			continue
		case move == nil && len(names) > 1:
			it.notChecked = "one task has several packages, and its result does not say which of them differ"
			continue
		}
		was := "absent"
		switch {
		case state == "absent":
			was = "present"
		case move != nil && move[3] != "" && state == "latest":
			was = "outdated"
		case move != nil && move[3] != "":
			was = state
		}
		it.set("state", penumbra.String(state), penumbra.String(was))
		if pinned {
			got := penumbra.Null()
			if move != nil && move[3] != "" {
				got = penumbra.String(move[3])
			}
			it.set("version", penumbra.String(version), got)
		}
	}
}

func (b *book) service(host string, r *result) {
	args := r.Invocation.Args
	name := text(args["name"])
	if name == "" {
		return
	}
	it := b.item(host, "service["+name+"]", "ansible_service")
	it.service = name
	state := text(args["state"])
	if state != "started" && state != "stopped" {
		state = "" // restarted and reloaded are acts, not states
	}
	enabled, hasEnabled := args["enabled"].(bool)
	if state != "" {
		want := penumbra.String(state)
		active := text(r.Status["ActiveState"])
		switch {
		case !r.Changed:
			it.agree("state", want)
		case active == "active" || active == "activating" || active == "reloading":
			it.set("state", want, penumbra.String("started"))
		case active != "" || state == "started" && !hasEnabled:
			it.set("state", want, penumbra.String("stopped"))
		case !hasEnabled:
			it.set("state", want, penumbra.String("started"))
		default:
			it.declare("state", want)
			it.differs()
		}
	}
	if hasEnabled {
		want := penumbra.Bool(enabled)
		unit := text(r.Status["UnitFileState"])
		switch {
		case !r.Changed:
			it.agree("enabled", want)
		case unit != "":
			it.set("enabled", want, penumbra.Bool(strings.HasPrefix(unit, "enabled")))
		case state == "":
			it.set("enabled", want, penumbra.Bool(!enabled))
		default:
			it.declare("enabled", want)
			it.differs()
		}
	}
}

func (b *book) account(host, module string, r *result) {
	args := r.Invocation.Args
	name := text(args["name"])
	if name == "" {
		return
	}
	it := b.item(host, module+"["+name+"]", "ansible_"+module)
	for _, key := range [...]string{"shell", "uid", "gid", "home", "group", "comment", "state"} {
		want, ok := scalar(args[key])
		switch {
		case !ok || want.IsNull():
		case r.Changed:
			it.declare(key, want)
		default:
			it.agree(key, want)
		}
	}
	if r.Changed {
		it.differs()
	} else {
		it.same()
	}
}

// postgres takes in one parameter of a server. Where nothing would change, what
// the server says stands for what is declared, in its own spelling.
func (b *book) postgres(host string, r *result) {
	name := text(r.Invocation.Args["name"])
	if name == "" {
		return
	}
	local := "postgresql"
	got, ok := scalar(r.PrevValue)
	if !ok || got.IsNull() {
		b.item(host, "postgresql_set["+name+"]", "ansible_postgresql_set").notChecked = "the result does not have the value that is set"
		return
	}
	it := b.item(host, local, "postgresql")
	got = penumbra.String(got.Text())
	if !r.Changed {
		it.agree(name, got)
		return
	}
	want := text(r.Pretty)
	if want == "" {
		want = text(r.Invocation.Args["value"])
	}
	it.set(name, penumbra.String(showSpelling(want, got.Text())), got)
	if r.Restart {
		it.restart = append(it.restart, name)
	}
}

var quantity = regexp.MustCompile(`^(\d+)\s*(B|kB|MB|GB|TB|us|ms|s|min|h|d)$`)

// steps are PostgreSQL's units, each with the factor to the next; see its
// manual, "Parameter Names and Values", 20.1.1.
var steps = map[string]struct {
	next   string
	factor uint64
}{
	"B": {"kB", 1024}, "kB": {"MB", 1024}, "MB": {"GB", 1024}, "GB": {"TB", 1024},
	"us": {"ms", 1000}, "ms": {"s", 1000}, "s": {"min", 60}, "min": {"h", 60}, "h": {"d", 24},
}

// showSpelling writes a declared value the way SHOW does: in the largest unit
// that keeps it whole, switches as on and off where the actual value is one.
func showSpelling(want, actual string) string {
	if actual == "on" || actual == "off" {
		switch strings.ToLower(want) {
		case "true", "yes", "1", "on":
			return "on"
		case "false", "no", "0", "off":
			return "off"
		}
	}
	m := quantity.FindStringSubmatch(want)
	if m == nil {
		return want
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil || n == 0 {
		return want
	}
	unit := m[2]
	for step, ok := steps[unit]; ok && n%step.factor == 0; step, ok = steps[unit] {
		n, unit = n/step.factor, step.next
	}
	return strconv.FormatUint(n, 10) + unit
}
