package penumbra

import "strings"

// marks says, a bit for each format and kind of expression, for which of them a text
// has a part that they need. Nearly no text has one, and an expression costs a hundred
// times the look.
type marks uint64

const (
	nameMark   marks = 1 << (63 - iota) // a name of a secret in free text
	headerMark                          // a header of HTTP
	urlMark                             // an address
	rulesMark                           // the configuration has patterns, which may need anything
	allMarks   = ^marks(0)
)

// longRun is how many token characters in a row may be random text.
const longRun = 32

// Parts of what the expressions of names and headers match, folded.
var (
	nameWords = []string{
		"passw", "passphrase", "passcode", "pwd", "secret", "token", "credential", "_key", "-key", "privatekey", "apikey", "accesskey", "accountkey",
		"authkey", "encryptionkey", "sharedkey", "signingkey", "masterkey", "licensekey", "connectionstring", "connection_string", "connection-string", "authorization", "identified by",
	}
	headerWords = []string{"cookie", "authorization", "bearer", "basic", "token", "secret", "-key", "-signature"}
)

type mark struct {
	text  string
	exact bool // else text is folded
	bits  marks
}

// marksAt has the marks by their first two bytes, folded: 0 is none.
var marksAt, markLists = func() (at [1 << 16]uint8, lists [][]mark) {
	lists = [][]mark{nil}
	add := func(m mark) {
		i := uint16(fold[m.text[0]])<<8 | uint16(fold[m.text[1]])
		if at[i] == 0 {
			at[i] = uint8(len(lists))
			lists = append(lists, nil)
		}
		lists[at[i]] = append(lists[at[i]], m)
	}
	for i, f := range secretFormats {
		for _, text := range f.marks {
			add(mark{text, true, 1 << i})
		}
	}
	for _, text := range nameWords {
		add(mark{text, false, nameMark})
	}
	for _, text := range headerWords {
		add(mark{text, false, headerMark})
	}
	add(mark{"://", true, urlMark})
	return at, lists
}()

var fold, isToken = func() (fold [256]byte, token [256]bool) {
	for c := range fold {
		fold[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			fold[c] += 'a' - 'A'
		}
		token[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("+/_=-", byte(c)) >= 0
	}
	return fold, token
}()

// look reads a text once and returns what it has parts of, and the length of its
// longest run of token characters.
func look(text string) (found marks, longest int) {
	run, wide := 0, false
	var last byte
	for i := range len(text) {
		c := text[i]
		if !isToken[c] {
			run = 0
			// (?i) folds U+017F to s and U+212A to k.
			wide = wide || c == 0xC5 || c == 0xE2
		} else if run++; run > longest {
			longest = run
		}
		f := fold[c]
		if list := marksAt[uint16(last)<<8|uint16(f)]; list != 0 && i > 0 {
			for _, m := range markLists[list] {
				if found&m.bits != m.bits && hasMark(text[i-1:], m) {
					found |= m.bits
				}
			}
		}
		last = f
	}
	if wide {
		folded := strings.ReplaceAll(strings.ReplaceAll(text, "\u017f", "s"), "\u212a", "k")
		if folded != text {
			more, _ := look(folded)
			found |= more
		}
	}
	if secretRules.Load().adds() {
		found |= rulesMark
	}
	return found, longest
}

func hasMark(text string, m mark) bool {
	if len(text) < len(m.text) {
		return false
	}
	if m.exact {
		return text[:len(m.text)] == m.text
	}
	for i := range len(m.text) {
		if fold[text[i]] != m.text[i] {
			return false
		}
	}
	return true
}
