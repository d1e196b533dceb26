package auditd

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// unset is the login number of what no login started.
const unset = "4294967295"

// bookkeeping are types of messages about sessions, which change nothing that
// is configured.
var bookkeeping = map[string]bool{
	"LOGIN": true, "USER_ACCT": true, "USER_AUTH": true, "USER_START": true, "USER_END": true, "USER_LOGIN": true, "USER_LOGOUT": true,
	"USER_ERR": true, "CRED_ACQ": true, "CRED_DISP": true, "CRED_REFR": true, "CRYPTO_KEY_USER": true, "CRYPTO_SESSION": true, "USER": true,
	"DAEMON_START": true, "DAEMON_END": true, "DAEMON_ROTATE": true, "DAEMON_ACCEPT": true, "DAEMON_CLOSE": true,
}

// record turns an event into a record.
func (p *Parser) record(e *event) penumbra.Record {
	r := penumbra.Record{Time: e.time, Format: "auditd", Input: p.input, ID: strings.TrimPrefix(e.node+" "+e.id, " "), Attributes: map[string]string{}}
	who := identity{}
	switch {
	case e.message != nil:
		who = e.message.who
		p.message(e, &r)
	case e.call != nil:
		who = e.call.who
		p.systemCall(e, &r)
	default:
		// The log was begun inside it, or lines were lost.
		r.Action = "incomplete"
		r.Targets = p.targets(e, call{})
		r.Message = p.redact(e.title)
	}
	if e.message != nil && e.call != nil && who.exe == "" {
		call := e.call.who
		call.auid, call.auidName = first(who.auid, call.auid), first(who.auidName, call.auidName)
		who = call
	}
	p.actor(&r, &who)
	p.attributes(e, &r, &who)
	return r
}

// actor finds who signed in. A number of a login is kept by what that login
// starts, whatever user it becomes; without one it is the system's doing.
func (p *Parser) actor(r *penumbra.Record, who *identity) {
	r.Via = who.exe
	if r.Via == "" {
		r.Via = who.comm
	}
	if who.tty != "" {
		r.Via = strings.TrimSpace(r.Via + " on " + who.tty)
	}
	set := func(kind penumbra.ActorKind, reason string) {
		r.ActorKind = kind
		r.Attributes["actor_reason"] = reason
	}
	if who.auid == "" {
		set(penumbra.UnknownActor, "the event has no login")
		return
	}
	if who.auid == unset || who.auid == "-1" || who.auid == "unset" {
		r.Actor = first(path.Base(who.exe), who.comm)
		if who.exe == "" {
			r.Actor = first(who.comm, "kernel")
		}
		set(penumbra.System, "no login started it")
		return
	}
	r.Actor = who.auidName
	if r.Actor == "" || r.Actor == "unknown("+who.auid+")" {
		r.Actor = first(limit(p.name(who.auid)), "uid "+who.auid)
	}
	switch n, err := strconv.ParseUint(who.auid, 10, 32); {
	case err != nil: // an interpreted log has the name in its place
		r.Actor = who.auid
		set(penumbra.User, "the login")
	case n == 0:
		set(penumbra.User, "a login of root, which people share")
	case n < 1000 || n == 65534:
		// The bound is that of useradd's configuration, login.defs.
		set(penumbra.Automation, "the login of a system's account")
	default:
		set(penumbra.User, "the login")
	}
}

func (p *Parser) attributes(e *event, r *penumbra.Record, who *identity) {
	add := func(name, value string) {
		if value != "" {
			r.Attributes[name] = value
		}
	}
	add("node", limit(e.node))
	add("key", who.keys)
	add("comm", who.comm)
	add("exe", who.exe)
	add("pid", who.pid)
	add("session", strings.TrimSuffix(who.session, unset))
	if who.uid != who.auid && who.uid != "" {
		add("user", first(who.uidName, limit(p.name(who.uid)), "uid "+who.uid))
	}
	if e.call != nil {
		add("syscall", e.call.name())
	}
	if e.cut {
		add("cut", "it has more lines than are kept")
	}
}

