package postgres

import (
	"cmp"
	"errors"

	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Format is the format of the records.
const Format = "postgresql"

// ParserConfig says whose log is read.
type ParserConfig struct {
	Input string // the records' input
	// Server is the identifier of the server that each record has as its last
	// target, such as "db1/postgresql"; none if it is empty. A jsonlog does not
	// say which server wrote it.
	Server string
	Key    penumbra.Key // seals what is sensitive
	// Location is the server's log_timezone where that is neither UTC nor an
	// offset; UTC if nil.
	Location *time.Location
}

// Bounds of what a parser remembers.
const (
	// hold is how long a statement waits for its outcome, which follows within
	// a millisecond.
	hold = 200 * time.Millisecond
	// joinWindow is how long after an ALTER SYSTEM the postmaster's word of the
	// new value is put down to it.
	joinWindow = 10 * time.Minute
	// reloadWindow is the same after a call of pg_reload_conf().
	reloadWindow = 10 * time.Second

	maxHeld    = 1024 // statements that wait, one a session
	maxChanges = 1024 // settings that ALTER SYSTEM changed
	maxMessage = 2 << 10
	maxSQL     = 16 << 10 // of a statement, what is looked at
)

// Parser turns the lines of one server's jsonlog into records: who set what,
// and with which outcome. It is stateful, since the server tells a change in
// several lines, and its memory is bounded. It is not for several goroutines at
// a time.
//
// A statement that changes something waits for the next line of its session,
// which tells its outcome, or for [Parser.Flush]; everything else becomes a
// record at once.
type Parser struct {
	config  ParserConfig
	held    map[string]*heldStatement // by session
	changes map[string]change         // by setting in small letters; "*" for ALTER SYSTEM RESET ALL
	pending map[string]string         // settings said to wait for a restart, and the value
	reload  change                    // the last call of pg_reload_conf()
	order   uint64
}

// heldStatement is a statement whose outcome is not known yet.
type heldStatement struct {
	line       *logLine
	sql        string
	statements []statement
	order      uint64
	since      time.Time // of the first flush that saw it
	audited    bool
}

// change is who set a setting last.
type change struct {
	record penumbra.Record
	value  penumbra.Value // unknown if it was taken back
	name   string
	reset  bool
}

// NewParser returns a parser of one server's log. The error is Invalid.
func NewParser(config ParserConfig) (*Parser, error) {
	if len(config.Key) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "PostgreSQL log " + config.Input + ": no key to seal secrets with"}
	}
	if config.Location == nil {
		config.Location = time.UTC
	}
	return &Parser{
		config: config, held: make(map[string]*heldStatement), changes: make(map[string]change), pending: make(map[string]string),
	}, nil
}

// Parse takes one line and returns the records that are complete by it, in the
// order of the log; often one, and none for a line that waits or that belongs to
// another's record. An empty line is nothing. The error is Invalid and says what
// is wrong with the line; the parser goes on with the next.
func (p *Parser) Parse(line []byte) ([]penumbra.Record, error) {
	if len(line) == 0 || len(line) == 1 && (line[0] == '\n' || line[0] == '\r') || string(line) == "\r\n" {
		return nil, nil
	}
	l, err := p.decode(line)
	if err != nil {
		return nil, &penumbra.Error{
			Kind: penumbra.Invalid, What: "read a line of PostgreSQL log " + p.config.Input,
			Err: errors.New(cut(penumbra.Redact(err.Error()), 256)), Remedy: "its log_destination has to be jsonlog",
		}
	}
	h := p.held[l.Session]
	if a, ok := parseAudit(l.Message); ok {
		return p.audit(l, h, &a), nil
	}
	failed := l.Severity == "ERROR" || l.Severity == "FATAL" || l.Severity == "PANIC"
	if failed && h != nil && (l.Statement == h.line.sql() || l.Statement == "") {
		delete(p.held, l.Session)
		return p.release(h, l), nil
	}
	var out []penumbra.Record
	if h != nil && !l.remark() {
		delete(p.held, l.Session)
		out = p.release(h, nil)
	}
	if sql := l.sql(); sql != "" && !failed {
		return append(out, p.statement(l, sql)...), nil
	}
	if failed {
		return append(out, p.failure(l)...), nil
	}
	if l.Backend == "postmaster" {
		more, r := p.postmaster(l)
		return append(append(out, more...), r), nil
	}
	return append(out, p.plain(l)), nil
}

