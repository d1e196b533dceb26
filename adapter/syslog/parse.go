// Package syslog reads what programs tell the system's log: who did what to
// this machine? [Parser] reads one message in the form of RFC 5424 or of
// RFC 3164, from a file or from the network; [Receiver] takes them from
// sockets. Use it for sudo, sshd, systemd, cron and whatever else has no
// format of its own.
//
// It guarantees that a message that can be read becomes one record with its
// text redacted, that of a command run through sudo the actor is the person
// and not root, and that one that cannot be read is an error, never a panic.
package syslog

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	syslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/penumbra-iac/penumbra"
)

// MaxMessage is the longest message read, in bytes. RFC 5424 section 6.1 asks
// for 2,048 at least; sudo's JSON with its environment needs more.
const MaxMessage = 64 << 10

// maxAhead is how far a message's clock may be ahead of ours unnoticed.
const maxAhead = 5 * time.Minute

// Parser reads messages. It is not safe for concurrent use.
type Parser struct {
	input string
	zone  *time.Location
	now   func() time.Time
	new   syslog.Machine
	old   syslog.Machine
}

// NewParser returns a parser for the input of that name. RFC 3164 has neither
// year nor zone: zone is the sender's, nil for UTC; the year is the one that
// puts the message nearest to now, nil for the system's clock.
func NewParser(input string, zone *time.Location, now func() time.Time) *Parser {
	if zone == nil {
		zone = time.UTC
	}
	if now == nil {
		now = time.Now
	}
	return &Parser{
		input: input, zone: zone, now: now,
		new: rfc5424.NewParser(rfc5424.WithBestEffort()),
		old: rfc3164.NewParser(rfc3164.WithBestEffort(), rfc3164.WithOptionalPriority(), rfc3164.WithLenientDay(),
			rfc3164.WithRFC3339(), rfc3164.WithSecondFractions(), rfc3164.WithEmbeddedNewlines()),
	}
}

var severities = [...]string{"emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"}

// Parse reads one message, with or without its priority, or one line of sudo's
// own log file. An empty line gives nothing. The error says what is wrong
// with the line.
func (p *Parser) Parse(line []byte) ([]penumbra.Record, error) {
	line = bytes.TrimRight(line, "\r\n\x00")
	switch {
	case len(line) == 0:
		return nil, nil
	case len(line) > MaxMessage:
		return nil, fmt.Errorf("a message of %d bytes, the most is %d", len(line), MaxMessage)
	case bytes.IndexByte(line, 0) >= 0:
		return nil, fmt.Errorf("binary, not a message")
	case line[0] == '{':
		return p.sudoJSON(line)
	}
	if r, ok := p.sudoLine(line); ok {
		return checked(r)
	}
	m, err := p.message(line)
	if err != nil {
		return nil, err
	}
	return checked(p.record(m))
}

// checked refuses a record that says nothing.
func checked(r penumbra.Record) ([]penumbra.Record, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	return []penumbra.Record{r}, nil
}

// message is a syslog message's parts.
type message struct {
	time                         time.Time
	host, app, pid, id, severity string
	text                         string
	noted                        string // what is odd about its time
	data                         map[string]map[string]string
}

func (p *Parser) message(line []byte) (m message, err error) {
	var base *syslog.Base
	if isNew(line) {
		parsed, err := p.new.Parse(line)
		msg, ok := parsed.(*rfc5424.SyslogMessage)
		if !ok || msg == nil {
			return m, fmt.Errorf("not an RFC 5424 message: %w", orUnreadable(err))
		}
		if msg.StructuredData != nil {
			m.data = *msg.StructuredData
		}
		base = &msg.Base
	} else {
		parsed, err := p.old.Parse(line)
		msg, ok := parsed.(*rfc3164.SyslogMessage)
		if !ok || msg == nil || msg.Timestamp == nil {
			return m, fmt.Errorf("not a syslog message: %w", orUnreadable(err))
		}
		base = &msg.Base
	}
	m.host, m.app, m.pid, m.id, m.text = text(base.Hostname), text(base.Appname), text(base.ProcID), text(base.MsgID), text(base.Message)
	m.text = strings.TrimPrefix(m.text, "\ufeff")
	if base.Severity != nil && int(*base.Severity) < len(severities) {
		m.severity = severities[*base.Severity]
	}
	now := p.now()
	m.time = now.UTC()
	switch {
	case base.Timestamp == nil:
		m.noted = "no time, that of its arrival is used"
	case base.Timestamp.Year() == 0:
		m.time = p.year(*base.Timestamp, now)
	default:
		m.time = base.Timestamp.UTC()
	}
	if ahead := m.time.Sub(now); ahead > maxAhead {
		m.noted = "its clock is ahead by " + ahead.Round(time.Second).String()
	}
	if m.app == "" && m.text == "" {
		return m, fmt.Errorf("a message without a text")
	}
	return m, nil
}

func orUnreadable(err error) error {
	if err == nil {
		return fmt.Errorf("no time in it")
	}
	return err
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return strings.ToValidUTF8(*s, "\ufffd")
}

// isNew reports whether a version follows the priority: "<34>1 ".
func isNew(line []byte) bool {
	end := bytes.IndexByte(line[:min(len(line), 6)], '>')
	return line[0] == '<' && end > 0 && len(line) > end+2 && line[end+1] == '1' && line[end+2] == ' '
}

// year gives t, whose year is not known, the year that puts it nearest to now.
func (p *Parser) year(t, now time.Time) time.Time {
	var best time.Time
	for y := now.Year() - 1; y <= now.Year()+1; y++ {
		c := time.Date(y, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), p.zone)
		if c.Month() != t.Month() {
			continue // a 29 February that the year does not have
		}
		if best.IsZero() || c.Sub(now).Abs() < best.Sub(now).Abs() {
			best = c
		}
	}
	if best.IsZero() {
		best = now
	}
	return best.UTC()
}

func (p *Parser) record(m message) penumbra.Record {
	r := penumbra.Record{Time: m.time, Format: "syslog", Input: p.input, Message: m.text, Attributes: map[string]string{}}
	set := func(name, v string) {
		if v != "" {
			r.Attributes[name] = v
		}
	}
	set("host", m.host)
	set("app", m.app)
	set("pid", m.pid)
	set("msgid", m.id)
	set("severity", m.severity)
	set("time_note", m.noted)
	for id, params := range m.data {
		for k, v := range params {
			if penumbra.LooksSecret(k, penumbra.String(v)) {
				v = "[redacted]"
			}
			set(id+"."+k, penumbra.Redact(text(&v)))
		}
	}
	resolve(&r, m.app, m.text)
	if r.Message == m.text {
		r.Message = penumbra.Redact(m.text)
	}
	if r.Message == "" && r.Action == "" {
		r.Message = m.app
	}
	return r
}
