package events

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/penumbra-iac/penumbra"
)

// vocabulary is the paths that resources of one shape have; they share it.
type vocabulary struct {
	digest uint64
	users  int // guarded by the index
	kind   *kind

	paths     []string // sorted, with those of what holds them: "tags" of "tags.team"
	sensitive []string

	once  sync.Once
	plain map[string]string // by letters and digits; "" for several
	bare  map[string]string // the same without indexes

	mu   sync.Mutex
	memo map[string]string
}

// maxMemo bounds the translations that are remembered of a vocabulary.
const maxMemo = 1024

func newVocabulary(digest uint64, k *kind, settings ...penumbra.Settings) *vocabulary {
	v := &vocabulary{digest: digest, kind: k}
	all := make(map[string]bool)
	for _, list := range settings {
		for i := range list {
			at := list[i].Path
			if list[i].Sensitive {
				v.sensitive = append(v.sensitive, at)
			}
			for at != "" && !all[at] {
				all[at] = true
				at = at[:max(0, strings.LastIndexByte(at, '.'))]
			}
		}
	}
	v.paths = slices.Sorted(maps.Keys(all))
	slices.Sort(v.sensitive)
	v.sensitive = slices.Compact(v.sensitive)
	return v
}

// plainPath returns the letters and digits of a path in lower case.
func plainPath(at string) string {
	b := make([]byte, 0, len(at))
	for i := 0; i < len(at); i++ {
		c := at[i]
		if isUpper(c) {
			c |= 0x20
		}
		if isAlphanumeric(c) {
			b = append(b, c)
		}
	}
	return string(b)
}

func (v *vocabulary) build() {
	v.plain, v.bare = make(map[string]string, len(v.paths)), make(map[string]string, len(v.paths))
	put := func(m map[string]string, key, at string) {
		if other, taken := m[key]; taken && other != at {
			at = ""
		}
		m[key] = at
	}
	for _, at := range v.paths {
		put(v.plain, plainPath(at), at)
		if isIndex(at[strings.LastIndexByte(at, '.')+1:]) {
			continue // "spec.0" would be the double of "spec"
		}
		put(v.bare, plainPath(withoutIndexes(at)), at)
	}
}

func isIndex(step string) bool { return strings.Trim(step, "0123456789") == "" }

// translate returns a record's path as resources with this vocabulary spell it:
// the path itself if they have it or nothing that comes near.
func (v *vocabulary) translate(at string) string {
	if _, has := slices.BinarySearch(v.paths, at); has || len(at) > maxIdentifier {
		return at
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if known, ok := v.memo[at]; ok {
		return known
	}
	v.once.Do(v.build)
	out := v.search(at)
	if v.memo == nil || len(v.memo) >= maxMemo {
		v.memo = make(map[string]string)
	}
	v.memo[at] = out
	return out
}

// search tries the whole path, then ever shorter beginnings of it, and keeps the
// rest: "Tags.cost" is "tags.cost" where "tags" is known.
func (v *vocabulary) search(at string) string {
	for head, rest := at, ""; head != ""; {
		if found := v.spelling(head); found != "" {
			return found + rest
		}
		cut := max(0, strings.LastIndexByte(head, '.'))
		head, rest = head[:cut], at[cut:]
	}
	return at
}

func (v *vocabulary) spelling(at string) string {
	if found := v.plain[plainPath(at)]; found != "" {
		return found
	}
	if found := v.bare[plainPath(withoutIndexes(at))]; found != "" {
		return found
	}
	// "dBInstanceClass" of an aws_db_instance is "instance_class": what the type
	// says is said again.
	list := words(withoutIndexes(at))
	for i := 0; i < len(list)-1 && v.kind.has[list[i]]; i++ {
		if found := v.bare[strings.Join(list[i+1:], "")]; found != "" {
			return found
		}
	}
	return ""
}

// isSensitive reports whether a path, or one below or above it, is marked.
func (v *vocabulary) isSensitive(at string) bool {
	return slices.ContainsFunc(v.sensitive, func(s string) bool {
		return s == at || strings.HasPrefix(s, at+".") || strings.HasPrefix(at, s+".")
	})
}
