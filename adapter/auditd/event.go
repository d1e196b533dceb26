package auditd

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

const (
	// MaxLine is the length of a line, in bytes, above which it is a bad one.
	// The kernel's own limit is 8,970 bytes, before the daemon enriches it.
	MaxLine = 64 << 10
	// Wait is how long after an event's time more of its lines are waited for.
	// It is the time that the daemon's own library waits.
	Wait = 2 * time.Second

	maxOpen  = 64  // events
	maxLines = 256 // of an event
	maxEnded = 128 // that are remembered
	maxPaths = 8192
	maxText  = 4096
)

// A Parser joins the lines of one log. It is for one goroutine at a time.
type Parser struct {
	key   penumbra.Key
	input string
	name  func(uid string) string

	open   []*event // the oldest first
	ended  []string // ids of the events that ended last, a ring
	oldest int      // of the ring
	// paths are where the files last were that events named, by host, device
	// and inode: a call on an open file names none.
	paths    map[string]string
	redacted map[string]string
}

// New returns a parser. Input becomes the Input of the records; name returns
// the name of a user by its number, "" if it has none, and may be nil: an
// enriched log has the names itself.
func New(key penumbra.Key, input string, name func(uid string) string) *Parser {
	if name == nil {
		name = func(string) string { return "" }
	}
	return &Parser{key: key, input: input, name: name, ended: make([]string, maxEnded), paths: map[string]string{}, redacted: map[string]string{}}
}

// event is what its lines say.
type event struct {
	node, id string
	time     time.Time
	lines    int
	cut      bool // it has more than maxLines

	call     *syscallLine
	cwd      string
	paths    []pathLine
	title    string
	argv     []string
	message  *messageLine // of the first line of a type that is not auxiliary
	complete bool
}

type syscallLine struct {
	arch, number, enriched string
	success, exit          string
	args                   [4]string
	who                    identity
}

// identity is who acts, of a SYSCALL line or of a message of a program.
type identity struct {
	auid, auidName     string
	uid, uidName       string
	pid, ppid, session string
	tty, comm, exe     string
	keys               string
}

type pathLine struct {
	name, inode, dev, kind string
}

// messageLine is a line that is an event by itself, or names what a SYSCALL
// line is about: LOGIN, CONFIG_CHANGE, USER_CMD.
type messageLine struct {
	typ    string
	who    identity
	result string
	cwd    string
	cmd    string
	unit   string
	acct   string
	op     string
	text   string // all of it but the identity
}

// Parse reads a line and returns the records of the events that end with it:
// none, mostly. The error is a [*penumbra.Error] of kind Invalid with the
// reason, which quotes nothing of the line.
func (p *Parser) Parse(line []byte) ([]penumbra.Record, error) {
	line = bytes.TrimRight(line, " \r\n")
	if len(line) == 0 {
		return nil, nil
	}
	if len(line) > MaxLine {
		return nil, p.bad(fmt.Errorf("longer than %d KiB", MaxLine>>10))
	}
	h, err := parseHeader(line)
	if err != nil {
		return nil, p.bad(err)
	}
	records := p.expire(h.time, h.node, false)
	e := p.find(&h)
	if e == nil {
		switch {
		case string(h.typ) == "EOE": // of an event that PROCTITLE ended
			return records, nil
		case slices.Contains(p.ended, h.node+h.id):
			return records, p.bad(fmt.Errorf("a %s line of an event that ended before", printable(string(h.typ))))
		}
		if len(p.open) >= maxOpen {
			records = append(records, p.end(0))
		}
		e = &event{node: h.node, id: h.id, time: h.time}
		p.open = append(p.open, e)
	}
	if e.lines++; e.lines > maxLines {
		e.cut = true
	} else {
		e.add(&h)
	}
	if e.complete {
		records = append(records, p.end(slices.Index(p.open, e)))
	}
	return records, nil
}

func (p *Parser) bad(err error) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: "read audit line of " + p.input, Err: err}
}

// Flush returns the records of the events that are older than [Wait] at now, or
// of all that are open if now is zero: at the end of a log. Call it when no line
// comes.
func (p *Parser) Flush(now time.Time) []penumbra.Record {
	if !now.IsZero() {
		return p.expire(now, "", true)
	}
	var records []penumbra.Record
	for len(p.open) > 0 {
		records = append(records, p.end(0))
	}
	return records
}

// expire ends the events that are older than Wait, of one host, whose clock it
// is, or of all. One that is as far ahead has a wrong clock: it would wait for
// ever.
func (p *Parser) expire(now time.Time, node string, all bool) []penumbra.Record {
	var records []penumbra.Record
	for i := 0; i < len(p.open); {
		e := p.open[i]
		if age := now.Sub(e.time); (all || e.node == node) && (age > Wait || age < -Wait) {
			records = append(records, p.end(i))
			continue
		}
		i++
	}
	return records
}

func (p *Parser) find(h *header) *event {
	for i := len(p.open) - 1; i >= 0; i-- {
		if e := p.open[i]; e.id == h.id && e.node == h.node {
			return e
		}
	}
	return nil
}

// end closes an open event.
func (p *Parser) end(i int) penumbra.Record {
	e := p.open[i]
	p.open = slices.Delete(p.open, i, i+1)
	p.ended[p.oldest] = e.node + e.id
	p.oldest = (p.oldest + 1) % maxEnded
	return p.record(e)
}

