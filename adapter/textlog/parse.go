// Package textlog reads logs of free text: when was each line written, and what
// does it say? It knows how common programs write the time at the start of a
// line, or in brackets behind the client's address as web servers do; the rest is
// the message, whose kind the events stage finds by itself.
//
// Use it for a log that no other adapter knows. It guarantees that a line is never
// refused for its form: one without a time gets the time at which it was read. A
// message is redacted.
package textlog

import (
	"bytes"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// Format is the format of the records.
const Format = "text"

// layouts are tried in their order on the start of a line. A fraction of a second
// behind the seconds is taken, with a point or a comma.
var layouts = []struct {
	layout string
	zoned  bool
}{
	{time.RFC3339, true},
	{"2006-01-02 15:04:05Z07:00", true},
	{"2006-01-02 15:04:05 -0700", true},
	{"2006-01-02 15:04:05", false},
	{"2006-01-02T15:04:05", false},
	{"2006/01/02 15:04:05", false},
	{"02/Jan/2006:15:04:05 -0700", true},
	{"Jan _2 15:04:05 2006", false},
}

// Parser reads lines. It is safe for concurrent use.
type Parser struct {
	input string
	zone  *time.Location
	now   func() time.Time
}

// New returns a parser. Times without a zone are of the zone given.
func New(input string, zone *time.Location, now func() time.Time) *Parser {
	return &Parser{input: input, zone: zone, now: now}
}

// Parse returns the record of a line; none of a blank one. It returns an error if
// the line is not text.
func (p *Parser) Parse(line []byte) ([]penumbra.Record, error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil, nil
	}
	if !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0 {
		return nil, errors.New("the line is not text")
	}
	text := string(line)
	at, rest, found := p.time(text)
	if !found {
		at, rest = p.now(), text
	}
	return []penumbra.Record{{Time: at.UTC(), Format: Format, Input: p.input, Message: penumbra.Redact(rest)}}, nil
}

// time finds the time of a line and returns what is behind it; of a web server's
// line the time is taken out of the middle.
func (p *Parser) time(text string) (at time.Time, rest string, found bool) {
	if at, n := p.leading(strings.TrimPrefix(text, "[")); n > 0 {
		rest = strings.TrimLeft(strings.TrimPrefix(text, "[")[n:], "]: ,")
		if rest == "" {
			rest = text // a time is all that it says
		}
		return at, rest, true
	}
	head, behind, bracket := strings.Cut(text, " [")
	if !bracket || len(head) > 256 {
		return time.Time{}, text, false
	}
	at, n := p.leading(behind)
	if n == 0 || !strings.HasPrefix(behind[n:], "]") {
		return time.Time{}, text, false
	}
	return at, head + behind[n+1:], true
}

// leading returns the time that a text begins with and its length, 0 if none.
func (p *Parser) leading(text string) (time.Time, int) {
	for _, l := range layouts {
		whole, fraction := split(text, len("2006-01-02 15:04:05"))
		if t, n := p.try(l.layout, whole, text, fraction); n > 0 {
			return t, n
		}
	}
	return time.Time{}, 0
}

// split returns a text without the fraction of a second that begins at a place,
// and the fraction's length.
func split(text string, at int) (whole string, fraction int) {
	if len(text) <= at || text[at] != '.' && text[at] != ',' {
		return text, 0
	}
	n := 1
	for at+n < len(text) && n <= 9 && text[at+n] >= '0' && text[at+n] <= '9' {
		n++
	}
	if n == 1 {
		return text, 0
	}
	return text[:at] + text[at+n:], n
}

func (p *Parser) try(layout, whole, text string, fraction int) (time.Time, int) {
	for _, n := range lengths(layout) {
		if len(whole) < n {
			continue
		}
		t, err := time.ParseInLocation(layout, whole[:n], p.zone)
		if err != nil || len(whole) > n && isDigit(whole[n]) {
			continue
		}
		if fraction > 0 && n >= len("2006-01-02 15:04:05") {
			const at = len("2006-01-02 15:04:05")
			d, err := time.ParseDuration("0." + text[at+1:at+fraction] + "s")
			if err == nil {
				t = t.Add(d)
			}
		}
		return t, n + fraction
	}
	return time.Time{}, 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// lengths are those that a time of a layout may have: a zone is Z or an offset.
func lengths(layout string) []int {
	if head, ok := strings.CutSuffix(layout, "Z07:00"); ok {
		return []int{len(head) + len("+01:00"), len(head) + 1}
	}
	return []int{len(layout)}
}
