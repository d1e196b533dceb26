package intake

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// maxDepth bounds how deep messages may nest: a decoder that recurses would else
// be led to the end of its stack, which ends the process.
const maxDepth = 40

// Message describes what is needed of a protobuf message to walk through it: the
// message that each field number holds. Fields that hold none are left out.
type Message map[protowire.Number]*Message

// CheckProto returns an error of kind Invalid if body is no message of the type,
// nests deeper than 40, or holds more messages than the limit: a
// message of two bytes becomes an object of hundreds.
func (l Limits) CheckProto(body []byte, m *Message) error {
	left := l.Messages
	return l.walk(body, m, 0, &left)
}

func (l Limits) walk(b []byte, m *Message, depth int, left *int) error {
	if depth > maxDepth {
		return invalid("messages nest deeper than %d", maxDepth)
	}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return invalid("not a protobuf message: %v", protowire.ParseError(n))
		}
		b = b[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return invalid("not a protobuf message: %v", protowire.ParseError(n))
			}
			b = b[n:]
			continue
		}
		inner, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return invalid("not a protobuf message: %v", protowire.ParseError(n))
		}
		b = b[n:]
		child := (*m)[number]
		if child == nil {
			continue
		}
		if *left--; *left < 0 {
			return invalid("more than %d records, points and attributes in one body", l.Messages)
		}
		if err := l.walk(inner, child, depth+1, left); err != nil {
			return err
		}
	}
	return nil
}

// CheckJSON does the same for a JSON text: its objects, lists and elements count.
// Whether it is JSON is for the decoder to say.
func (l Limits) CheckJSON(body []byte) error {
	depth, left, quoted := 0, l.Messages, false
	for i := 0; i < len(body); i++ {
		c := body[i]
		if quoted {
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
			continue
		}
		switch c {
		case '"':
			quoted = true
		case '{', '[':
			// Each message of the binary form is an object in a list.
			if depth++; depth > 2*maxDepth {
				return invalid("objects nest deeper than %d", 2*maxDepth)
			}
			left--
		case ',':
			left--
		case '}', ']':
			depth--
		}
		if left < 0 {
			return invalid("more than %d elements in one body", l.Messages)
		}
	}
	return nil
}
