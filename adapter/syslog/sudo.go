package syslog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// sudoMessage reads "alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
// the form of sudoers(5), "LOG FORMAT".
func sudoMessage(r *penumbra.Record, text string) {
	if data, ok := strings.CutPrefix(text, "@cee:"); ok {
		var e struct{ Sudo sudoEvent }
		if json.Unmarshal([]byte(data), &e) == nil {
			e.Sudo.fill(r)
		}
		return
	}
	actor, rest, ok := strings.Cut(text, " : ")
	if !ok || strings.ContainsAny(strings.TrimSpace(actor), " :") {
		return
	}
	r.Actor = strings.TrimSpace(actor)
	var dir, runAs, line string
	for rest != "" {
		var part string
		if strings.HasPrefix(rest, "COMMAND=") {
			part, rest = rest, "" // whatever it holds
		} else {
			part, rest, _ = strings.Cut(rest, " ; ")
		}
		name, v, ok := strings.Cut(part, "=")
		switch {
		case ok && name == "COMMAND":
			line = v
		case ok && name == "PWD":
			dir = v
		case ok && name == "USER":
			runAs = v
		case ok && (name == "TTY" || name == "HOST" || name == "GROUP" || name == "TSID" || name == "CHROOT" || name == "ENV"):
			r.Attributes["sudo_"+strings.ToLower(name)] = penumbra.Redact(v)
		case part != "(command continued)":
			r.Failed = penumbra.Redact(strings.TrimSpace(part))
		}
	}
	r.Via = via(runAs)
	command(r, words(line), dir)
}

func via(runAs string) string {
	if runAs == "" {
		return "sudo"
	}
	return "sudo as " + runAs
}

// sudoEvent is what log_format=json writes, sudoers(5).
type sudoEvent struct {
	Accept, Reject, Alert *sudoCommand
}

type sudoCommand struct {
	UUID       string
	Reason     string
	ServerTime struct{ Seconds, Nanoseconds int64 } `json:"server_time"`
	SubmitUser string
	SubmitHost string
	SubmitCwd  string
	Command    string
	RunUser    string
	RunArgv    []string
	TTYName    string
}

// fill copies the event; its environment is left out, it may hold secrets.
func (e *sudoEvent) fill(r *penumbra.Record) bool {
	c := e.Accept
	if c == nil {
		if c = e.Reject; c == nil {
			if c = e.Alert; c == nil {
				return false
			}
		}
		r.Failed = penumbra.Redact(c.Reason)
		if r.Failed == "" {
			r.Failed = "rejected"
		}
	}
	r.ID, r.Actor, r.Via = c.UUID, c.SubmitUser, via(c.RunUser)
	if c.ServerTime.Seconds > 0 {
		r.Time = time.Unix(c.ServerTime.Seconds, c.ServerTime.Nanoseconds).UTC()
	}
	if c.SubmitHost != "" {
		r.Attributes["host"] = c.SubmitHost
	}
	if c.TTYName != "" {
		r.Attributes["sudo_tty"] = c.TTYName
	}
	argv := c.RunArgv
	if len(argv) == 0 {
		argv = []string{c.Command}
	}
	command(r, argv, c.SubmitCwd)
	if r.Action == "" || r.Action == "." {
		r.Action = penumbra.Redact(path.Base(c.Command))
	}
	r.Message = penumbra.Redact(strings.Join(append([]string{c.SubmitUser, ":"}, argv...), " "))
	return true
}

// sudoJSON reads one line {"accept": {…}} or {"sudo": {"accept": {…}}}.
func (p *Parser) sudoJSON(line []byte) ([]penumbra.Record, error) {
	var e struct {
		Sudo                  *sudoEvent
		Accept, Reject, Alert *sudoCommand
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("not a sudo event: %w", err)
	}
	event := e.Sudo
	if event == nil {
		event = &sudoEvent{e.Accept, e.Reject, e.Alert}
	}
	r := p.sudoRecord(p.now().UTC())
	if !event.fill(&r) {
		return nil, fmt.Errorf("JSON without an accept, reject or alert of sudo")
	}
	return checked(r)
}

func (p *Parser) sudoRecord(at time.Time) penumbra.Record {
	return penumbra.Record{Time: at, Format: "syslog", Input: p.input, Attributes: map[string]string{"app": "sudo"}}
}

// sudoLine reads a line of sudo's own log file that was not wrapped:
// "Nov 25 12:09:37 : alice : PWD=…". With log_year the year follows the time.
func (p *Parser) sudoLine(line []byte) (penumbra.Record, bool) {
	at, _, ok := bytes.Cut(line[:min(len(line), 24)], []byte(" : "))
	if !ok || len(at) < len(time.Stamp) {
		return penumbra.Record{}, false
	}
	rest := line[len(at)+3:]
	t, err := time.Parse(time.Stamp, string(at[:len(time.Stamp)]))
	if err != nil {
		return penumbra.Record{}, false
	}
	when := p.year(t, p.now())
	if y, err := strconv.Atoi(strings.TrimSpace(string(at[len(time.Stamp):]))); err == nil && y > 1970 && y < 10000 {
		when = time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, p.zone).UTC()
	}
	r := p.sudoRecord(when)
	text := strings.ToValidUTF8(string(rest), "\ufffd")
	r.Message = penumbra.Redact(text)
	sudoMessage(&r, text)
	return r, true
}

// ParseSudoLog reads a whole log file of sudo: wrapped lines (loglinelen) and
// JSON over several lines, where every event has the key of the one before. A
// follower of lines cannot take these apart: for it set loglinelen=0.
// It reads up to 64 MiB. The errors name the event's number.
func (p *Parser) ParseSudoLog(in io.Reader) (records []penumbra.Record, bad []error) {
	data, err := io.ReadAll(io.LimitReader(in, 64<<20))
	if err != nil {
		return nil, []error{err}
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		return p.sudoObject(trimmed)
	}
	joined := bytes.ReplaceAll(data, []byte("\n    "), []byte(" "))
	n := 0
	for line := range bytes.Lines(joined) {
		n++
		got, err := p.Parse(line)
		if err != nil {
			bad = append(bad, fmt.Errorf("event %d: %w", n, err))
		}
		records = append(records, got...)
	}
	return records, bad
}

// sudoObject reads {"accept": {…}, "reject": {…}, "accept": {…}}, whose keys
// repeat, token by token.
func (p *Parser) sudoObject(data []byte) (records []penumbra.Record, bad []error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return nil, []error{err}
	}
	for n := 1; d.More(); n++ {
		kind, err := d.Token()
		if err != nil {
			return records, append(bad, fmt.Errorf("event %d: %w", n, err))
		}
		var c sudoCommand
		if err := d.Decode(&c); err != nil {
			return records, append(bad, fmt.Errorf("event %d: %w", n, err))
		}
		var e sudoEvent
		switch kind {
		case "accept":
			e.Accept = &c
		case "reject":
			e.Reject = &c
		case "alert":
			e.Alert = &c
		default:
			continue // exit, of a command that was told already
		}
		r := p.sudoRecord(p.now().UTC())
		e.fill(&r)
		got, err := checked(r)
		if err != nil {
			bad = append(bad, fmt.Errorf("event %d: %w", n, err))
		}
		records = append(records, got...)
	}
	return records, bad
}
