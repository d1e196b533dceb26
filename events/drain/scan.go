package drain

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// The masks. They are kept apart, as a number in place of a path is another line.
const (
	maskNumber  = "<num>" // with its unit; times and dates too
	maskHex     = "<hex>"
	maskIP      = "<ip>" // with its port or prefix
	maskUUID    = "<uuid>"
	maskPath    = "<path>"
	maskURL     = "<url>"
	maskText    = "<str>" // in quotes
	maskID      = "<id>"  // letters and digits mixed: blk_17, web-7d9f8c-x2b4z
	maskList    = "<list>"
	maskCommand = "<sql>"
	maskRest    = "<rest>"
)

// span is a part of the line.
type span struct{ begin, end int }

// token is a part of the line between spaces, masked.
type token struct {
	masked       span // in scanner.out
	raw          span // in scanner.line
	params, upto int  // in scanner.found
}

// scanner cuts a line into masked tokens. What it holds is used again for the
// next line.
type scanner struct {
	line   string
	out    []byte
	tokens []token
	found  []span // what was masked, in the line
	titled bool   // the line has had its quoted title
	// unclosed are the quotes of which no further one closes: nobody searches twice.
	unclosed [3]bool
}

func (s *scanner) token(i int) []byte {
	t := s.tokens[i].masked
	return s.out[t.begin:t.end]
}

// parameters returns what stands in the line in place of a template's masks.
func (s *scanner) parameters(template []string) []string {
	var out []string
	for i, t := range s.tokens {
		if template[i] == wildcard {
			out = append(out, s.line[t.raw.begin:t.raw.end])
			continue
		}
		for _, p := range s.found[t.params:t.upto] {
			out = append(out, s.line[p.begin:p.end])
		}
	}
	return out
}

