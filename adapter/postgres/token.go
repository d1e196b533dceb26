package postgres

import (
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// tokenKind is the kind of a piece of SQL.
type tokenKind uint8

const (
	word    tokenKind = iota // a keyword or a name without quotes, in small letters
	quoted                   // a name in double quotes, without them
	literal                  // a string of any spelling, without quotes and escapes
	number
	symbol // any other character
)

// token is one piece of SQL; start and end are where it stands in the text.
type token struct {
	kind       tokenKind
	text       string
	start, end int
}

// is reports whether the token is the keyword.
func (t token) is(keyword string) bool { return t.kind == word && t.text == keyword }

// maxTokens bounds what is read of one statement.
const maxTokens = 4096

// tokenize splits SQL by the rules of PostgreSQL's scanner (manual, section
// 4.1). Any text has tokens: a string that does not end is taken to its end.
func tokenize(text string) []token {
	var out []token
	for i := 0; i < len(text) && len(out) < maxTokens; {
		c := text[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			i++
			continue
		case strings.HasPrefix(text[i:], "--"):
			i = endOfLine(text, i)
			continue
		case strings.HasPrefix(text[i:], "/*"):
			i = endOfComment(text, i)
			continue
		case c == '\'':
			t := token{kind: literal}
			t.text, i = readQuoted(text, i, '\'', false)
			t.start, t.end = start, i
			out = append(out, t)
		case c == '"':
			t := token{kind: quoted}
			t.text, i = readQuoted(text, i, '"', false)
			t.start, t.end = start, i
			out = append(out, t)
		case c == '$':
			t := token{kind: symbol, start: start}
			if body, end, ok := readDollar(text, i); ok {
				t.kind, t.text, i = literal, body, end
			} else {
				i++
				t.text = "$"
			}
			t.end = i
			out = append(out, t)
		case c >= '0' && c <= '9' || c == '.' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			i = max(i+1, i+numberEnd(text[i:]))
			out = append(out, token{number, text[start:i], start, i})
		case isLetter(c):
			var t token
			t, i = readWord(text, i)
			out = append(out, t)
		default:
			i++
			out = append(out, token{symbol, text[start:i], start, i})
		}
	}
	return out
}

func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func endOfLine(text string, i int) int {
	if n := strings.IndexByte(text[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(text)
}

// endOfComment returns where the comment at i ends; comments nest.
func endOfComment(text string, i int) int {
	depth := 0
	for i < len(text) {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(text[i:], "*/"):
			i += 2
			if depth--; depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return i
}

// readWord reads a word, or the string or name that a prefix such as E or U&
// begins.
func readWord(text string, i int) (token, int) {
	start := i
	for i < len(text) && (isLetter(text[i]) || text[i] >= '0' && text[i] <= '9' || text[i] == '$') {
		i++
	}
	prefix := strings.ToLower(text[start:i])
	j := i
	if prefix == "u" && strings.HasPrefix(text[i:], "&") {
		j++
	}
	if j < len(text) && (text[j] == '\'' && (j > i || prefix == "e" || prefix == "b" || prefix == "x" || prefix == "n") || text[j] == '"' && j > i) {
		kind := literal
		if text[j] == '"' {
			kind = quoted
		}
		body, end := readQuoted(text, j, text[j], prefix == "e")
		return token{kind, body, start, end}, end
	}
	return token{word, prefix, start, i}, i
}

// readQuoted reads what stands between two quotes, of which a doubled one
// inside stands for itself. With escapes a backslash guards the next character.
func readQuoted(text string, i int, quote byte, escapes bool) (body string, end int) {
	i++
	start, plain := i, true
	var b strings.Builder
	for i < len(text) {
		switch c := text[i]; {
		case c == quote && i+1 < len(text) && text[i+1] == quote, escapes && c == '\\' && i+1 < len(text):
			b.WriteString(text[start:i])
			b.WriteByte(text[i+1])
			plain = false
			i += 2
			start = i
		case c == quote:
			if plain {
				return text[start:i], i + 1
			}
			b.WriteString(text[start:i])
			return b.String(), i + 1
		default:
			i++
		}
	}
	b.WriteString(text[start:])
	return b.String(), len(text)
}

// readDollar reads a string such as $$…$$ or $tag$…$tag$; ok is false where i
// does not begin one.
func readDollar(text string, i int) (body string, end int, ok bool) {
	j := i + 1
	for j < len(text) && (isLetter(text[j]) || j > i+1 && text[j] >= '0' && text[j] <= '9') {
		j++
	}
	if j >= len(text) || text[j] != '$' {
		return "", i, false
	}
	mark := text[i : j+1]
	rest := text[j+1:]
	n := strings.Index(rest, mark)
	if n < 0 {
		return rest, len(text), true
	}
	return rest[:n], j + 1 + n + len(mark), true
}

// redacted stands for what was cut out of a statement.
const redacted = "'[redacted]'"

// maySecret reports whether any name in a statement may be that of a secret.
func maySecret(sql string) bool {
	lower := strings.ToLower(cut(sql, maxSQL))
	return mentionsSecret(lower) || strings.Contains(lower, "connection")
}

// redactSQL cuts out of a statement each string that is a secret by what stands
// before it, as in PASSWORD 'x', and each that speaks of one itself, such as a
// connection string or the body of a DO.
func redactSQL(text string) string {
	if !maySecret(text) {
		return penumbra.Redact(text)
	}
	var b strings.Builder
	kept := 0
	secret := false // whether the next string is one
	tokens := tokenize(text)
	for _, t := range tokens {
		switch t.kind {
		case literal:
			speaks := mentionsSecret(strings.ToLower(t.text))
			if secret || speaks {
				b.WriteString(text[kept:t.start])
				b.WriteString(redacted)
				kept = t.end
				secret = true // what follows at once may go on with it
			}
		case word, quoted:
			if t.kind == word && (t.text == "to" || t.text == "from") {
				continue
			}
			secret = secretName(t.text)
		case number:
			secret = false
		case symbol:
			secret = secret && strings.Contains("=,:(", t.text)
		}
	}
	if len(tokens) == maxTokens { // nothing is known of the rest
		return penumbra.Redact(b.String() + text[kept:max(kept, tokens[maxTokens-1].end)])
	}
	b.WriteString(text[kept:])
	return penumbra.Redact(b.String())
}
