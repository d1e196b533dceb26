package timeline

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks over the JSON text of one line without building anything.
// encoding/json would allocate for every field and would let a field occur
// twice; the fuzz test holds the scanner against it.
type scanner struct {
	data []byte // valid UTF-8
	pos  int
	buf  []byte // the last string that had escapes
}

// maxDepth bounds nesting inside ignored fields, as encoding/json does.
const maxDepth = 10000

// next skips white space and returns the byte that follows, 0 at the end.
func (s *scanner) next() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) unexpected(want string) error {
	if s.pos >= len(s.data) {
		return fmt.Errorf("not JSON: the line ends where %s should be", want)
	}
	r, _ := utf8.DecodeRune(s.data[s.pos:])
	return fmt.Errorf("not JSON: %q at byte %d, where %s should be", r, s.pos+1, want)
}

// object calls field for each member, with the scanner at the member's value.
// The key is valid only until field scans on.
func (s *scanner) object(field func(key []byte) error) error {
	if s.next() != '{' {
		return s.unexpected("'{'")
	}
	s.pos++
	if s.next() == '}' {
		s.pos++
		return nil
	}
	for {
		if s.next() != '"' {
			return s.unexpected("a quoted name")
		}
		key, err := s.text()
		if err != nil {
			return err
		}
		if s.next() != ':' {
			return s.unexpected("':'")
		}
		s.pos++
		if err := field(key); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.unexpected("',' or '}'")
		}
	}
}

// array calls element with the scanner at each element.
func (s *scanner) array(element func() error) error {
	if s.next() != '[' {
		return s.unexpected("'['")
	}
	s.pos++
	if s.next() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.unexpected("',' or ']'")
		}
	}
}

// text reads the string at the scanner, which stands on its first quote. The
// result is valid until the next call.
func (s *scanner) text() ([]byte, error) {
	s.pos++
	start := s.pos
	for i := start; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			return s.data[start:i], nil
		case c == '\\':
			s.buf = append(s.buf[:0], s.data[start:i]...)
			s.pos = i
			return s.escaped()
		case c < ' ':
			s.pos = i
			return nil, s.unexpected("an escaped character")
		}
	}
	s.pos = len(s.data)
	return nil, s.unexpected("a closing quote")
}

// escaped reads the rest of a string from its first backslash on.
func (s *scanner) escaped() ([]byte, error) {
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			s.pos++
			return s.buf, nil
		case c < ' ':
			return nil, s.unexpected("an escaped character")
		case c != '\\':
			s.buf = append(s.buf, c)
			s.pos++
		default:
			s.pos++
			if err := s.escape(); err != nil {
				return nil, err
			}
		}
	}
	return nil, s.unexpected("a closing quote")
}

// escape reads one escape behind its backslash. Half of a surrogate pair
// becomes U+FFFD, as with encoding/json.
func (s *scanner) escape() error {
	if s.pos >= len(s.data) {
		return s.unexpected("an escape")
	}
	c := s.data[s.pos]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, ok := s.hex4(s.pos + 1)
		if !ok {
			return s.unexpected("an escape of four hexadecimal digits")
		}
		s.pos += 5
		if utf16.IsSurrogate(r) {
			r = s.surrogate(r)
		}
		s.buf = utf8.AppendRune(s.buf, r)
		return nil
	default:
		return s.unexpected("an escape")
	}
	s.buf = append(s.buf, c)
	s.pos++
	return nil
}

// surrogate joins the half read last with the one that follows, if one does.
func (s *scanner) surrogate(first rune) rune {
	if s.pos+1 < len(s.data) && s.data[s.pos] == '\\' && s.data[s.pos+1] == 'u' {
		if second, ok := s.hex4(s.pos + 2); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				s.pos += 6
				return r
			}
		}
	}
	return utf8.RuneError
}

func (s *scanner) hex4(at int) (rune, bool) {
	if at+4 > len(s.data) {
		return 0, false
	}
	var r rune
	for _, c := range s.data[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number reads a number and returns its text.
func (s *scanner) number() ([]byte, error) {
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else if !s.digits() {
		return nil, s.unexpected("a digit")
	}
	if s.at('.') {
		s.pos++
		if !s.digits() {
			return nil, s.unexpected("a digit")
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if !s.digits() {
			return nil, s.unexpected("a digit")
		}
	}
	return s.data[start:s.pos], nil
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

// digits skips a run of digits and reports whether there was one.
func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// literal reads true, false or null.
func (s *scanner) literal(word string) error {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return s.unexpected(word)
	}
	s.pos += len(word)
	return nil
}

// null reads a null if one follows, and reports whether it did.
func (s *scanner) null() bool {
	return s.next() == 'n' && s.literal("null") == nil
}

// skip reads any value, inside depth objects and lists, and forgets it.
func (s *scanner) skip(depth int) error {
	c := s.next()
	if (c == '{' || c == '[') && depth >= maxDepth {
		return fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch c {
	case '{':
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		return s.array(func() error { return s.skip(depth + 1) })
	case '"':
		_, err := s.text()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			_, err := s.number()
			return err
		}
		return s.unexpected("a value")
	}
}

// typeOf names, for a message, the type of value that begins with c.
func typeOf(c byte) string {
	switch c {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}
