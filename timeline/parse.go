package timeline

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/penumbra-iac/penumbra"
)

// parser turns one line into an observation. It is kept from line to line for
// its buffers and for the strings that it has seen before.
type parser struct {
	scan     scanner
	source   string // of lines that name none
	interned map[string]string

	settings []penumbra.Setting // buffer
	given    uint32             // the fields that this line had so far
}

// Strings up to maxInterned bytes are kept once for all observations that have
// them: paths, types, addresses and most values repeat. When internedStrings
// are known the table starts anew, so that it cannot grow without bound.
const (
	maxInterned     = 128
	internedStrings = 1 << 18
)

func (p *parser) intern(b []byte) string {
	if len(b) > maxInterned {
		return string(b)
	}
	if s, ok := p.interned[string(b)]; ok {
		return s
	}
	if p.interned == nil || len(p.interned) >= internedStrings {
		p.interned = make(map[string]string)
	}
	s := string(b)
	p.interned[s] = s
	return s
}

// line is what a line holds before its lists of paths are applied.
type line struct {
	penumbra.Observation
	sensitive []string
	unknown   []string
	worse     []penumbra.Metric // names and directions
}

// parse reads a line. An error says in plain words what is wrong with it and
// never quotes a setting's value.
func (p *parser) parse(data []byte) (penumbra.Observation, error) {
	if !utf8.Valid(data) {
		return penumbra.Observation{}, fmt.Errorf("not valid UTF-8")
	}
	p.scan.data, p.scan.pos, p.given = data, 0, 0
	l := line{}
	if err := p.scan.object(func(key []byte) error { return p.field(&l, key) }); err != nil {
		return penumbra.Observation{}, err
	}
	if p.scan.next(); p.scan.pos < len(data) {
		return penumbra.Observation{}, p.scan.unexpected("the end of the line")
	}
	if l.Source == "" {
		l.Source = p.source
	}
	if err := l.mark(); err != nil {
		return penumbra.Observation{}, err
	}
	if err := l.direct(); err != nil {
		return penumbra.Observation{}, err
	}
	return l.Observation, l.Check()
}

// The fields of a line, in the order in which an Encoder writes them.
var fields = [...]string{
	"kind", "time", "resource", "type", "source", "id",
	"actor", "actor_kind", "action", "message",
	"full", "not_checked", "settings", "sensitive", "unknown", "applied",
	"metrics", "worse", "seen",
}

// field reads the value of one field.
func (p *parser) field(l *line, key []byte) error {
	i := slices.IndexFunc(fields[:], func(name string) bool { return name == string(key) })
	if i < 0 {
		return p.scan.skip(1)
	}
	name := fields[i]
	if p.given&(1<<i) != 0 {
		return fmt.Errorf("%s is given twice", name)
	}
	p.given |= 1 << i
	if p.scan.null() {
		return nil
	}
	switch name {
	case "kind":
		return p.enum(name, l.Kind.UnmarshalText)
	case "time":
		return p.time(name, &l.Time)
	case "seen":
		return p.time(name, &l.Seen)
	case "resource":
		return p.string(name, (*string)(&l.Resource))
	case "type":
		return p.string(name, &l.Type)
	case "source":
		return p.string(name, &l.Source)
	case "id":
		return p.string(name, &l.ID)
	case "actor":
		return p.string(name, &l.Actor)
	case "actor_kind":
		return p.enum(name, l.ActorKind.UnmarshalText)
	case "action":
		return p.string(name, &l.Action)
	case "message":
		return p.string(name, &l.Message)
	case "full":
		return p.bool(name, &l.Full)
	case "not_checked":
		return p.string(name, &l.NotChecked)
	case "settings":
		return p.settingsOf(name, &l.Settings)
	case "applied":
		return p.settingsOf(name, &l.Applied)
	case "sensitive":
		return p.paths(name, &l.sensitive)
	case "unknown":
		return p.paths(name, &l.unknown)
	case "worse":
		return p.directions(name, &l.worse)
	default: // "metrics"
		return p.metrics(name, &l.Metrics)
	}
}

