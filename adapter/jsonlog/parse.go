// Package jsonlog reads logs whose lines are JSON objects of any shape: what
// time, who, what and on what? [Parser] reads one line by the names of its
// fields, which can be configured and are otherwise those of common loggers;
// [Handler] takes lines over HTTP and answers when they are kept. Use it for
// applications' own logs, and for what a program sends that has no other way.
//
// It guarantees that a line that cannot be read is an error with its reason and
// costs no other line, that texts are redacted and values under secret names
// sealed, and that an answer of success means that the lines are kept.
package jsonlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// MaxLine is the longest line read, in bytes.
const MaxLine = 1 << 20

// maxAttributes bounds what is kept of one line beside the named fields, and
// maxText the length of each.
const (
	maxAttributes = 64
	maxText       = 1024
)

// Fields says under which names a line has what, each a list of which the first
// that is there counts. Dots lead into nested objects ("user.name"); a field
// whose name has dots in it is found as well.
type Fields struct {
	Time, Actor, Action, Targets, Message, ID []string
	// Settings names objects whose leaves are the settings touched.
	Settings []string
	// Failed names the field with the reason of a failure.
	Failed []string
}

// DefaultFields are the names that common loggers use: the Elastic Common
// Schema, zap, logrus, slog, pino, bunyan, Docker's json-file.
func DefaultFields() Fields {
	return Fields{
		Time:     []string{"@timestamp", "timestamp", "time", "ts", "eventTime", "datetime", "date", "t"},
		Actor:    []string{"user.name", "actor.name", "actor", "user.id", "user", "username", "principal"},
		Action:   []string{"event.action", "action", "operation", "verb"},
		Targets:  []string{"resource.id", "resource.name", "resource", "targets", "target", "object", "file.path"},
		Message:  []string{"message", "msg", "log", "short_message"},
		ID:       []string{"event.id", "id", "uuid"},
		Settings: []string{"settings", "changes"},
		Failed:   []string{"error.message", "error", "err"},
	}
}

// Parser reads lines. It is safe for concurrent use.
type Parser struct {
	input  string
	fields Fields
	key    penumbra.Key
	now    func() time.Time
}

// NewParser returns a parser for the input of that name. Lists of fields that
// are empty take the names of [DefaultFields]. key seals secrets. now, nil for
// the system's clock, is the time of lines that have none.
func NewParser(input string, fields Fields, key penumbra.Key, now func() time.Time) *Parser {
	d := DefaultFields()
	for _, f := range []struct{ have, use *[]string }{
		{&fields.Time, &d.Time}, {&fields.Actor, &d.Actor}, {&fields.Action, &d.Action}, {&fields.Targets, &d.Targets},
		{&fields.Message, &d.Message}, {&fields.ID, &d.ID}, {&fields.Settings, &d.Settings}, {&fields.Failed, &d.Failed},
	} {
		if len(*f.have) == 0 {
			*f.have = *f.use
		}
	}
	if now == nil {
		now = time.Now
	}
	return &Parser{input, fields, key, now}
}

// Parse reads one line. An empty line gives nothing. The error says what is
// wrong with the line.
func (p *Parser) Parse(line []byte) ([]penumbra.Record, error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil, nil
	}
	if len(line) > MaxLine {
		return nil, fmt.Errorf("a line of %d bytes, the most is %d", len(line), MaxLine)
	}
	fields, err := object(line)
	if err != nil {
		return nil, err
	}
	// Docker wraps a line into {"log": "…\n", "stream": "stdout", "time": "…"}.
	if inner, ok := fields["log"].(string); ok && fields["stream"] != nil {
		if in, err := object([]byte(inner)); err == nil {
			if first(in, p.fields.Time) == nil {
				in["time"] = fields["time"]
			}
			fields = in
		}
	}
	r, err := p.record(fields)
	if err != nil {
		return nil, err
	}
	return []penumbra.Record{r}, nil
}

