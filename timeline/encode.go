package timeline

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// An Encoder writes observations as a timeline file. The same observation
// always gives the same bytes.
type Encoder struct {
	w   io.Writer
	buf []byte
}

// NewEncoder returns an encoder that writes to w, one Write a line.
func NewEncoder(w io.Writer) *Encoder { return &Encoder{w: w} }

// Encode writes one observation. It returns an error of kind Invalid, and
// writes nothing, if a [Decoder] could not read the line back. A secret is
// always listed as sensitive; invalid UTF-8 becomes U+FFFD.
func (e *Encoder) Encode(o *penumbra.Observation) error {
	if err := writable(o); err != nil {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("write observation of %q", o.Resource), Err: err}
	}
	b := append(e.buf[:0], `{"kind":"`...)
	b = append(b, o.Kind.String()...)
	b = append(b, `","time":"`...)
	b = o.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	b = appendText(b, "resource", string(o.Resource))
	b = appendText(b, "type", o.Type)
	b = appendText(b, "source", o.Source)
	b = appendText(b, "id", o.ID)
	b = appendText(b, "actor", o.Actor)
	if o.ActorKind != penumbra.UnknownActor {
		b = appendText(b, "actor_kind", o.ActorKind.String())
	}
	b = appendText(b, "action", o.Action)
	b = appendText(b, "message", o.Message)
	if o.Full {
		b = append(b, `,"full":true`...)
	}
	b = appendText(b, "not_checked", o.NotChecked)
	b = appendSettings(b, "settings", o.Settings)
	b = appendPaths(b, "sensitive", isSensitive, o.Settings, o.Applied)
	b = appendPaths(b, "unknown", isUnknown, o.Settings)
	b = appendSettings(b, "applied", o.Applied)
	b = appendMetrics(b, o.Metrics)
	if !o.Seen.IsZero() {
		b = append(b, `,"seen":"`...)
		b = o.Seen.UTC().AppendFormat(b, time.RFC3339Nano)
		b = append(b, '"')
	}
	b = append(b, "}\n"...)
	e.buf = b
	_, err := e.w.Write(b)
	return err
}

// writable returns why a decoder would refuse the observation.
func writable(o *penumbra.Observation) error {
	if err := o.Check(); err != nil {
		return err
	}
	if o.Time.Before(minTime) || o.Time.After(maxTime) {
		return fmt.Errorf("time %v is not between the years 1678 and 2262", o.Time)
	}
	for _, x := range o.Applied {
		if isUnknown(x) {
			return fmt.Errorf("applied: %q cannot be unknown", x.Path)
		}
	}
	for _, m := range o.Metrics {
		if m.Directed && m.Worse > penumbra.Down {
			return fmt.Errorf("metric %q is worse in no known direction", m.Name)
		}
		if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
			return fmt.Errorf("metric %q is %v", m.Name, m.Value)
		}
	}
	return nil
}

func isSensitive(x penumbra.Setting) bool {
	return x.Sensitive || x.Value.Kind() == penumbra.SecretKind
}

func isUnknown(x penumbra.Setting) bool { return x.Value.Kind() == penumbra.UnknownKind }

// appendText appends a field, nothing if its value is empty.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendQuoted(b, value)
}

func appendSettings(b []byte, name string, s penumbra.Settings) []byte {
	if len(s) == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `":{`...)
	for i, x := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, x.Path)
		b = append(b, ':')
		b = appendValue(b, x.Value)
	}
	return append(b, '}')
}

func appendValue(b []byte, v penumbra.Value) []byte {
	switch v.Kind() {
	case penumbra.NullKind, penumbra.UnknownKind:
		return append(b, "null"...)
	case penumbra.BoolKind, penumbra.NumberKind:
		return append(b, v.Text()...)
	default:
		return appendQuoted(b, v.Text())
	}
}

// appendPaths appends the list of paths at which is holds, nothing if there
// are none.
func appendPaths(b []byte, name string, is func(penumbra.Setting) bool, lists ...penumbra.Settings) []byte {
	started := false
	for _, s := range lists {
		for _, x := range s {
			if !is(x) {
				continue
			}
			if started {
				b = append(b, ',')
			} else {
				b = append(b, ',', '"')
				b = append(b, name...)
				b = append(b, `":[`...)
				started = true
			}
			b = appendQuoted(b, x.Path)
		}
	}
	if started {
		b = append(b, ']')
	}
	return b
}

func appendMetrics(b []byte, metrics []penumbra.Metric) []byte {
	if len(metrics) == 0 {
		return b
	}
	b = append(b, `,"metrics":{`...)
	for i, m := range metrics {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, m.Name)
		b = append(b, ':')
		b = strconv.AppendFloat(b, m.Value, 'g', -1, 64)
	}
	return appendDirections(append(b, '}'), metrics)
}

// appendDirections appends which way metrics move when performance drops, nothing
// if none says.
func appendDirections(b []byte, metrics []penumbra.Metric) []byte {
	started := false
	for _, m := range metrics {
		if !m.Directed {
			continue
		}
		if started {
			b = append(b, ',')
		} else {
			b = append(b, `,"worse":{`...)
			started = true
		}
		b = appendQuoted(b, m.Name)
		b = append(b, ':')
		b = appendQuoted(b, m.Worse.String())
	}
	if started {
		b = append(b, '}')
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < ' ' || c == '"' || c == '\\' {
				b = append(b, s[start:i]...)
				b = appendEscaped(b, c)
				start = i + 1
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\ufffd"...)
			start = i + 1
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\t':
		return append(b, '\\', 't')
	case '\r':
		return append(b, '\\', 'r')
	default:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
}
