package knowledge

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/penumbra-iac/penumbra"
)

// scope is what expressions see of one query. Nothing is made before it is
// asked for: most conditions look at one variable.
type scope struct {
	query *penumbra.FactQuery
	tags  penumbra.Settings
	known bool // the tags
}

// ResolveName returns a variable's value.
func (s *scope) ResolveName(name string) (any, bool) {
	q := s.query
	switch name {
	case "value":
		return toCEL(q.Value), true
	case "template":
		return toCEL(q.Template), true
	case "actual":
		return toCEL(q.Actual), true
	case "sensitive":
		return types.Bool(q.Value.Kind() == penumbra.SecretKind), true
	case "settings":
		return settings{q.Settings, q.Declared}, true
	case "declared":
		return settings{q.Declared, nil}, true
	case "tags":
		return settings{s.labels(), nil}, true
	case "type":
		return types.String(q.Type), true
	case "path":
		return types.String(q.Path), true
	case "address":
		return types.String(q.Address.Local()), true
	case "stack":
		return types.String(q.Address.Stack()), true
	case "env":
		return types.String(s.env()), true
	case "hour":
		return types.Int(q.Time.UTC().Hour()), true
	case "weekday":
		return types.Int(q.Time.UTC().Weekday()), true
	}
	return nil, false
}

// Parent is nil: there is no outer scope.
func (s *scope) Parent() cel.Activation { return nil }

// tagPaths are below what the providers keep what users label things with, the
// least telling first.
var tagPaths = [...]string{"labels.", "metadata.0.labels.", "metadata.labels.", "tags_all.", "tags."}

func (s *scope) labels() penumbra.Settings {
	if s.known {
		return s.tags
	}
	s.known = true
	var found []penumbra.Setting
	for _, below := range tagPaths {
		for _, list := range [...]penumbra.Settings{s.query.Declared, s.query.Settings} {
			start, _ := slices.BinarySearchFunc(list, below, func(x penumbra.Setting, p string) int { return strings.Compare(x.Path, p) })
			for _, x := range list[start:] {
				name, ok := strings.CutPrefix(x.Path, below)
				if !ok {
					break
				}
				found = append(found, penumbra.Setting{Path: name, Value: x.Value})
			}
		}
	}
	s.tags = penumbra.NewSettings(found...)
	return s.tags
}

// env is the environment that a tag names, or else a part of the stack's name;
// "production" for short forms of it.
func (s *scope) env() string {
	for _, x := range s.labels() {
		switch strings.ToLower(x.Path) {
		case "env", "environment", "stage":
			return spellEnv(strings.ToLower(x.Value.Text()))
		}
	}
	for _, part := range strings.FieldsFunc(strings.ToLower(s.query.Address.Stack()), func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		switch env := spellEnv(part); env {
		case "production", "staging", "development", "test":
			return env
		}
	}
	return ""
}

func spellEnv(name string) string {
	switch name {
	case "prod", "prd", "live":
		return "production"
	case "stage", "stg":
		return "staging"
	case "dev":
		return "development"
	case "testing":
		return "test"
	}
	return name
}

// toCEL gives a value to an expression. What is secret or not known yet is null:
// nothing can be said of it.
func toCEL(v penumbra.Value) ref.Val {
	switch v.Kind() {
	case penumbra.BoolKind:
		return types.Bool(v.Text() == "true")
	case penumbra.NumberKind:
		if n, err := strconv.ParseInt(v.Text(), 10, 64); err == nil {
			return types.Int(n)
		}
		f, _ := v.Float()
		return types.Double(f)
	case penumbra.StringKind:
		return types.String(v.Text())
	default:
		return types.NullValue
	}
}

// fromCEL takes a value from an expression, null for what is no scalar.
func fromCEL(x ref.Val) penumbra.Value {
	switch x := x.(type) {
	case types.Bool:
		return penumbra.Bool(bool(x))
	case types.Int:
		v, _ := penumbra.ParseNumber(strconv.FormatInt(int64(x), 10))
		return v
	case types.Uint:
		v, _ := penumbra.ParseNumber(strconv.FormatUint(uint64(x), 10))
		return v
	case types.Double:
		return penumbra.Number(float64(x))
	case types.String:
		return penumbra.String(string(x))
	default:
		return penumbra.Null()
	}
}

// settings shows settings to expressions as a map, without making one. What
// first does not have is looked up in second.
type settings struct{ first, second penumbra.Settings }

func (m settings) get(path string) (ref.Val, bool) {
	x, ok := m.first.Find(path)
	if !ok {
		x, ok = m.second.Find(path)
	}
	return toCEL(x.Value), ok
}

// Find returns the value of a path.
func (m settings) Find(key ref.Val) (ref.Val, bool) {
	path, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	if v, ok := m.get(string(path)); ok {
		return v, true
	}
	return nil, false
}

// Get returns the value of a path, an error if there is none.
func (m settings) Get(key ref.Val) ref.Val {
	v, ok := m.Find(key)
	if !ok {
		return types.NewErr("no such key: %v", key)
	}
	return v
}

// Contains reports whether a path is there.
func (m settings) Contains(key ref.Val) ref.Val {
	_, ok := m.Find(key)
	return types.Bool(ok)
}

// merged returns both as one, for what looks at all of them.
func (m settings) merged() penumbra.Settings {
	if len(m.second) == 0 {
		return m.first
	}
	return m.second.Merge(m.first)
}

// Size returns how many paths there are.
func (m settings) Size() ref.Val { return types.Int(len(m.merged())) }

// Iterator goes over the paths, in their order.
func (m settings) Iterator() traits.Iterator {
	list := m.merged()
	paths := make([]ref.Val, len(list))
	for i, x := range list {
		paths[i] = types.String(x.Path)
	}
	return types.DefaultTypeAdapter.NativeToValue(paths).(traits.Lister).Iterator()
}

func (m settings) plain() ref.Val {
	out := map[ref.Val]ref.Val{}
	for _, x := range m.merged() {
		out[types.String(x.Path)] = toCEL(x.Value)
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, out)
}

// Equal compares with another map.
func (m settings) Equal(other ref.Val) ref.Val {
	if o, ok := other.(settings); ok {
		other = o.plain()
	}
	return m.plain().Equal(other)
}

// Type is that of a map.
func (settings) Type() ref.Type { return types.MapType }

// Value returns the settings themselves.
func (m settings) Value() any { return m.merged() }

// ConvertToNative is refused: expressions hand out scalars.
func (settings) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("settings cannot become a %v", t)
}

// ConvertToType gives the map as itself, and nothing else.
func (m settings) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return m
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("settings cannot become a %s", t.TypeName())
}

var _ traits.Mapper = settings{}
