package choice

import (
	"iter"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// maxText bounds the texts that edits are read from.
const maxText = 512

// edited makes the edit that took from to to in own: of a list the elements
// added and taken away, of another text the words that were replaced. ok is
// false if there is nothing of it to make.
func edited(from, to, own penumbra.Value) (v penumbra.Value, ok bool) {
	a, b, text := from.Text(), to.Text(), own.Text()
	if from == own || from.Kind() != penumbra.StringKind || to.Kind() != penumbra.StringKind || own.Kind() != penumbra.StringKind ||
		len(a) > maxText || len(b) > maxText || len(text) > maxText {
		return v, false
	}
	var out string
	if isList(a) && isList(b) && isList(text) {
		out = editedList(a, b, text)
	} else {
		out = editedText(a, b, text)
	}
	return penumbra.String(out), out != "" && out != text
}

// editedText replaces the words that the edit replaced, wherever they are.
func editedText(a, b, text string) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	for i > 0 && inWord(a, b, i) {
		i--
	}
	j := 0
	for j < len(a)-i && j < len(b)-i && a[len(a)-1-j] == b[len(b)-1-j] {
		j++
	}
	for j > 0 && (inWordAt(a, len(a)-j) || inWordAt(b, len(b)-j)) {
		j--
	}
	old, new := a[i:len(a)-j], b[i:len(b)-j]
	if len(old) < 2 || !strings.Contains(text, old) {
		return ""
	}
	return strings.ReplaceAll(text, old, new)
}

// inWord reports whether either text is cut within a word at i.
func inWord(a, b string, i int) bool { return inWordAt(a, i) || inWordAt(b, i) }

// inWordAt reports whether the text is cut within a word at i. A dot between
// digits is within one.
func inWordAt(s string, i int) bool {
	if i <= 0 || i >= len(s) {
		return false
	}
	switch {
	case s[i-1] == '.':
		return i > 1 && isDigit(s[i-2]) && isDigit(s[i])
	case s[i] == '.':
		return i+1 < len(s) && isDigit(s[i-1]) && isDigit(s[i+1])
	}
	return isLetter(s[i-1]) && isLetter(s[i])
}

func isLetter(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isList(s string) bool { return len(s) > 1 && s[0] == '[' && s[len(s)-1] == ']' }

// elements returns those of a list, in its order.
func elements(s string) []string {
	s = strings.TrimSpace(s[1 : len(s)-1])
	if s == "" {
		return nil
	}
	out := strings.Split(s, ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// editedList takes away the elements that the edit took away, and appends those
// that it added: each element of a set is there or not, whatever the others are.
func editedList(a, b, text string) string {
	was, is, own := elements(a), elements(b), elements(text)
	size := len(own)
	own = slices.DeleteFunc(own, func(x string) bool { return slices.Contains(was, x) && !slices.Contains(is, x) })
	changed := len(own) != size
	for _, x := range is {
		if !slices.Contains(was, x) && !slices.Contains(own, x) {
			own = append(own, x)
			changed = true
		}
	}
	if !changed {
		return ""
	}
	return "[" + strings.Join(own, ", ") + "]"
}

// similarity returns the share of the words of two texts that are the same, in
// whatever order, and the share of the longer that both begin with.
func similarity(a, b string) (words, begin float32) {
	if len(a) > maxText || len(b) > maxText {
		return 0, 0
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	var shared, all float32
	for w := range wordsOf(a) {
		all++
		for v := range wordsOf(b) {
			if v == w {
				shared++
				break
			}
		}
	}
	for range wordsOf(b) {
		all++
	}
	if all == 0 {
		return 0, 0
	}
	return 2 * shared / all, float32(i) / float32(max(len(a), len(b)))
}

// wordsOf yields the runs of letters and digits of a text.
func wordsOf(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 0; i < len(s); {
			j := i
			for j < len(s) && isLetter(s[j]) {
				j++
			}
			if j > i && !yield(s[i:j]) {
				return
			}
			i = max(j, i+1)
		}
	}
}