// systemCall reads an event of the kernel's about one system call.
func (p *Parser) systemCall(e *event, r *penumbra.Record) {
	name := e.call.name()
	c := calls[name]
	r.Action, r.Failed = first(c.verb, name), e.call.failed()
	switch {
	case c.verb == "open":
		write, known := e.call.opens(name)
		switch {
		case slices.ContainsFunc(e.paths, func(x pathLine) bool { return x.kind == "CREATE" }):
			r.Action, c.content = "create", true
		case write && known:
			r.Action, c.content = "write", true
		case known:
			r.Action, r.ReadOnly = "read", true
		}
	case name == "unlinkat" && strings.TrimLeft(e.call.args[2], "0") == "200": // AT_REMOVEDIR
		r.Action = "rmdir"
	case c.verb == "execute":
		r.ReadOnly = true // what the program then does are calls of their own
	}
	r.Targets = p.targets(e, c)
	r.Settings = p.settings(e, c)
	r.Message = p.redact(first(strings.Join(e.argv, " "), e.title))
}

// settings are what a call gives a file: the content of which the log has no
// more than that it changed, the mode, the owner.
func (p *Parser) settings(e *event, c call) penumbra.Settings {
	var out []penumbra.Setting
	if c.content {
		out = append(out, penumbra.Setting{Path: "content", Value: penumbra.Unknown()})
	}
	if n, ok := e.call.hexArgument(c.mode); ok {
		out = append(out, penumbra.Setting{Path: "mode", Value: penumbra.String("0" + strconv.FormatUint(n&0o7777, 8))})
	}
	for path, argument := range map[string]int{"owner": c.owner, "group": c.group} {
		n, ok := e.call.hexArgument(argument)
		if !ok || uint32(n) == ^uint32(0) { // -1 leaves it as it is
			continue
		}
		value := penumbra.Number(float64(uint32(n)))
		if name := p.name(strconv.FormatUint(uint64(uint32(n)), 10)); path == "owner" && name != "" {
			value = penumbra.String(limit(name))
		}
		out = append(out, penumbra.Setting{Path: path, Value: value})
	}
	s := penumbra.NewSettings(out...)
	p.key.SealSettings(s)
	return s
}

// hexArgument reads an argument, which is in hexadecimal. The first is never a
// value, so that 0 stands for none.
func (s *syscallLine) hexArgument(argument int) (uint64, bool) {
	if argument == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(s.args[argument], 16, 64)
	return n, err == nil
}

// targets returns the paths of the files that a call acts on, the one that is
// there afterwards first, and remembers where the files are.
func (p *Parser) targets(e *event, c call) []string {
	var now, gone []string
	fromFolder := e.fromFolder(c)
	for _, x := range e.paths {
		if x.kind == "PARENT" {
			// From an open folder its name is that of the working directory.
			if !fromFolder {
				p.remember(e.file(x), absolute(e.cwd, x.name))
			}
			continue
		}
		full := p.where(e, x, fromFolder)
		switch {
		case full == "":
		case x.kind == "DELETE":
			delete(p.paths, e.file(x))
			gone = append(gone, full)
		default:
			p.remember(e.file(x), full)
			if x.kind != "UNKNOWN" || len(e.paths) == 1 {
				now = append(now, full)
			}
		}
	}
	if c.verb == "link" || c.verb == "symlink" {
		slices.Reverse(now) // the new name comes last
	}
	var out []string
	for _, full := range append(now, gone...) {
		if !slices.Contains(out, full) {
			out = append(out, full)
		}
	}
	return out
}