// Flush returns what has waited for an outcome long enough by now, and takes it
// to have worked. Call it several times a second while the log is followed, and
// with a late time at its end.
func (p *Parser) Flush(now time.Time) []penumbra.Record {
	var due []*heldStatement
	for session, h := range p.held {
		if h.since.IsZero() {
			h.since = now
		}
		if now.Sub(h.line.time) >= hold || now.Sub(h.since) >= hold {
			due = append(due, h)
			delete(p.held, session)
		}
	}
	return p.releaseAll(due)
}

// Held returns how many statements wait for their outcome: who reads the log on
// from a place where some do would take the outcome for a statement of its own.
func (p *Parser) Held() int { return len(p.held) }

func (p *Parser) releaseAll(due []*heldStatement) []penumbra.Record {
	slices.SortFunc(due, func(a, b *heldStatement) int { return int(int64(a.order) - int64(b.order)) })
	var out []penumbra.Record
	for _, h := range due {
		out = append(out, p.release(h, nil)...)
	}
	return out
}

// sql returns the statement that a line of the server's own logging announces,
// "" if it is none. A duration follows a statement that has been run.
func (l *logLine) sql() string {
	text, found := strings.CutPrefix(l.Message, "statement: ")
	if found {
		return text
	}
	if text, found = strings.CutPrefix(l.Message, "execute "); found {
		_, text, _ = strings.Cut(text, ": ")
		return text
	}
	return ""
}

// remark reports whether a line may come in the middle of a statement.
func (l *logLine) remark() bool {
	return l.Severity == "WARNING" || l.Severity == "NOTICE" || l.Severity == "INFO" || strings.HasPrefix(l.Severity, "DEBUG")
}

// statement takes a line that announces a statement: it waits if it changes
// anything.
func (p *Parser) statement(l *logLine, sql string) []penumbra.Record {
	h := &heldStatement{line: l, sql: sql, statements: parseStatements(cut(sql, maxSQL), l.User), order: p.order}
	p.order++
	if l.Session == "" || !slices.ContainsFunc(h.statements, func(s statement) bool { return s.changes() }) {
		return p.release(h, nil)
	}
	var out []penumbra.Record
	if len(p.held) >= maxHeld {
		due := slices.Collect(maps.Values(p.held))
		clear(p.held)
		out = p.releaseAll(due)
	}
	p.held[l.Session] = h
	return out
}

// audit takes an entry of pgaudit, which is written when a statement has worked.
func (p *Parser) audit(l *logLine, h *heldStatement, a *audit) []penumbra.Record {
	if h != nil && slices.ContainsFunc(h.statements, func(s statement) bool { return s.tag == a.command || s.tag == reload }) {
		h.audited = true
		if len(h.statements) > 1 {
			return nil // the others' outcome is to come
		}
		delete(p.held, l.Session)
		return p.release(h, nil)
	}
	var out []penumbra.Record
	if h != nil && a.statement != h.sql && a.statement != "<previously logged>" {
		delete(p.held, l.Session)
		out = p.release(h, nil)
	}
	readOnly := a.class == "READ" || a.class == "MISC"
	id := p.id(l)
	for i, s := range parseStatements(cut(a.statement, maxSQL), l.User) {
		if s.tag != a.command && s.tag != reload {
			continue
		}
		if i > 0 {
			id = p.id(l) + "." + strconv.Itoa(i)
		}
		r := p.statementRecord(l, a.statement, id, &s)
		r.Attributes["audit"] = a.class
		if a.object != "" {
			r.Targets = append([]string{a.object}, r.Targets...)
		}
		r.ReadOnly = s.readOnly || readOnly && s.tag != reload
		p.remember(&s, &r)
		return append(out, r)
	}
	r := p.record(l)
	r.ID, r.Action, r.ReadOnly = id, a.command, readOnly
	r.Message = cut(redactSQL(cut(a.statement, maxSQL)), maxMessage)
	r.Attributes["audit"] = a.class
	if a.object != "" {
		r.Targets = append([]string{a.object}, r.Targets...)
	}
	return append(out, r)
}

