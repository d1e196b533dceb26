package tofu

import (
	"strconv"

	"github.com/penumbra-iac/penumbra"
)

// leaf is a setting together with its place in the configuration language:
// the names on the way to it without the keys of list elements, each ended by
// a NUL because a map's key may hold any other byte.
type leaf struct {
	penumbra.Setting
	config string
}

// flattener turns JSON values into settings. It names paths as
// [penumbra.Flatten] does, and carries the marks that the technology keeps in
// trees beside the value. The zero value but for key is ready; it remembers
// each path it has built, since resources of a type have the same ones.
type flattener struct {
	key            penumbra.Key
	paths, configs map[[2]string]string
	out            []leaf
}

// settings returns the settings of a value, sealed.
func (f *flattener) settings(value, sensitive any, s *shape) penumbra.Settings {
	return settingsOf(f.leaves(value, nil, sensitive, s))
}

func settingsOf(leaves []leaf) penumbra.Settings {
	out := make(penumbra.Settings, len(leaves))
	for i, l := range leaves {
		out[i] = l.Setting
	}
	return penumbra.NewSettings(out...)
}

// leaves returns the same, unsorted, with what the unknown tree marks as known
// only after an apply. The result is valid until the next call.
func (f *flattener) leaves(value, unknown, sensitive any, s *shape) []leaf {
	f.out = f.out[:0]
	f.walk(place{}, value, unknown, sensitive, s)
	return f.out
}

// place is where the walk is.
type place struct{ path, config string }

func (f *flattener) walk(at place, value, unknown, sensitive any, s *shape) {
	if s != nil && s.Sensitive {
		sensitive = true
	}
	if unknown == true {
		f.emit(at, penumbra.Unknown(), sensitive == true)
		return
	}
	switch value := value.(type) {
	case map[string]any:
		for name, x := range value {
			f.walk(f.field(at, name), x, markOf(unknown, name), markOf(sensitive, name), s.field(name))
		}
		f.unknownFields(at, value, unknown)
	case []any:
		f.list(at, value, unknown, sensitive, s)
	case nil:
		f.unknownFields(at, nil, unknown)
	default:
		f.emit(at, penumbra.Scalar(value), sensitive == true)
	}
}

// unknownFields emits what an object's unknown tree has and its value has not.
func (f *flattener) unknownFields(at place, value map[string]any, unknown any) {
	marks, _ := unknown.(map[string]any)
	for name, mark := range marks {
		if _, known := value[name]; !known {
			f.walk(f.field(at, name), nil, mark, nil, nil)
		}
	}
}

func (f *flattener) list(at place, list []any, unknown, sensitive any, s *shape) {
	set := s != nil && s.Set
	for i, key := range penumbra.ElementKeys(list, set) {
		mark := markAt(sensitive, i)
		name := f.elementName(at.path, list[i], key, set, mark, s.elem())
		if key.Member {
			f.emit(place{f.join(at.path, name), at.config}, penumbra.Bool(true), false)
			continue
		}
		f.walk(place{f.join(at.path, name), at.config}, list[i], markAt(unknown, i), mark, s.elem())
	}
}

// elementName is the key of an element, sealed where it would tell a secret:
// the members of a set are named by their value, and objects in a set by an
// unkeyed digest that a weak password could be guessed from.
func (f *flattener) elementName(path string, element any, key penumbra.ElementKey, set bool, mark any, s *shape) string {
	value := penumbra.String(key.Name)
	secret := key.Member && mark == true || penumbra.LooksSecret(path, value)
	if set && !key.Member && (hasMark(mark) || s.hasSensitive()) {
		object, _ := element.(map[string]any)
		secret = secret || key.Name != object["name"] && key.Name != object["key"] && key.Name != object["id"]
	}
	if !secret {
		return key.Name
	}
	return penumbra.ShortPrefix + f.key.Short(value)
}

func (f *flattener) emit(at place, v penumbra.Value, sensitive bool) {
	if v.IsNull() || at.path == "" {
		return
	}
	one := penumbra.Settings{{Path: at.path, Value: v, Sensitive: sensitive}}
	f.key.SealSettings(one)
	f.out = append(f.out, leaf{one[0], at.config})
}

func (f *flattener) field(at place, name string) place {
	return place{f.join(at.path, name), f.append(at.config, name)}
}

func (f *flattener) join(path, step string) string {
	if path == "" {
		return step
	}
	return remember(&f.paths, path, step, penumbra.JoinPath)
}

func (f *flattener) append(config, name string) string {
	return remember(&f.configs, config, name, func(config, name string) string { return config + name + "\x00" })
}

// remember returns what build makes of two strings, the same string each time.
func remember(known *map[[2]string]string, a, b string, build func(a, b string) string) string {
	if s, ok := (*known)[[2]string{a, b}]; ok {
		return s
	}
	if *known == nil {
		*known = make(map[[2]string]string)
	}
	s := build(a, b)
	(*known)[[2]string{a, b}] = s
	return s
}

// markOf returns the mark below name in a tree of marks: true for all below.
func markOf(mark any, name string) any {
	switch mark := mark.(type) {
	case bool:
		return mark
	case map[string]any:
		return mark[name]
	}
	return nil
}

// markAt returns the mark of a list's element. A raw state names elements by
// their index as text, since it lists only the marked ones.
func markAt(mark any, i int) any {
	if list, ok := mark.([]any); ok {
		if i < len(list) {
			return list[i]
		}
		return nil
	}
	return markOf(mark, strconv.Itoa(i))
}

// hasMark reports whether anything in a tree of marks is marked.
func hasMark(mark any) bool {
	switch mark := mark.(type) {
	case bool:
		return mark
	case map[string]any:
		for _, m := range mark {
			if hasMark(m) {
				return true
			}
		}
	case []any:
		for _, m := range mark {
			if hasMark(m) {
				return true
			}
		}
	}
	return false
}
