package cloudtrail

import (
	"bytes"
	"fmt"
	"io"
)

// splitter cuts a stream of JSON into the objects that are events: the elements
// of {"Records": […]} or of an array, or objects one after another. It looks at
// strings and braces only; what is inside is for the reader of the event.
type splitter struct {
	r          io.Reader
	buf        []byte
	start, end int   // the bytes of buf that are not consumed
	base       int64 // the offset of buf[0] in the input
	err        error // of r, once it failed or ended
	wrapped    bool  // inside {"Records": […]}
	resumed    int   // how often in a row resume went back
	skipping   bool  // behind a broken event: what is no object belongs to it
}

// brokenError is an event that the splitter could not take whole.
type brokenError struct{ reason string }

func (e *brokenError) Error() string { return e.reason }

func newSplitter(r io.Reader) *splitter { return &splitter{r: r, buf: make([]byte, 64<<10)} }

// offset returns how many bytes are consumed.
func (s *splitter) offset() int64 { return s.base + int64(s.start) }

// more reads more bytes behind those that are there; false at the end.
func (s *splitter) more() bool {
	if s.err != nil {
		return false
	}
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.base += int64(s.start)
		s.end -= s.start
		s.start = 0
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.err = err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// next returns the next object, valid until the next call, and its offset.
func (s *splitter) next() (event []byte, offset int64, err error) {
	for {
		if s.start == s.end && !s.more() {
			return nil, s.offset(), s.err
		}
		c := s.buf[s.start]
		switch {
		case c == 0xef && s.offset() == 0 && s.mark():
		case c == '{' && s.wrapper():
			s.wrapped, s.skipping = true, false
		case c == '{':
			s.skipping = false
			return s.object()
		case c == ']' && s.wrapped:
			s.wrapped = false
			s.start++
			s.trailer()
		case c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ',' || c == '[' || c == ']' || c == '}':
			s.start++
		case s.skipping:
			s.start++
		default:
			s.skipping = true
			offset := s.offset()
			s.start++
			return nil, offset, &brokenError{fmt.Sprintf("a byte %#02x where an event should begin", c)}
		}
	}
}

// mark consumes a byte order mark if that is what is there.
func (s *splitter) mark() bool {
	const mark = "\ufeff"
	for s.end-s.start < len(mark) && s.more() {
	}
	found := bytes.HasPrefix(s.buf[s.start:s.end], []byte(mark))
	if found {
		s.start += len(mark)
	}
	return found
}

// wrapper consumes the beginning of {"Records": […]} if that is what is there.
func (s *splitter) wrapper() bool {
	const longest = 64 // with any white space that a person would write
	for s.end-s.start < longest && s.more() {
	}
	rest := s.buf[s.start+1 : s.end]
	for _, want := range [...]string{`"Records"`, ":", "["} {
		rest = bytes.TrimLeft(rest, " \t\r\n")
		after, ok := bytes.CutPrefix(rest, []byte(want))
		if !ok {
			return false
		}
		rest = after
	}
	s.start = s.end - len(rest)
	return true
}

// trailer skips what stands behind the list of events in its object.
func (s *splitter) trailer() {
	depth, inside, escaped := 1, false, false
	for {
		if s.start == s.end && !s.more() {
			return
		}
		c := s.buf[s.start]
		s.start++
		switch {
		case escaped:
			escaped = false
		case inside && c == '\\':
			escaped = true
		case c == '"':
			inside = !inside
		case inside:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return
			}
		}
	}
}

// object returns the object that begins here. Of one that is too long nothing
// is kept.
func (s *splitter) object() ([]byte, int64, error) {
	offset := s.offset()
	scan := scanner{}
	at, long := 0, false // at: how far the object was looked at, from start
	for {
		n, state := scan.run(s.buf[s.start+at : s.end])
		at += n
		switch {
		case state == complete && (long || at > MaxEvent):
			s.start += at
			return nil, offset, tooLong()
		case state == complete:
			event := s.buf[s.start : s.start+at]
			s.start += at
			return event, offset, nil
		case state == newline:
			s.start += at
			return nil, offset, &brokenError{"a line ends inside a text"}
		}
		if at > MaxEvent {
			// Perhaps a quote is missing, and this is many events.
			if i := s.find(s.buf[s.start : s.start+at]); i > 0 {
				s.start += i
				return nil, offset, &brokenError{"it does not end before the next event begins"}
			}
			long = true
			keep := min(at, len(firstField))
			s.start += at - keep
			at = keep
		}
		if !s.more() {
			return nil, offset, s.unfinished(at, long)
		}
	}
}

func tooLong() error { return &brokenError{fmt.Sprintf("longer than %d MiB", MaxEvent>>20)} }

// unfinished is called where the input ends inside an object of n bytes.
func (s *splitter) unfinished(n int, long bool) error {
	if i := s.find(s.buf[s.start : s.start+n]); i > 0 && !long {
		s.start += i
		return &brokenError{"it does not end before the next event begins"}
	}
	if s.err == io.EOF {
		s.err = io.ErrUnexpectedEOF
	}
	return s.err
}

// resume goes back to where the next event begins inside one that could not be
// read: a quote was missing, and two were taken for one.
func (s *splitter) resume(event []byte) {
	if i := s.find(event); i > 0 {
		s.start -= len(event) - i
	}
	s.skipping = true
}

// maxResumes bounds how often in a row the next event is looked for inside a
// broken one, since each time all that follows is looked at once more.
const maxResumes = 100

// find returns where the next event begins inside a broken one, -1 if nowhere.
func (s *splitter) find(event []byte) int {
	if s.resumed >= maxResumes {
		return -1
	}
	s.resumed++
	return nextEvent(event)
}

// scanner follows one object through its bytes.
type scanner struct {
	depth           int
	inside, escaped bool
}

type scanState uint8

const (
	open     scanState = iota // the object goes on
	complete                  // it ended with the last byte looked at
	newline                   // a line ended inside a text, which JSON forbids
)

// run looks at b and returns how many of its bytes belong to the object.
func (s *scanner) run(b []byte) (int, scanState) {
	depth, inside := s.depth, s.inside
	i := 0
	if s.escaped && len(b) > 0 {
		s.escaped = false
		i = 1
	}
	for ; i < len(b); i++ {
		c := b[i]
		if inside {
			switch c {
			case '"':
				inside = false
			case '\\':
				i++
				if i == len(b) {
					s.escaped = true
				}
			case '\n':
				return i + 1, newline
			}
			continue
		}
		switch c {
		case '"':
			inside = true
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1, complete
			}
		}
	}
	s.depth, s.inside = depth, inside
	return len(b), open
}