// want returns an error unless a value that begins with first follows.
func (p *parser) want(name string, first byte, what string) error {
	c := p.scan.next()
	switch {
	case c == first:
		return nil
	case strings.IndexByte(`{["tfn-0123456789`, c) < 0:
		return p.scan.unexpected("a value")
	default:
		return fmt.Errorf("%s must be %s, not %s", name, what, typeOf(c))
	}
}

func (p *parser) text(name string) ([]byte, error) {
	if err := p.want(name, '"', "a string"); err != nil {
		return nil, err
	}
	return p.scan.text()
}

func (p *parser) string(name string, to *string) error {
	b, err := p.text(name)
	*to = p.intern(b)
	return err
}

func (p *parser) enum(name string, unmarshal func([]byte) error) error {
	b, err := p.text(name)
	if err != nil {
		return err
	}
	return unmarshal(b[:min(len(b), 40)])
}

func (p *parser) bool(name string, to *bool) error {
	switch c := p.scan.next(); c {
	case 't':
		*to = true
		return p.scan.literal("true")
	case 'f':
		return p.scan.literal("false")
	default:
		return p.want(name, 't', "true or false")
	}
}

// The first and the last time whose nanoseconds since 1970 fit in 64 bits:
// identities and stores count in them.
var (
	minTime = time.Unix(0, math.MinInt64)
	maxTime = time.Unix(0, math.MaxInt64)
)

func (p *parser) time(name string, to *time.Time) error {
	b, err := p.text(name)
	if err != nil {
		return err
	}
	b = b[:min(len(b), 40)]
	if err := to.UnmarshalText(b); err != nil {
		return fmt.Errorf("%s: %q is not a time of RFC 3339, such as 2026-03-01T09:12:44Z", name, b)
	}
	if to.Before(minTime) || to.After(maxTime) {
		return fmt.Errorf("%s: %q is not between the years 1678 and 2262", name, b)
	}
	*to = to.UTC()
	return nil
}

func (p *parser) settingsOf(name string, to *penumbra.Settings) error {
	if err := p.want(name, '{', "an object"); err != nil {
		return err
	}
	p.settings = p.settings[:0]
	sorted := true
	err := p.scan.object(func(key []byte) error {
		path := p.intern(key)
		v, err := p.value(name, path)
		if n := len(p.settings); n > 0 && p.settings[n-1].Path >= path {
			sorted = false
		}
		p.settings = append(p.settings, penumbra.Setting{Path: path, Value: v})
		return err
	})
	if err != nil {
		return err
	}
	if !sorted {
		slices.SortFunc(p.settings, func(a, b penumbra.Setting) int { return cmp.Compare(a.Path, b.Path) })
		for i := 1; i < len(p.settings); i++ {
			if p.settings[i].Path == p.settings[i-1].Path {
				return fmt.Errorf("%s: %q is given twice", name, p.settings[i].Path)
			}
		}
	}
	if len(p.settings) > 0 {
		*to = slices.Clone(p.settings)
	}
	return nil
}

// value reads a setting's value.
func (p *parser) value(name, path string) (penumbra.Value, error) {
	switch c := p.scan.next(); c {
	case '"':
		b, err := p.scan.text()
		return penumbra.String(p.intern(b)), err
	case 't':
		return penumbra.Bool(true), p.scan.literal("true")
	case 'f':
		return penumbra.Bool(false), p.scan.literal("false")
	case 'n':
		return penumbra.Null(), p.scan.literal("null")
	case '{', '[':
		return penumbra.Null(), fmt.Errorf("%s: %q is %s: flatten it into a path for each scalar in it", name, path, typeOf(c))
	default:
		if c != '-' && (c < '0' || c > '9') {
			return penumbra.Null(), p.scan.unexpected("a value")
		}
		b, err := p.scan.number()
		if err != nil {
			return penumbra.Null(), err
		}
		v, err := penumbra.ParseNumber(p.intern(b))
		if err != nil {
			return penumbra.Null(), fmt.Errorf("%s: the number %q is too large", name, path)
		}
		return v, nil
	}
}