// release makes the records of a statement whose outcome is known or will not
// be; failed is the line with its error, nil if there is none.
func (p *Parser) release(h *heldStatement, failed *logLine) []penumbra.Record {
	out := make([]penumbra.Record, 0, max(1, len(h.statements)))
	for i := range h.statements {
		s := &h.statements[i]
		id := p.id(h.line)
		if i > 0 && id != "" {
			id += "." + strconv.Itoa(i)
		}
		r := p.statementRecord(h.line, h.sql, id, s)
		if h.audited {
			r.Attributes["audit"] = "success"
		}
		if failed != nil {
			p.fail(&r, failed, h.sql)
		} else {
			p.remember(s, &r)
		}
		out = append(out, r)
	}
	if len(out) == 0 { // a comment alone
		r := p.record(h.line)
		r.Action, r.ReadOnly, r.Message = "statement", true, cut(redactSQL(cut(h.sql, maxSQL)), maxMessage)
		out = append(out, r)
	}
	return out
}

// statementRecord makes the record of one statement.
func (p *Parser) statementRecord(l *logLine, sql, id string, s *statement) penumbra.Record {
	r := p.record(l)
	r.ID, r.Action, r.ReadOnly = id, s.tag, s.readOnly
	r.Targets = append(slices.Clone(s.targets), r.Targets...)
	r.Settings = slices.Clone(s.settings)
	p.config.Key.SealSettings(r.Settings)
	r.Message = cut(redactSQL(cut(sql, maxSQL)), maxMessage)
	return r
}

// remember keeps who changed what, for the postmaster's word of it.
func (p *Parser) remember(s *statement, r *penumbra.Record) {
	switch {
	case s.tag == reload:
		p.reload = change{record: *r}
	case s.system != "":
		if len(p.changes) >= maxChanges {
			p.forget(r.Time)
		}
		c := change{record: *r, name: s.system, reset: s.reset, value: penumbra.Unknown()}
		if !s.reset {
			c.value = r.Settings.Get(s.system)
		}
		p.changes[strings.ToLower(s.system)] = c
		delete(p.pending, strings.ToLower(s.system))
	}
}

// forget drops the changes that are too old to matter, and all if none is.
func (p *Parser) forget(now time.Time) {
	maps.DeleteFunc(p.changes, func(_ string, c change) bool { return now.Sub(c.record.Time) > joinWindow })
	if len(p.changes) >= maxChanges {
		clear(p.changes)
	}
}

// fail marks a record as having had no effect, for the reason in l.
func (p *Parser) fail(r *penumbra.Record, l *logLine, sql string) {
	r.Failed = errorText(l, sql)
	if l.State != "" {
		r.Failed = l.State + ": " + r.Failed
		r.Attributes["sqlstate"] = l.State
	}
}

// errorText returns the server's words about an error. It may quote a part of
// the statement, which is cut out where the statement has a secret.
func errorText(l *logLine, sql string) string {
	text := cut(l.Message, maxMessage)
	if maySecret(text) || maySecret(sql) {
		if n := strings.Index(text, ` at or near "`); n >= 0 {
			text = text[:n] + " at or near [redacted]"
		} else if n := strings.Index(text, `: "`); n >= 0 {
			text = text[:n] + ": [redacted]"
		}
	}
	return penumbra.Redact(text)
}

// failure makes the records of an error that no statement waited for: the line
// itself has the statement, if there was one.
func (p *Parser) failure(l *logLine) []penumbra.Record {
	var out []penumbra.Record
	if l.Statement != "" {
		h := &heldStatement{line: l, sql: l.Statement, statements: parseStatements(cut(l.Statement, maxSQL), l.User)}
		out = p.release(h, l)
	} else {
		r := p.record(l)
		r.Action, r.ReadOnly, r.Message = "error", true, errorText(l, l.Statement)
		if strings.Contains(l.Message, "authentication failed") || strings.HasPrefix(l.State, "28") {
			r.Action = "connection"
		}
		p.fail(&r, l, "")
		out = append(out, r)
	}
	return out
}