// add reads a line into its event.
func (e *event) add(h *header) {
	switch string(h.typ) {
	case "SYSCALL":
		e.call = readCall(h.rest)
	case "CWD":
		if f, _, ok := next(h.rest); ok && string(f.name) == "cwd" {
			e.cwd = limit(f.text())
		}
	case "PATH":
		e.paths = append(e.paths, readPath(h.rest))
	case "PROCTITLE":
		if f, _, ok := next(h.rest); ok && string(f.name) == "proctitle" {
			e.title = limit(strings.ReplaceAll(strings.TrimRight(f.text(), "\x00"), "\x00", " "))
		}
		e.complete = true // it is the kernel's last but EOE
	case "EXECVE":
		e.argv = readArguments(h.rest)
	case "EOE":
		e.complete = true
	case "SOCKADDR", "IPC", "IPC_SET_PERM", "BPRM_FCAPS", "CAPSET", "MMAP", "FD_PAIR", "OBJ_PID", "MQ_OPEN", "MQ_SENDRECV", "MQ_NOTIFY", "MQ_GETSETATTR",
		"SOCKETCALL", "URINGOP", "OPENAT2", "TIME_ADJNTPVAL", "TIME_INJOFFSET":
		// auxiliary, and of no use here
	default:
		if e.message == nil {
			e.message = readMessage(h)
		}
		// A program's message is one line, as is the daemon's own.
		e.complete = bytes.Contains(h.rest, []byte(" msg='")) || bytes.HasPrefix(h.typ, []byte("DAEMON_"))
	}
}

func readCall(rest []byte) *syscallLine {
	s := &syscallLine{}
	for {
		f, after, ok := next(rest)
		if !ok {
			return s
		}
		rest = after
		switch string(f.name) {
		case "arch":
			s.arch = string(f.value)
		case "syscall":
			s.number = printable(string(f.value))
		case "SYSCALL":
			s.enriched = printable(string(f.value))
		case "success":
			s.success = string(f.value)
		case "exit":
			s.exit = printable(string(f.value))
		case "a0", "a1", "a2", "a3":
			s.args[f.name[1]-'0'] = string(f.value)
		default:
			s.who.read(f)
		}
	}
}

// read takes a field that says who acts.
func (w *identity) read(f field) bool {
	switch string(f.name) {
	case "auid":
		w.auid = printable(string(f.value))
	case "AUID":
		w.auidName = limit(f.text())
	case "uid":
		w.uid = printable(string(f.value))
	case "UID":
		w.uidName = limit(f.text())
	case "pid":
		w.pid = printable(string(f.value))
	case "ppid":
		w.ppid = printable(string(f.value))
	case "ses":
		w.session = printable(string(f.value))
	case "tty", "terminal":
		if t := string(f.value); t != "(none)" && t != "?" && t != "(null)" {
			w.tty = limit(t)
		}
	case "comm":
		w.comm = limit(f.text())
	case "exe":
		w.exe = limit(f.text())
	case "key":
		// Several keys are one value, divided by the byte 1.
		w.keys = limit(strings.ReplaceAll(f.text(), "\x01", ","))
	default:
		return false
	}
	return true
}

func readPath(rest []byte) pathLine {
	var p pathLine
	for {
		f, after, ok := next(rest)
		if !ok {
			return p
		}
		rest = after
		switch string(f.name) {
		case "name":
			p.name = limit(f.text())
		case "inode":
			p.inode = printable(string(f.value))
		case "dev":
			p.dev = printable(string(f.value))
		case "nametype":
			p.kind = string(f.value)
			return p
		}
	}
}

// readArguments reads a0="…" and on. Those that are so long that the kernel
// splits them (a0[0]=…) are left out.
func readArguments(rest []byte) []string {
	var argv []string
	size := 0
	for {
		f, after, ok := next(rest)
		if !ok || size > maxText {
			return argv
		}
		rest = after
		if len(f.name) < 2 || f.name[0] != 'a' || len(bytes.Trim(f.name[1:], "0123456789")) > 0 {
			continue
		}
		argument := f.text()
		size += len(argument) + 1
		argv = append(argv, argument)
	}
}

func readMessage(h *header) *messageLine {
	m := &messageLine{typ: printable(string(h.typ))}
	rest := h.rest
	var text strings.Builder
	for {
		f, after, ok := next(rest)
		if !ok {
			m.text = limit(text.String())
			return m
		}
		rest = after
		if m.who.read(f) {
			continue
		}
		switch string(f.name) {
		case "res", "result":
			m.result = printable(string(f.value))
			continue
		case "cwd":
			m.cwd = limit(f.text())
		case "cmd":
			m.cmd = limit(f.text())
			continue
		case "unit":
			m.unit = limit(f.text())
			if !f.quoted {
				m.unit = limit(string(f.value))
			}
		case "acct":
			m.acct = limit(f.text())
		case "op":
			m.op = limit(string(f.value))
		}
		// Names in capitals are the daemon's, of numbers that stand there too.
		if text.Len() < maxText && string(f.value) != "?" && len(f.name) > 0 && f.name[0] > 'Z' {
			if text.Len() > 0 {
				text.WriteByte(' ')
			}
			text.Write(f.name)
			text.WriteByte('=')
			text.Write(f.value)
		}
	}
}

// limit cuts a text and makes it valid UTF-8.
func limit(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// printable cuts a value that should be a word or a number.
func printable(text string) string {
	if len(text) > 64 {
		text = text[:64]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
