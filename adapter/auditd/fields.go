package auditd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// header is what each line begins with.
type header struct {
	node string // of the host, "" if the daemon does not write it
	typ  []byte // "SYSCALL"
	id   string // "1364481363.243:24287"
	time time.Time
	rest []byte
}

// The times that are held to be possible. What is outside is a wrong clock.
const (
	earliest = 946_684_800   // the year 2000
	latest   = 7_258_118_400 // the year 2200
)

// parseHeader reads [node=N ]type=T msg=audit(S.MMM:SERIAL): and what follows.
// Text before it, as a syslog daemon that forwards audit lines writes, is
// skipped.
func parseHeader(line []byte) (h header, err error) {
	if node, ok := bytes.CutPrefix(line, []byte("node=")); ok {
		end := bytes.IndexByte(node, ' ')
		if end < 0 {
			return h, errNoHeader
		}
		h.node = string(node[:end])
	}
	if !bytes.HasPrefix(line, []byte("type=")) {
		at := bytes.Index(line[:min(len(line), 300)], []byte(" type="))
		if at < 0 {
			return h, errNoHeader
		}
		line = line[at+1:]
	}
	line = line[len("type="):]
	end := bytes.IndexByte(line, ' ')
	if end <= 0 || end > 64 {
		return h, errNoHeader
	}
	h.typ = line[:end]
	rest, ok := bytes.CutPrefix(line[end+1:], []byte("msg=audit("))
	if !ok {
		return h, errNoHeader
	}
	end = bytes.IndexByte(rest, ')')
	if end <= 0 || end > 48 {
		return h, errNoHeader
	}
	h.id = string(rest[:end])
	h.rest = bytes.TrimPrefix(rest[end+1:], []byte(":"))
	h.time, err = parseTime(rest[:end])
	return h, err
}

var errNoHeader = errors.New("no type=… msg=audit(…) at its beginning")

func parseTime(id []byte) (time.Time, error) {
	seconds, rest, ok := bytes.Cut(id, []byte("."))
	millis, serial, ok2 := bytes.Cut(rest, []byte(":"))
	s, err := strconv.ParseInt(string(seconds), 10, 64)
	ms, err2 := strconv.ParseUint(string(millis), 10, 16)
	_, err3 := strconv.ParseUint(string(serial), 10, 64)
	switch {
	case !ok || !ok2 || err != nil || err2 != nil || err3 != nil || ms > 999:
		return time.Time{}, errors.New("its time and serial number cannot be read")
	case s < earliest || s > latest:
		return time.Time{}, fmt.Errorf("its time is in the year %d: a wrong clock", time.Unix(max(min(s, 1<<40), -1<<40), 0).UTC().Year())
	}
	return time.Unix(s, int64(ms)*int64(time.Millisecond)).UTC(), nil
}

// field is one name=value of a line.
type field struct {
	name  []byte
	value []byte
	// quoted marks a value in double quotes, which is as it stands; a text
	// without them is in hexadecimal.
	quoted bool
}

// next takes the next field off the rest of a line; ok is false at the end. What
// is no name=value, such as a word in a message, is skipped. The byte 0x1d
// divides what the kernel wrote from what the daemon added.
func next(rest []byte) (f field, after []byte, ok bool) {
	for {
		rest = bytes.TrimLeft(rest, " \x1d,'")
		if len(rest) == 0 {
			return f, nil, false
		}
		i := 0
		for i < len(rest) && rest[i] != '=' && rest[i] != ' ' && rest[i] != 0x1d {
			i++
		}
		if i == len(rest) || rest[i] != '=' {
			rest = rest[i:]
			continue
		}
		f.name = rest[:i]
		rest = rest[i+1:]
		if len(rest) > 0 && rest[0] == '"' {
			end := bytes.IndexByte(rest[1:], '"')
			if end < 0 { // cut: the rest is the value
				f.value, f.quoted = rest[1:], true
				return f, nil, true
			}
			f.value, f.quoted = rest[1:1+end], true
			return f, rest[end+2:], true
		}
		if len(rest) > 0 && rest[0] == '\'' { // a nested message: go into it
			rest = rest[1:]
			continue
		}
		end := bytes.IndexAny(rest, " \x1d'")
		if end < 0 {
			end = len(rest)
		}
		f.value = rest[:end]
		return f, rest[end:], true
	}
}

// text returns a value that a user controls: quoted as it stands, otherwise in
// hexadecimal; "" for (null) and ?.
func (f field) text() string {
	if f.quoted {
		return string(f.value)
	}
	switch string(f.value) {
	case "(null)", "(none)", "?", "":
		return ""
	}
	if len(f.value)%2 == 0 {
		if plain, err := hex.DecodeString(string(f.value)); err == nil {
			return string(plain)
		}
	}
	return string(f.value)
}
