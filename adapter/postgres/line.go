package postgres

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// logLine holds what is used of one line of a jsonlog (manual, section 20.8.5).
type logLine struct {
	Timestamp   string `json:"timestamp"`
	User        string `json:"user"`
	Database    string `json:"dbname"`
	Host        string `json:"remote_host"`
	Session     string `json:"session_id"`
	Number      int64  `json:"line_num"`
	Severity    string `json:"error_severity"`
	State       string `json:"state_code"`
	Message     string `json:"message"`
	Statement   string `json:"statement"`
	Application string `json:"application_name"`
	Backend     string `json:"backend_type"`

	time time.Time
}

// maxLine bounds a line that is read, in bytes. The server's own limit is that
// of a message, so that longer ones are rare and not of interest.
const maxLine = 1 << 20

func (p *Parser) decode(data []byte) (*logLine, error) {
	if len(data) > maxLine {
		return nil, fmt.Errorf("%d bytes long, more than %d", len(data), maxLine)
	}
	var l logLine
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	if l.Message == "" && l.Severity == "" {
		return nil, errors.New("neither message nor error_severity: not a line of a PostgreSQL jsonlog")
	}
	t, err := p.parseTime(l.Timestamp)
	if err != nil {
		return nil, err
	}
	l.time = t
	return &l, nil
}

// parseTime reads the server's "2006-01-02 15:04:05.000 ZONE". The zone is
// log_timezone's abbreviation at the time, which does not name it for good: it
// is read as one of the configured location.
func (p *Parser) parseTime(text string) (time.Time, error) {
	n := strings.LastIndexByte(text, ' ')
	if n < 0 {
		return time.Time{}, fmt.Errorf("timestamp %s is not of a PostgreSQL jsonlog", shown(text))
	}
	clock, zone := text[:n], text[n+1:]
	const layout = "2006-01-02 15:04:05"
	switch {
	case zone == "UTC" || zone == "GMT":
		return parseUTC(clock)
	case strings.HasPrefix(zone, "+"), strings.HasPrefix(zone, "-"):
		for _, form := range [...]string{"-07", "-0700", "-07:00"} {
			if t, err := time.Parse(layout+" "+form, text); err == nil {
				return t.UTC(), nil
			}
		}
	default:
		if t, err := time.ParseInLocation(layout+" MST", text, p.config.Location); err == nil && t.Location() == p.config.Location {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("timestamp %s: zone unknown in %s: set the server's log_timezone to UTC, or configure its zone here", shown(text), p.config.Location)
}

// parseUTC reads "2006-01-02 15:04:05.000", which nearly every line has, in a
// tenth of the time of time.Parse; anything else goes there.
func parseUTC(clock string) (time.Time, error) {
	if len(clock) == 23 && clock[4] == '-' && clock[7] == '-' && clock[10] == ' ' && clock[13] == ':' && clock[16] == ':' && clock[19] == '.' {
		year, ok1 := digits(clock[0:4])
		month, ok2 := digits(clock[5:7])
		day, ok3 := digits(clock[8:10])
		hour, ok4 := digits(clock[11:13])
		minute, ok5 := digits(clock[14:16])
		second, ok6 := digits(clock[17:19])
		milli, ok7 := digits(clock[20:23])
		if ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7 && month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour < 24 && minute < 60 && second < 60 {
			return time.Date(year, time.Month(month), day, hour, minute, second, milli*int(time.Millisecond), time.UTC), nil
		}
	}
	t, err := time.Parse("2006-01-02 15:04:05", clock)
	if err != nil {
		return time.Time{}, fmt.Errorf("timestamp %s is not of a PostgreSQL jsonlog", shown(clock))
	}
	return t, nil
}

func digits(text string) (n int, ok bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int(text[i]-'0')
	}
	return n, true
}

// shown quotes the start of a text for an error.
func shown(text string) string { return strconv.Quote(cut(penumbra.Redact(text), 64)) }

// cut returns the text, shortened to n bytes at most between two characters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && text[n]&0xC0 == 0x80 {
		n--
	}
	return text[:n]
}

// audit is one entry of pgaudit's: "AUDIT: SESSION,1,1,DDL,ALTER SYSTEM,,,text,…".
type audit struct {
	class, command string
	object         string // "TABLE public.t"
	statement      string
}

// parseAudit reads pgaudit's comma-separated entry; ok is false where the
// message is none.
func parseAudit(message string) (a audit, ok bool) {
	rest, found := strings.CutPrefix(message, "AUDIT: ")
	if !found {
		return audit{}, false
	}
	var fields [8]string
	for i := range fields {
		fields[i], rest, found = nextField(rest)
		if !found && i < len(fields)-1 {
			return audit{}, false
		}
	}
	if fields[0] != "SESSION" && fields[0] != "OBJECT" {
		return audit{}, false
	}
	a = audit{class: fields[3], command: fields[4], statement: fields[7]}
	if fields[6] != "" {
		a.object = strings.ToLower(fields[5]) + " " + fields[6]
	}
	return a, true
}

// nextField cuts the first field of a comma-separated line; more is false where
// it was the last.
func nextField(text string) (field, rest string, more bool) {
	if !strings.HasPrefix(text, `"`) {
		return strings.Cut(text, ",")
	}
	body, end := readQuoted(text, 0, '"', false)
	if end < len(text) && text[end] == ',' {
		return body, text[end+1:], true
	}
	return body, "", false
}
