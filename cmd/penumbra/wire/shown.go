package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Shown is a key of the configuration and what holds for it, in words.
type Shown struct{ Part, Key, Value string }

// File is the configuration file that was read, "" if there was none.
func (c *Config) File() string { return c.file }

// Show lists what the configuration comes to, defaults included, by parts in the
// order of the file. Nothing secret is in it: of connections only that there is
// one, of everything else what is left after redaction.
func (c *Config) Show() []Shown {
	var out []Shown
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("koanf")
		if key == "-" || key == "" {
			continue
		}
		part := "General"
		switch field := v.Field(i); field.Kind() {
		case reflect.Struct, reflect.Slice:
			if field.Kind() != reflect.Slice || field.Type().Elem().Kind() == reflect.Struct {
				part = strings.ToUpper(key[:1]) + strings.ReplaceAll(key[1:], "_", " ")
			}
		}
		flat(v.Field(i), key, func(key, value string) { out = append(out, Shown{part, key, value}) })
	}
	// General comes first, the parts keep their order.
	slices.SortStableFunc(out, func(a, b Shown) int {
		switch {
		case a.Part == b.Part:
			return 0
		case a.Part == "General":
			return -1
		case b.Part == "General":
			return 1
		}
		return 0
	})
	return out
}

// hiddenKeys are those whose values may hold credentials without looking like it.
var hiddenKeys = []string{"connection", "token", "password", "secret", "key", "extra_vars", "headers"}

// flat walks a value of the configuration; what is empty is left out.
func flat(v reflect.Value, key string, emit func(key, value string)) {
	if d, ok := v.Interface().(time.Duration); ok {
		if d != 0 {
			emit(key, d.String())
		}
		return
	}
	last := key[strings.LastIndex(key, ".")+1:]
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			flat(v.Elem(), key, emit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := f.Tag.Get("koanf")
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			if f.IsExported() && name != "-" {
				flat(v.Field(i), key+"."+name, emit)
			}
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		for _, k := range keys {
			flat(v.MapIndex(k), fmt.Sprintf("%s.%v", key, k), emit)
		}
	case reflect.Slice:
		if v.Len() > 0 && (v.Type().Elem().Kind() == reflect.Struct || v.Type().Elem().Kind() == reflect.Map) {
			for i := range v.Len() {
				flat(v.Index(i), fmt.Sprintf("%s[%d]", key, i), emit)
			}
			return
		}
		words := make([]string, v.Len())
		for i := range words {
			words[i] = fmt.Sprint(v.Index(i).Interface())
		}
		shown(last, key, strings.Join(words, ", "), emit)
	case reflect.Interface:
		if !v.IsNil() {
			shown(last, key, fmt.Sprint(v.Interface()), emit)
		}
	default:
		if !v.IsZero() {
			shown(last, key, fmt.Sprint(v.Interface()), emit)
		}
	}
}

func shown(last, key, value string, emit func(key, value string)) {
	switch {
	case value == "":
	case slices.Contains(hiddenKeys, last):
		emit(key, "(set, not shown)")
	default:
		emit(key, penumbra.Redact(value))
	}
}