// where returns the path of a file, relative if that is all that is known, ""
// if nothing is.
func (p *Parser) where(e *event, x pathLine, fromFolder bool) string {
	switch {
	case x.name == "": // a call on an open file
		return p.paths[e.file(x)]
	case fromFolder && !path.IsAbs(x.name):
		// Where the open folder is only its inode tells.
		return first(e.inside(x.name, p.paths), p.paths[e.file(x)], x.name)
	}
	return absolute(e.cwd, x.name)
}

// fromFolder reports that relative names start from an open folder, which may
// not be the working directory.
func (e *event) fromFolder(c call) bool {
	return slices.ContainsFunc(c.at, func(argument int) bool {
		return e.call != nil && !strings.HasSuffix(e.call.args[argument], "ffffff9c") // AT_FDCWD
	})
}

// inside returns the path of a name in the event's folder, if the folder's
// inode was seen before.
func (e *event) inside(name string, paths map[string]string) string {
	for _, x := range e.paths {
		if folder := paths[e.file(x)]; x.kind == "PARENT" && folder != "" {
			return path.Join(folder, path.Base(name))
		}
	}
	return ""
}

// file names a file by its inode, "" if the line does not have it.
func (e *event) file(x pathLine) string {
	if x.inode == "" {
		return ""
	}
	return e.node + " " + x.dev + " " + x.inode
}

func (p *Parser) remember(file, full string) {
	if file == "" || !path.IsAbs(full) {
		return
	}
	if len(p.paths) >= maxPaths {
		clear(p.paths)
	}
	p.paths[file] = full
}

// absolute joins a name to the folder it is relative to.
func absolute(folder, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(folder, name)
}

// message reads an event of a program's, or of the kernel about itself.
func (p *Parser) message(e *event, r *penumbra.Record) {
	m := e.message
	r.Action, r.ReadOnly = m.typ, bookkeeping[m.typ]
	switch m.result {
	case "", "1", "success", "yes":
	default:
		r.Failed = first(map[string]string{"0": "failed"}[m.result], m.result)
	}
	r.Message = p.redact(m.text)
	if m.cmd != "" {
		r.Message = p.redact(m.cmd)
		r.Targets = commandTargets(m.cwd, r.Message) // not of the secrets in it
	}
	if m.unit != "" {
		r.Targets = append(r.Targets, m.unit)
		if !strings.Contains(m.unit, ".") {
			r.Targets = append(r.Targets, m.unit+".service")
		}
	}
	if m.acct != "" && len(r.Targets) == 0 && !r.ReadOnly {
		r.Targets = append(r.Targets, m.acct)
	}
	if r.Message == "" {
		r.Message = p.redact(e.title)
	}
}

// commandTargets returns what a command names: paths, and the units that
// systemctl and service act on.
func commandTargets(cwd, command string) []string {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil
	}
	var out []string
	units := 0
	switch path.Base(words[0]) {
	case "systemctl":
		units = 2
	case "service", "rc-service":
		units = 1
	}
	for i, word := range words[1:] {
		_, value, ok := strings.Cut(word, "=")
		if ok && strings.HasPrefix(word, "-") {
			word = value
		}
		switch {
		case word == "" || strings.HasPrefix(word, "-") || len(out) >= 16:
		case strings.Contains(word, "/") && !strings.Contains(word, "://"):
			out = append(out, absolute(cwd, word))
		case units > 0 && i+1 == units:
			out = append(out, word)
			if !strings.Contains(word, ".") {
				out = append(out, word+".service")
			}
		}
	}
	return out
}

const maxCached = 4096

// redact redacts a text. Command lines repeat.
func (p *Parser) redact(text string) string {
	if text == "" {
		return ""
	}
	text = limit(text)
	if known, ok := p.redacted[text]; ok {
		return known
	}
	if len(p.redacted) >= maxCached {
		clear(p.redacted)
	}
	out := penumbra.Redact(text)
	p.redacted[text] = out
	return out
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" && t != "." {
			return t
		}
	}
	return ""
}
