package postgres

import (
	"cmp"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// statement is what is understood of one SQL statement.
type statement struct {
	tag      string // the server's own name of it: "ALTER SYSTEM"
	targets  []string
	settings penumbra.Settings
	readOnly bool
	system   string // of ALTER SYSTEM, the setting's name in the catalogue's spelling; "*" for all
	reset    bool   // it takes a setting back, so that no value is known
}

// changes reports whether a record of it is worth waiting for its outcome.
func (s *statement) changes() bool { return !s.readOnly }

// reload is the tag of a statement that calls pg_reload_conf().
const reload = "pg_reload_conf"

// maxStatements bounds the statements that are read of one line.
const maxStatements = 64

// parseStatements reads what a text of SQL does to the server, statement by
// statement. It understands what sets settings, roles and rights; of other
// statements it knows the tag and perhaps the name. Any text is taken. The user
// is who CURRENT_USER stands for.
func parseStatements(text, user string) []statement {
	var out []statement
	tokens := tokenize(text)
	for len(tokens) > 0 && len(out) < maxStatements {
		n := slices.IndexFunc(tokens, func(t token) bool { return t.kind == symbol && t.text == ";" })
		one := tokens
		tokens = nil
		if n >= 0 {
			one, tokens = one[:n], one[n+1:]
		}
		if len(one) > 0 {
			out = append(out, parseStatement(one, user))
		}
	}
	return out
}

// harmless are the first words of statements that leave the server as it is;
// SET and RESET change a session.
var harmless = map[string]bool{
	"select": true, "show": true, "begin": true, "start": true, "commit": true, "end": true, "rollback": true, "abort": true,
	"savepoint": true, "release": true, "set": true, "reset": true, "discard": true, "declare": true, "fetch": true, "move": true,
	"close": true, "prepare": true, "deallocate": true, "listen": true, "unlisten": true, "notify": true, "checkpoint": true,
	"values": true, "table": true, "with": false, "explain": true, "lock": true,
}

func parseStatement(t []token, user string) statement {
	c := cursor{t, user}
	switch {
	case c.take("alter"):
		return parseAlter(c)
	case c.take("create"), c.take("drop"), c.take("comment"), c.take("security"), c.take("reassign"):
		return parseObject(strings.ToUpper(t[0].text), c)
	case c.take("grant"), c.take("revoke"):
		return statement{tag: strings.ToUpper(t[0].text)}
	}
	if t[0].kind != word {
		return statement{tag: "statement", readOnly: true}
	}
	s := statement{tag: strings.ToUpper(t[0].text), readOnly: harmless[t[0].text]}
	for i, x := range t[:len(t)-1] {
		if (x.is(reload) || x.kind == quoted && x.text == reload) && t[i+1].kind == symbol && t[i+1].text == "(" {
			s.tag, s.readOnly = reload, false
		}
	}
	return s
}

func parseAlter(c cursor) statement {
	switch {
	case c.take("system"):
		return parseSystem(c)
	case c.take("role"), c.take("user"):
		if c.peek("mapping") {
			return parseObject("ALTER", cursor{append([]token{{kind: word, text: "user"}}, c.rest...), c.user})
		}
		name := c.roleName()
		s := statement{tag: "ALTER ROLE", targets: []string{"role " + cmp.Or(name, "ALL")}}
		database := ""
		if c.take("in") && c.take("database") {
			database = c.name()
			s.targets = append(s.targets, "database "+database)
		}
		s.scoped(c, scope(name, database))
		return s
	case c.take("database"):
		name := c.name()
		s := statement{tag: "ALTER DATABASE", targets: []string{"database " + name}}
		s.scoped(c, scope("", name))
		return s
	}
	return parseObject("ALTER", c)
}

func parseSystem(c cursor) statement {
	s := statement{tag: "ALTER SYSTEM"}
	set, name, value, ok := c.assignment()
	switch {
	case !ok:
		return s
	case name == "":
		s.system, s.reset = "*", true
		return s
	}
	d, found := catalogue[strings.ToLower(name)]
	if found {
		name = d.Name
	}
	s.system, s.reset = name, !set
	x := setting(name, name, d.Canonical(value))
	if !set {
		x = penumbra.Setting{Path: name, Value: penumbra.Unknown()}
	}
	// It is in the files at once, and in force when they are loaded or the server
	// is started again: a snapshot shows the one or the other.
	waits := x
	waits.Path = pendingReload + name
	if d.Restart() {
		waits.Path = pendingRestart + name
	}
	s.settings = penumbra.NewSettings(x, waits)
	return s
}

// scoped reads SET or RESET of a role or a database.
func (s *statement) scoped(c cursor, prefix string) {
	set, name, value, ok := c.assignment()
	if !ok || name == "" {
		return
	}
	d, found := catalogue[strings.ToLower(name)]
	if found {
		name = d.Name
	}
	switch {
	case !set: // it goes, or its value is not in the statement
		v := penumbra.Null()
		if value == fromCurrent {
			v = penumbra.Unknown()
		}
		s.settings = penumbra.NewSettings(penumbra.Setting{Path: prefix + name, Value: v})
	default:
		s.settings = penumbra.NewSettings(setting(prefix+name, name, d.Canonical(value)))
	}
}

// parseObject reads CREATE, ALTER and DROP of anything: the tag as the server
// writes it, and the name where it stands in the usual place.
func parseObject(verb string, c cursor) statement {
	s := statement{tag: verb}
	for c.take("or") || c.take("replace") || c.take("temp") || c.take("temporary") || c.take("global") || c.take("local") ||
		c.take("unlogged") || c.take("unique") || c.take("recursive") || c.take("trusted") || c.take("procedural") || c.take("constraint") {
	}
	if len(c.rest) == 0 || c.rest[0].kind != word {
		return s
	}
	kind := c.rest[0].text
	c.rest = c.rest[1:]
	switch {
	case kind == "user" && c.take("mapping"):
		kind = "user mapping"
	case kind == "user" || kind == "group":
		kind = "role"
	case len(c.rest) > 0 && c.rest[0].kind == word && pairs[kind+" "+c.rest[0].text]:
		kind += " " + c.rest[0].text
		c.rest = c.rest[1:]
	}
	s.tag += " " + strings.ToUpper(kind)
	for c.take("if") || c.take("not") || c.take("exists") || c.take("only") || c.take("concurrently") {
	}
	if name := c.name(); name != "" {
		s.targets = []string{kind + " " + name}
	}
	return s
}

// pairs are the kinds of object whose names have two words.
var pairs = map[string]bool{
	"materialized view": true, "foreign table": true, "foreign data": true, "event trigger": true, "access method": true,
	"default privileges": true, "large object": true, "operator class": true, "operator family": true, "text search": true,
}

// cursor walks over the tokens of one statement.
type cursor struct {
	rest []token
	user string // who runs the statement
}

func (c *cursor) peek(keyword string) bool { return len(c.rest) > 0 && c.rest[0].is(keyword) }

// take steps over the keyword if it comes next.
func (c *cursor) take(keyword string) bool {
	if !c.peek(keyword) {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *cursor) takeSymbol(text string) bool {
	if len(c.rest) == 0 || c.rest[0].kind != symbol || c.rest[0].text != text {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// name reads a name with its qualifiers, "" if there is none.
func (c *cursor) name() string {
	var parts []string
	for len(c.rest) > 0 && (c.rest[0].kind == word || c.rest[0].kind == quoted) {
		parts = append(parts, c.rest[0].text)
		c.rest = c.rest[1:]
		if !c.takeSymbol(".") {
			break
		}
	}
	return strings.Join(parts, ".")
}

// roleName reads a role's name, "" for ALL.
func (c *cursor) roleName() string {
	switch {
	case c.take("all"):
		return ""
	case c.take("current_user"), c.take("current_role"), c.take("session_user"):
		return c.user
	}
	return c.name()
}

// fromCurrent is the value of SET … FROM CURRENT, which only the session knows.
const fromCurrent = "\x00from current"

// assignment reads SET name TO value, RESET name or RESET ALL, for which the
// name is empty. DEFAULT and FROM CURRENT are not values: set is false.
func (c *cursor) assignment() (set bool, name, value string, ok bool) {
	if c.take("reset") {
		if c.take("all") {
			return false, "", "", true
		}
		name = c.name()
		return false, name, "", name != ""
	}
	if !c.take("set") {
		return false, "", "", false
	}
	if c.take("time") && c.take("zone") {
		name = "timezone"
	} else if name = c.name(); name == "" {
		return false, "", "", false
	} else if c.take("from") {
		return false, name, fromCurrent, true
	} else if !c.takeSymbol("=") && !c.take("to") {
		return false, "", "", false
	}
	if c.peek("default") {
		return false, name, "", true
	}
	return true, name, c.value(), true
}

// value reads the rest as a value or a list of them, written as the server keeps
// it: with a comma and a blank between, and in a list with double quotes around
// what is no plain name.
func (c *cursor) value() string {
	var parts []string
	for len(c.rest) > 0 {
		sign := ""
		if c.takeSymbol("-") {
			sign = "-"
		} else {
			c.takeSymbol("+")
		}
		if len(c.rest) == 0 {
			break
		}
		parts = append(parts, sign+c.rest[0].text)
		c.rest = c.rest[1:]
		if !c.takeSymbol(",") {
			break
		}
	}
	if len(parts) > 1 {
		for i, p := range parts {
			parts[i] = quoteName(p)
		}
	}
	return strings.Join(parts, ", ")
}

// quoteName puts a name in double quotes unless it is plain.
func quoteName(name string) string {
	plain := name != "" && (name[0] >= 'a' && name[0] <= 'z' || name[0] == '_')
	for i := range len(name) {
		c := name[i]
		plain = plain && (c >= 'a' && c <= 'z' || c == '_' || c >= '0' && c <= '9')
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
