package tofu

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/penumbra-iac/penumbra"
)

// stream reads JSON that may be larger than what should be held in memory: it
// walks objects and lists element by element and decodes only what is wanted.
type stream struct {
	*json.Decoder
	input *counter
}

func newStream(r io.Reader) stream {
	input := &counter{Reader: r}
	dec := json.NewDecoder(input)
	dec.UseNumber()
	return stream{dec, input}
}

// counter counts what was read, to tell where a text ends.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// object calls field with the name of each field of the object, or nothing
// if there is null instead; field must consume the field's value.
func (s stream) object(field func(name string) error) error {
	return s.items('{', '}', func() error {
		token, err := s.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		return field(name)
	})
}

// list calls element before each element of the list; element must consume it.
func (s stream) list(element func() error) error { return s.items('[', ']', element) }

func (s stream) items(opening, closing json.Delim, item func() error) error {
	token, err := s.Token()
	if err != nil || token == nil {
		return err
	}
	if token != opening {
		return fmt.Errorf("found %v where %v belongs", token, opening)
	}
	for s.More() {
		if err := item(); err != nil {
			return err
		}
	}
	token, err = s.Token()
	if err == nil && token != closing {
		err = fmt.Errorf("found %v where %v belongs", token, closing)
	}
	return err
}

// skip consumes one value without holding it.
func (s stream) skip() error {
	depth := 0
	for {
		token, err := s.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// fault turns what went wrong at the stream's place into an error that names
// it. An error that already tells a user what to do stays as it is.
func (s stream) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	var known *penumbra.Error
	if errors.As(err, &known) {
		return err
	}
	offset := s.InputOffset()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = syntax.Offset
	}
	var cause string
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		offset, cause = s.input.n, "the text ends in the middle"
	default:
		// The text of an error of encoding/json may quote the input.
		cause = penumbra.Redact(err.Error())
	}
	return &penumbra.Error{
		Kind:   penumbra.Invalid,
		What:   fmt.Sprintf("read %s: byte %d: %s", what, offset, cause),
		Remedy: "write the file again in one piece",
	}
}