// record makes a record with what every line has.
func (p *Parser) record(l *logLine) penumbra.Record {
	r := penumbra.Record{
		Time: l.time, Format: Format, Input: p.config.Input, ID: p.id(l),
		Actor: l.User, Via: penumbra.Redact(cut(l.Application, 256)), Type: Type,
		Attributes: make(map[string]string, 6),
	}
	switch {
	case l.User != "":
		r.ActorKind = actorKind(l.Application)
	case l.Backend != "" && l.Backend != "postmaster" && l.Backend != "not initialized" && l.Backend != "client backend":
		r.Actor, r.ActorKind = l.Backend, penumbra.System
	}
	if p.config.Server != "" {
		r.Targets = []string{p.config.Server}
	}
	for _, a := range [...][2]string{{"database", l.Database}, {"host", l.Host}, {"backend", l.Backend}, {"sqlstate", l.State}, {"severity", l.Severity}} {
		if a[1] != "" {
			r.Attributes[a[0]] = a[1]
		}
	}
	return r
}

func (p *Parser) id(l *logLine) string {
	if l.Session == "" {
		return ""
	}
	return l.Session + "/" + strconv.FormatInt(l.Number, 10)
}

// actorKind tells a person from a program by the name that the client gives
// itself, where that name is one or the other's; a user's rules know more.
func actorKind(application string) penumbra.ActorKind {
	name := strings.ToLower(application)
	for _, known := range [...]struct {
		prefix string
		kind   penumbra.ActorKind
	}{
		{"psql", penumbra.User}, {"pgadmin", penumbra.User}, {"dbeaver", penumbra.User}, {"datagrip", penumbra.User}, {"pgcli", penumbra.User},
		{"ansible", penumbra.Automation}, {"terraform", penumbra.Automation}, {"opentofu", penumbra.Automation}, {"pgbench", penumbra.Automation},
		{"pg_cron", penumbra.Automation}, {"pg_dump", penumbra.Automation}, {"pg_restore", penumbra.Automation}, {"penumbra", penumbra.Automation},
		{"walreceiver", penumbra.System}, {"pg_basebackup", penumbra.Automation}, {"patroni", penumbra.Automation},
	} {
		if strings.HasPrefix(name, known.prefix) {
			return known.kind
		}
	}
	return penumbra.UnknownActor
}

// plain makes the record of a line that says nothing of a setting: what happened
// is its action, and nothing is changed by it.
func (p *Parser) plain(l *logLine) penumbra.Record {
	r := p.record(l)
	r.Action, r.ReadOnly = eventKind(l), true
	r.Message = l.Message
	if n := strings.Index(l.Message, " ms  "); n >= 0 && r.Action == "duration" {
		r.Message = redactSQL(cut(l.Message, maxSQL))
		if strings.Contains(l.Message, reload) { // it ran and was not logged before
			_, sql, _ := strings.Cut(l.Message[n:], ": ")
			if s := parseStatements(cut(sql, maxSQL), l.User); len(s) == 1 && s[0].tag == reload {
				r.Action, r.ReadOnly = reload, false
				p.remember(&s[0], &r)
			}
		}
	} else {
		r.Message = errorText(l, l.Statement)
	}
	r.Message = cut(r.Message, maxMessage)
	return r
}

// eventKinds are the beginnings of the server's messages, and what they tell.
var eventKinds = [...][2]string{
	{"duration: ", "duration"}, {"connection ", "connection"}, {"disconnection: ", "disconnection"}, {"checkpoint ", "checkpoint"},
	{"restartpoint ", "checkpoint"}, {"automatic vacuum", "autovacuum"}, {"automatic aggressive vacuum", "autovacuum"},
	{"automatic analyze", "autovacuum"}, {"temporary file: ", "temporary file"}, {"process ", "lock wait"},
	{"database system ", "database system"}, {"replication connection ", "connection"},
}

func eventKind(l *logLine) string {
	for _, k := range eventKinds {
		if strings.HasPrefix(l.Message, k[0]) {
			return k[1]
		}
	}
	return strings.ToLower(cmp.Or(l.Severity, "log"))
}
