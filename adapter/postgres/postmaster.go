package postgres

import (
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// What the postmaster says when it has read its files again (guc.c and
// guc-file.l). It says so in the language of lc_messages; these are English.
const (
	saysReload  = "received SIGHUP, reloading configuration files"
	saysStart   = "starting PostgreSQL "
	saysChanged = `" changed to "`
	saysRemoved = `" removed from configuration file, reset to default`
	saysRestart = `" cannot be changed without restarting the server`
)

// postmaster takes a line of the postmaster, which tells the values that came
// into force and knows no user. What waited and has worked by this is returned
// before the line's own record.
func (p *Parser) postmaster(l *logLine) (before []penumbra.Record, r penumbra.Record) {
	r = p.plain(l)
	name, rest, isParameter := parameter(l.Message)
	switch {
	case l.Message == saysReload:
		r.Action = "reload"
		before = p.waiting(callsReload) // it has worked, or there were no signal
		p.putDownTo(&r, p.reloader(&r), "reload")
	case strings.HasPrefix(l.Message, saysStart):
		r.Action, r.ReadOnly = "start", false
		clear(p.pending)
	case !isParameter:
	case strings.HasPrefix(rest, saysChanged):
		value := strings.TrimSuffix(strings.TrimPrefix(rest, saysChanged), `"`)
		x := setting(name, name, catalogue[strings.ToLower(name)].Canonical(value))
		before = p.effect(&r, x)
		r.Message = `parameter "` + name + saysChanged + shownValue(x) + `"`
	case strings.HasPrefix(rest, saysRemoved):
		before = p.effect(&r, penumbra.Setting{Path: name, Value: penumbra.Unknown()})
	case strings.HasPrefix(rest, saysRestart):
		before = p.waits(&r, name)
	}
	return before, r
}

// parameter reads `parameter "name" …`; rest begins with the closing quote.
func parameter(message string) (name, rest string, ok bool) {
	rest, ok = strings.CutPrefix(message, `parameter "`)
	n := strings.IndexByte(rest, '"')
	if !ok || n <= 0 {
		return "", "", false
	}
	name = rest[:n]
	if d, found := catalogue[strings.ToLower(name)]; found {
		name = d.Name
	}
	return name, rest[n:], true
}

func shownValue(x penumbra.Setting) string {
	if x.Sensitive {
		return "[redacted]"
	}
	return cut(x.Value.Text(), maxMessage)
}

// effect makes r the record of a setting that came into force, and puts it down
// to whoever set it: by ALTER SYSTEM with this value, or else by asking for the
// reload that brought what the files held. A file that was edited and a server
// that was signalled from outside leave no name.
func (p *Parser) effect(r *penumbra.Record, x penumbra.Setting) (before []penumbra.Record) {
	r.ReadOnly, r.Action = false, "reload"
	settings := []penumbra.Setting{x}
	p.config.Key.SealSettings(settings)
	r.Settings = settings
	by, how := p.changer(r, x.Path, settings[0].Value), "alter system"
	if by == nil { // what waits may be refused yet, so that it comes second
		before = p.waiting(setsSystem(x.Path))
		by = p.changer(r, x.Path, settings[0].Value)
	}
	if by == nil {
		before = append(before, p.waiting(callsReload)...)
		by, how = p.reloader(r), "reload"
	} else {
		r.Action = by.record.Action
		delete(p.changes, strings.ToLower(x.Path))
	}
	p.putDownTo(r, by, how)
	delete(p.pending, strings.ToLower(x.Path))
	return before
}

// waits makes r the record of a setting whose new value waits for a restart. The
// postmaster repeats this at each reload: only the first time is an event.
func (p *Parser) waits(r *penumbra.Record, name string) (before []penumbra.Record) {
	r.Action = "pending restart"
	key := strings.ToLower(name)
	by := p.changer(r, name, penumbra.Unknown())
	if by == nil {
		before = p.waiting(setsSystem(name))
		by = p.changer(r, name, penumbra.Unknown())
	}
	value := penumbra.Unknown()
	if by != nil {
		value = by.value
	}
	if seen, ok := p.pending[key]; ok && (seen == value.Text() || by == nil) {
		return before
	}
	if len(p.pending) < maxChanges {
		p.pending[key] = value.Text()
	}
	r.ReadOnly = false
	r.Settings = penumbra.Settings{{Path: pendingRestart + name, Value: value, Sensitive: value.Kind() == penumbra.SecretKind}}
	how := "alter system"
	if by == nil {
		by, how = p.reloader(r), "reload"
	}
	p.putDownTo(r, by, how)
	return before
}

// waiting returns the records of the statements that match and still wait for
// their outcome: they have worked, or the postmaster would not say what it says.
func (p *Parser) waiting(match func(*statement) bool) []penumbra.Record {
	var due []*heldStatement
	for session, h := range p.held {
		for i := range h.statements {
			if match(&h.statements[i]) {
				due = append(due, h)
				delete(p.held, session)
				break
			}
		}
	}
	return p.releaseAll(due)
}

func callsReload(s *statement) bool { return s.tag == reload }

// setsSystem matches ALTER SYSTEM of a setting.
func setsSystem(name string) func(*statement) bool {
	return func(s *statement) bool { return s.system == "*" || strings.EqualFold(s.system, name) }
}

// changer returns the ALTER SYSTEM that a value in force comes from, nil if none
// of the last minutes can have set it. An unknown value fits any.
func (p *Parser) changer(r *penumbra.Record, name string, value penumbra.Value) *change {
	for _, key := range [...]string{strings.ToLower(name), "*"} {
		c, ok := p.changes[key]
		age := r.Time.Sub(c.record.Time)
		if ok && age >= -hold && age <= joinWindow &&
			(c.reset || value.Kind() == penumbra.UnknownKind || c.value == value) {
			return &c
		}
	}
	return nil
}

// reloader returns the call of pg_reload_conf() that a reload comes from.
func (p *Parser) reloader(r *penumbra.Record) *change {
	age := r.Time.Sub(p.reload.record.Time)
	if p.reload.record.Time.IsZero() || age < -hold || age > reloadWindow {
		return nil
	}
	return &p.reload
}

// putDownTo gives r the actor of a change.
func (p *Parser) putDownTo(r *penumbra.Record, by *change, how string) {
	if by == nil {
		return
	}
	from := &by.record
	r.Actor, r.ActorKind, r.Via = from.Actor, from.ActorKind, from.Via
	for _, name := range [...]string{"database", "host"} {
		if v := from.Attributes[name]; v != "" {
			r.Attributes[name] = v
		}
	}
	r.Attributes["joined_by"] = how
	if from.ID != "" {
		r.Attributes["joined_with"] = from.ID
	}
}