// scan reads the first line of text, as much of it as the options allow.
func (s *scanner) scan(text string, o *Options) {
	text = strings.TrimLeft(text, " \t\r\n")
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	if end := o.LineBytes; len(text) > end {
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	text = strings.ToValidUTF8(text, "\ufffd") // a checkpoint holds text only
	*s = scanner{line: strings.TrimRight(text, " \t\r"), out: s.out[:0], tokens: s.tokens[:0], found: s.found[:0]}
	for at := 0; at < len(s.line); {
		if isSpace(s.line[at]) {
			at++
			continue
		}
		switch {
		case len(s.tokens) == o.Tokens-1:
			at = s.rest(at, maskRest)
		case s.isCommand(at):
			at = s.rest(at, maskCommand)
		default:
			at = s.next(at)
			s.join()
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// rest makes one parameter of the line from here on.
func (s *scanner) rest(at int, mask string) int {
	t := token{masked: span{begin: len(s.out)}, raw: span{at, len(s.line)}, params: len(s.found)}
	s.mask(mask, at, len(s.line))
	t.masked.end, t.upto = len(s.out), len(s.found)
	s.tokens = append(s.tokens, t)
	return len(s.line)
}

func (s *scanner) mask(mask string, begin, end int) {
	s.out = append(s.out, mask...)
	s.found = append(s.found, span{begin, end})
}

// isCommand reports whether an SQL statement begins here: its words are not the
// log's.
func (s *scanner) isCommand(at int) bool {
	n := len(s.tokens)
	if n == 0 || s.line[s.tokens[n-1].raw.end-1] != ':' {
		return false
	}
	end := at
	for end < len(s.line) && end-at <= 10 && isLetter(s.line[end]) {
		end++
	}
	if end-at < 4 || end < len(s.line) && !isSpace(s.line[end]) && s.line[end] != ';' {
		return false
	}
	switch strings.ToUpper(s.line[at:end]) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "ALTER", "CREATE", "DROP", "WITH", "BEGIN", "COMMIT", "ROLLBACK", "VACUUM",
		"ANALYZE", "GRANT", "REVOKE", "TRUNCATE", "COPY", "SHOW", "EXPLAIN", "CALL", "REINDEX", "MERGE", "FETCH", "DECLARE":
		return true
	}
	return false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// next appends the token that begins at the given place and returns where it ends.
func (s *scanner) next(at int) int {
	t := token{masked: span{begin: len(s.out)}, raw: span{begin: at}, params: len(s.found)}
	begin := at
	for at < len(s.line) && !isSpace(s.line[at]) {
		c := s.line[at]
		switch {
		case (c == '"' || c == '\'' || c == '`') && s.opens(begin, at):
			if end := s.closing(at); end > 0 {
				s.out = append(s.out, c)
				s.mask(maskText, at+1, end)
				s.out = append(s.out, c)
				at = end + 1
				continue
			}
		case c == '[' || c == '(' || c == '{':
			if end := s.list(at); end > 0 {
				s.out = append(s.out, c)
				s.mask(maskList, at+1, end)
				s.out = append(s.out, s.line[end])
				at = end + 1
				continue
			}
		case !isDelimiter[c]:
			end := at
			for end < len(s.line) && !isSpace(s.line[end]) && !isDelimiter[s.line[end]] {
				end++
			}
			if strings.Contains(s.line[at:end], "://") { // a query has delimiters
				for end < len(s.line) && !isSpace(s.line[end]) && strings.IndexByte("\"'`<>),;", s.line[end]) < 0 {
					end++
				}
			}
			s.piece(at, end, t.params)
			at = end
			continue
		}
		s.out = append(s.out, c)
		at++
	}
	t.masked.end, t.raw.end, t.upto = len(s.out), at, len(s.found)
	s.tokens = append(s.tokens, t)
	return at
}

var isDelimiter = func() (is [256]bool) {
	for _, c := range []byte("=,;()[]{}<>|\"'`") {
		is[c] = true
	}
	return is
}()

// opens reports whether a quote at this place opens a parameter. The first
// quoted text of a line that stands at its beginning, or after a bracket as klog
// writes it, is the message itself, and so is msg="…" as logfmt has it.
func (s *scanner) opens(begin, at int) bool {
	if at == begin {
		n := len(s.tokens)
		title := s.line[at] == '"' && !s.titled && (n == 0 || s.line[s.tokens[n-1].raw.end-1] == ']')
		s.titled = true
		return !title
	}
	if !s.titled && strings.HasSuffix(s.line[begin:at], "msg=") {
		s.titled = true
		return false
	}
	return strings.IndexByte("=:([{,<", s.line[at-1]) >= 0
}

// closing returns where the quote that opens at the given place closes, 0 if it
// does not.
func (s *scanner) closing(at int) int {
	quote := s.line[at]
	unclosed := &s.unclosed[strings.IndexByte("\"'`", quote)]
	if *unclosed {
		return 0
	}
	for i := at + 1; i < len(s.line); i++ {
		switch {
		case s.line[i] == '\\':
			i++
		case s.line[i] == quote && (i+1 == len(s.line) || !isLetter(s.line[i+1]) && !isDigit(s.line[i+1])):
			return i
		}
	}
	*unclosed = true
	return 0
}

// maxList is how long a list may be, in bytes.
const maxList = 256

// list returns where the bracket that opens at the given place closes if what is
// between is a list, 0 if not: its length says nothing of the kind of line.
func (s *scanner) list(at int) int {
	open := s.line[at]
	shut := open + 2 // as ASCII has them
	if open == '(' {
		shut = ')'
	}
	depth, commas, spaces := 0, 0, 0
	for i := at; i < len(s.line) && i-at < maxList; i++ {
		switch c := s.line[i]; {
		case c == open:
			depth++
		case c == shut:
			if depth--; depth > 0 {
				continue
			}
			words := open != '(' && spaces > 0 && !isSpace(s.line[at+1])
			if isGoValue := at > 2 && s.line[at-3:at] == "map"; isGoValue || commas > 0 || words || open == '{' {
				return i
			}
			return 0
		case c == ',':
			commas++
		case isSpace(c):
			spaces++
		}
	}
	return 0
}

// join makes one token of the last two if they are members of one list: the same
// kind of parameter twice.
func (s *scanner) join() {
	n := len(s.tokens)
	if n < 2 {
		return
	}
	a, b := &s.tokens[n-2], &s.tokens[n-1]
	if a.params == a.upto || b.params == b.upto {
		return
	}
	x, y := s.bare(a), s.bare(b)
	if string(x) != string(y) || len(x) > 0 && x[len(x)-1] == '=' {
		return
	}
	a.raw.end = b.raw.end
	a.masked.end = a.masked.begin + len(x)
	s.found = s.found[:a.upto]
	s.found[a.params].end = max(s.found[a.params].end, b.raw.end)
	s.found = s.found[:a.params+1]
	a.upto = a.params + 1
	s.out = s.out[:a.masked.end]
	s.tokens = s.tokens[:n-1]
}

// bare returns a token without what separates the members of a list.
func (s *scanner) bare(t *token) []byte {
	x := s.out[t.masked.begin:t.masked.end]
	for len(x) > 0 && (x[len(x)-1] == ',' || x[len(x)-1] == ';') {
		x = x[:len(x)-1]
	}
	return x
}

// piece appends a word of the line, masked if it is a parameter. first is the
// number of the first parameter of its token.
func (s *scanner) piece(begin, end, first int) {
	last := end
	for last > begin+1 && strings.IndexByte(".:!?", s.line[last-1]) >= 0 {
		last--
	}
	mask := classify(s.line[begin:last])
	n := len(s.found)
	switch {
	case mask == "":
		s.out = append(s.out, s.line[begin:last]...)
	case n > first && s.line[begin-1] == ',' && bytes.HasSuffix(s.out[:len(s.out)-1], []byte(mask)):
		s.out = s.out[:len(s.out)-1] // "1,2,3": members of one list
		s.found[n-1].end = last
	default:
		s.mask(mask, begin, last)
	}
	s.out = append(s.out, s.line[last:end]...)
}
