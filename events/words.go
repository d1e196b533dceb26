package events

import (
	"strings"
	"sync"
)

// words returns the words of a name in lower case: "dBInstanceClass",
// "db_instance_class" and "DB-Instance.Class" all have db, instance, class.
func words(name string) []string {
	var out []string
	begin := -1
	flush := func(end int) {
		if begin >= 0 && end > begin {
			out = append(out, strings.ToLower(name[begin:end]))
		}
		begin = -1
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !isAlphanumeric(c) {
			flush(i)
			continue
		}
		if begin >= 0 && isUpper(c) {
			afterLower := !isUpper(name[i-1]) && i-begin > 1 // not within dB
			endsCapitals := isUpper(name[i-1]) && i+1 < len(name) && isLower(name[i+1])
			if afterLower || endsCapitals {
				flush(i)
			}
		}
		if begin < 0 {
			begin = i
		}
	}
	flush(len(name))
	return out
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlphanumeric(c byte) bool { return isUpper(c) || isLower(c) || isDigit(c) || c >= 0x80 }

// kind is a type of resource, cut into words so that other spellings are known.
type kind struct {
	name  string
	plain string   // its letters and digits
	words []string // without the provider and the version
	joint string   // these in one
	// provider is the first word, "" if there is only one.
	provider string
	has      map[string]bool
}

func newKind(name string) *kind {
	k := &kind{name: name, plain: strings.Join(words(name), ""), has: make(map[string]bool)}
	all := words(name)
	for _, w := range all {
		k.has[w] = true
		k.has[singular(w)] = true
	}
	if len(all) > 1 {
		k.provider, all = all[0], all[1:]
	}
	for _, w := range all {
		if !isVersion(w) {
			k.words = append(k.words, singular(w))
		}
	}
	k.joint = strings.Join(k.words, "")
	return k
}

func isVersion(w string) bool {
	return len(w) > 1 && w[0] == 'v' && isDigit(w[1])
}

func singular(w string) string {
	switch {
	case len(w) > 4 && strings.HasSuffix(w, "ies"):
		return w[:len(w)-3] + "y"
	case len(w) > 4 && (strings.HasSuffix(w, "sses") || strings.HasSuffix(w, "xes")):
		return w[:len(w)-2]
	case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss"):
		return w[:len(w)-1]
	}
	return w
}

// named is a type as a record has it.
type named struct {
	plain string
	words map[string]bool
	joint string
	ends  map[string]bool // the joint words without the first, without the first two, …
}

// maxType is how much of a type's name is looked at, in bytes.
const maxType = 128

// names remembers what records call types: a log has few, and each comes with
// nearly every record.
type names struct {
	mu   sync.RWMutex
	made map[string]*named
}

// maxNames bounds them; a full table starts anew.
const maxNames = 4096

func (x *names) of(name string) *named {
	if name == "" {
		return nil
	}
	name = name[:min(len(name), maxType)]
	x.mu.RLock()
	n := x.made[name]
	x.mu.RUnlock()
	if n != nil {
		return n
	}
	n = newNamed(name)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.made == nil || len(x.made) >= maxNames {
		x.made = make(map[string]*named)
	}
	x.made[strings.Clone(name)] = n // not a part of a record's text, which may be long
	return n
}

func newNamed(name string) *named {
	n := &named{words: make(map[string]bool), ends: make(map[string]bool)}
	var list []string
	for _, w := range words(name) {
		n.plain += w
		if !isVersion(w) {
			list = append(list, singular(w))
			n.words[singular(w)] = true
		}
	}
	for i := range list {
		n.ends[strings.Join(list[i:], "")] = true
	}
	n.joint = strings.Join(list, "")
	return n
}

// fits returns how well a type of resource is the one that a record names, 0 if it
// is another: the same name, the same name but for provider and service, or all
// words of the one among those of the other.
func (n *named) fits(k *kind) int {
	switch {
	case n.plain == k.plain:
		return 1000
	case n.joint == k.joint || n.ends[k.joint]:
		return 900
	case len(k.words) == 0 || len(n.words) == 0:
		return 0
	}
	common := 0
	for _, w := range k.words {
		if n.words[w] {
			common++
		}
	}
	if common == len(k.words) {
		return 100 + common
	}
	if n.words[k.provider] {
		return 0 // it is written in full, and is another
	}
	for w := range n.words {
		if !k.has[w] {
			return 0
		}
	}
	return len(n.words)
}