// object reads a line that is one JSON object.
func object(line []byte) (map[string]any, error) {
	if line = bytes.TrimSpace(line); len(line) == 0 || line[0] != '{' {
		return nil, errors.New("not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber() // identifiers do not fit a float
	var fields map[string]any
	if err := d.Decode(&fields); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value in the line")
	}
	return fields, nil
}

func (p *Parser) record(fields map[string]any) (penumbra.Record, error) {
	f := &p.fields
	r := penumbra.Record{Format: "json", Input: p.input, Attributes: map[string]string{}}
	if v := first(fields, f.Time); v == nil {
		r.Time = p.now().UTC()
		r.Attributes["time_note"] = "no time, that of its arrival is used"
	} else if t, ok := readTime(v); ok {
		r.Time = t
	} else {
		return r, fmt.Errorf("time %.40q cannot be read", text(v))
	}
	if r.Time.Sub(p.now()) > 5*time.Minute {
		r.Attributes["time_note"] = "its clock is ahead"
	}
	r.ID = clean(first(fields, f.ID))
	r.Actor = clean(first(fields, f.Actor))
	r.Action = clean(first(fields, f.Action))
	r.Message = penumbra.Redact(strings.TrimRight(text(first(fields, f.Message)), "\n"))
	r.Failed = clean(first(fields, f.Failed))
	r.Targets = targets(first(fields, f.Targets))
	for _, name := range f.Settings {
		if v, ok := lookup(fields, name).(map[string]any); ok {
			var s []penumbra.Setting
			settings("", v, &s)
			r.Settings = penumbra.NewSettings(s...)
			p.key.SealSettings(r.Settings)
			break
		}
	}
	p.attributes(&r, "", fields)
	if r.Action == "" && r.Message == "" {
		return r, errors.New("neither an action nor a message: name their fields in the input's configuration")
	}
	return r, nil
}

// attributes keeps the other scalars, by name, as far as there is room.
func (p *Parser) attributes(r *penumbra.Record, prefix string, fields map[string]any) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names) // so that the same line always keeps the same ones
	for _, name := range names {
		path := prefix + name
		if len(r.Attributes) >= maxAttributes || len(path) > 200 {
			return
		}
		if p.named(path) {
			continue
		}
		switch v := fields[name].(type) {
		case map[string]any:
			if strings.Count(path, ".") < 4 {
				p.attributes(r, path+".", v)
			}
		case nil, []any:
		default:
			s := text(v)
			if penumbra.LooksSecret(path, penumbra.String(s)) {
				s = p.key.Seal(penumbra.String(s)).Text()
			} else if _, ok := v.(string); ok && len(s) >= 12 {
				s = penumbra.Redact(s)
			}
			r.Attributes[path] = s[:min(len(s), maxText)]
		}
	}
}

// named reports whether a field has a place of its own in the record.
func (p *Parser) named(path string) bool {
	f := &p.fields
	return slices.Contains(f.Time, path) || slices.Contains(f.Message, path) || slices.Contains(f.Settings, path)
}

func first(fields map[string]any, names []string) any {
	for _, name := range names {
		v := lookup(fields, name)
		if m, nested := v.(map[string]any); nested && m != nil {
			continue // the object around the name that is meant
		}
		if v != nil && v != "" {
			return v
		}
	}
	return nil
}

// lookup finds "a.b" as the field of that name or as b in the object a.
func lookup(fields map[string]any, name string) any {
	if v, ok := fields[name]; ok {
		return v
	}
	head, rest, nested := strings.Cut(name, ".")
	if !nested {
		return nil
	}
	inner, ok := fields[head].(map[string]any)
	if !ok {
		return nil
	}
	return lookup(inner, rest)
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func clean(v any) string {
	s := text(v)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return penumbra.Redact(s)
}

func targets(v any) []string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []string
	for _, x := range list[:min(len(list), 64)] {
		if m, ok := x.(map[string]any); ok {
			x = first(m, []string{"id", "arn", "name", "path"})
		}
		if s := clean(x); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// maxSettings bounds the settings of one line.
const maxSettings = 1000

// settings flattens an object. Of {"old": …, "new": …} the new value counts.
func settings(prefix string, v any, out *[]penumbra.Setting) {
	if len(*out) >= maxSettings {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if next, ok := v["new"]; ok && prefix != "" {
			if _, was := v["old"]; was {
				settings(prefix, next, out)
				return
			}
		}
		for name, x := range v {
			settings(join(prefix, name), x, out)
		}
	case []any:
		for i, x := range v {
			settings(join(prefix, strconv.Itoa(i)), x, out)
		}
	case string:
		*out = append(*out, penumbra.Setting{Path: prefix, Value: penumbra.String(v)})
	case bool:
		*out = append(*out, penumbra.Setting{Path: prefix, Value: penumbra.Bool(v)})
	case json.Number:
		if f, err := v.Float64(); err == nil {
			*out = append(*out, penumbra.Setting{Path: prefix, Value: penumbra.Number(f)})
		}
	case nil:
		*out = append(*out, penumbra.Setting{Path: prefix, Value: penumbra.Null()})
	}
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999 MST", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.RFC1123Z, time.RFC1123}

// readTime reads a date, or a number of seconds, milli-, micro- or nanoseconds
// since 1970, told apart by its size: seconds reach 10^11 in the year 5138.
// A date without a zone is UTC.
func readTime(v any) (time.Time, bool) {
	var s string
	switch v := v.(type) {
	case string:
		s = strings.TrimSpace(v)
		for _, layout := range layouts {
			if t, err := time.Parse(layout, s); err == nil {
				return t.UTC(), t.Year() > 0
			}
		}
	case json.Number:
		s = v.String()
	default:
		return time.Time{}, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n <= 0:
			return time.Time{}, false
		case n < 1e11:
			return time.Unix(n, 0).UTC(), true
		case n < 1e14:
			return time.UnixMilli(n).UTC(), true
		case n < 1e17:
			return time.UnixMicro(n).UTC(), true
		}
		return time.Unix(0, n).UTC(), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0) || f > math.MaxInt64/2 {
		return time.Time{}, false
	}
	for f >= 1e11 {
		f /= 1000
	}
	whole, part := math.Modf(f)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000).UTC(), true
}