func (p *parser) paths(name string, to *[]string) error {
	if err := p.want(name, '[', "a list of paths"); err != nil {
		return err
	}
	return p.scan.array(func() error {
		b, err := p.text("each path in " + name)
		*to = append(*to, p.intern(b))
		return err
	})
}

func (p *parser) metrics(name string, to *[]penumbra.Metric) error {
	if err := p.want(name, '{', "an object"); err != nil {
		return err
	}
	err := p.scan.object(func(key []byte) error {
		metric := p.intern(key)
		if c := p.scan.next(); c != '-' && (c < '0' || c > '9') {
			return p.want(fmt.Sprintf("%s: %q", name, metric), '0', "a number")
		}
		b, err := p.scan.number()
		if err != nil {
			return err
		}
		f, err := strconv.ParseFloat(string(b), 64)
		if err != nil {
			return fmt.Errorf("%s: the number %q is too large", name, metric)
		}
		*to = append(*to, penumbra.Metric{Name: metric, Value: f})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(*to, func(a, b penumbra.Metric) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(*to); i++ {
		if (*to)[i].Name == (*to)[i-1].Name {
			return fmt.Errorf("%s: %q is given twice", name, (*to)[i].Name)
		}
	}
	return nil
}

// directions reads which way metrics move when performance drops.
func (p *parser) directions(name string, to *[]penumbra.Metric) error {
	if err := p.want(name, '{', "an object"); err != nil {
		return err
	}
	return p.scan.object(func(key []byte) error {
		m := penumbra.Metric{Name: p.intern(key), Directed: true}
		if slices.ContainsFunc(*to, func(x penumbra.Metric) bool { return x.Name == m.Name }) {
			return fmt.Errorf("%s: %q is given twice", name, m.Name)
		}
		of := fmt.Sprintf("%s: %q", name, m.Name)
		b, err := p.text(of)
		if err != nil {
			return err
		}
		if err := m.Worse.UnmarshalText(b[:min(len(b), 40)]); err != nil {
			return fmt.Errorf("%s: %w", of, err)
		}
		*to = append(*to, m)
		return nil
	})
}

// direct gives the metrics their directions.
func (l *line) direct() error {
	for _, w := range l.worse {
		i := slices.IndexFunc(l.Metrics, func(m penumbra.Metric) bool { return m.Name == w.Name })
		if i < 0 {
			return fmt.Errorf("worse: %q is not in metrics", w.Name)
		}
		l.Metrics[i].Worse, l.Metrics[i].Directed = w.Worse, true
	}
	return nil
}

// mark applies the lists of sensitive and unknown paths.
func (l *line) mark() error {
	if len(l.unknown) > 0 {
		open := make([]penumbra.Setting, len(l.unknown))
		for i, path := range l.unknown {
			if !l.Settings.Get(path).IsNull() {
				return fmt.Errorf("unknown: %q has a value in settings", path)
			}
			open[i] = penumbra.Setting{Path: path, Value: penumbra.Unknown()}
		}
		l.Settings = l.Settings.Merge(penumbra.NewSettings(open...))
	}
	slices.Sort(l.sensitive)
	for _, path := range slices.Compact(l.sensitive) {
		markSensitive(l.Settings, path)
		markSensitive(l.Applied, path)
	}
	return nil
}

// markSensitive marks the settings at path and below it, and restores secrets
// from the text of their keyed hashes.
func markSensitive(s penumbra.Settings, path string) {
	mark := func(x *penumbra.Setting) {
		x.Sensitive = true
		if secret, ok := penumbra.Secret(x.Value.Text()); ok && x.Value.Kind() == penumbra.StringKind {
			x.Value = secret
		}
	}
	search := func(path string) (int, bool) {
		return slices.BinarySearchFunc(s, path, func(x penumbra.Setting, p string) int { return cmp.Compare(x.Path, p) })
	}
	if i, found := search(path); found {
		mark(&s[i])
	}
	below := path + "."
	for i, _ := search(below); i < len(s) && strings.HasPrefix(s[i].Path, below); i++ {
		mark(&s[i])
	}
}
