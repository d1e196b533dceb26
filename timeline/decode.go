package timeline

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// A Decoder reads observations from a timeline file. Its memory is bounded,
// whatever the input holds.
type Decoder struct {
	raw    io.Reader
	lines  *bufio.Reader // nil until the first call of Next
	long   []byte        // a line that does not fit in lines' buffer
	zipped bool
	number int
	parser parser
	err    error // the failure that ended the input
}

// Bounds of a line. A longer one than MaxLine bytes is a bad line; of a bad
// line at most MaxText bytes are kept.
const (
	MaxLine = 16 << 20
	MaxText = 64 << 10
)

// LineError is a line that could not be read. The rest can: call Next again.
type LineError struct {
	Line   int    // counted from 1
	Reason string // in plain words, naming the field
	Text   string // the line, redacted and cut to MaxText bytes
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// NewDecoder returns a decoder of r, which may be compressed with gzip.
// source becomes the Source of observations whose line names none.
func NewDecoder(r io.Reader, source string) *Decoder {
	return &Decoder{raw: r, parser: parser{source: source}}
}

// Next returns the next observation. The error is a [*LineError] if a line
// could not be read, after which Next goes on with the one that follows, and
// io.EOF at the end. Any other error ends the input: a [*penumbra.Error] of
// kind Damaged if the compressed data is broken, of kind Unavailable if the
// reader failed.
//
// A sensitive value that is not a keyed hash yet comes with its plain value
// and Sensitive set: seal it before it goes anywhere.
func (d *Decoder) Next() (penumbra.Observation, error) {
	for {
		line, err := d.line()
		if err != nil {
			return penumbra.Observation{}, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		o, err := d.parser.parse(line)
		if err != nil {
			return penumbra.Observation{}, d.bad(line, err.Error(), false)
		}
		return o, nil
	}
}

func (d *Decoder) bad(line []byte, reason string, cut bool) error {
	hide := cut || bytes.Contains(line, []byte(`"sensitive"`))
	return &LineError{Line: d.number, Reason: reason, Text: redact(line, hide)}
}

// line returns the next line, without its end. It is valid until the next
// call.
func (d *Decoder) line() ([]byte, error) {
	if d.err != nil {
		return nil, d.err
	}
	if d.lines == nil {
		if d.err = d.open(); d.err != nil {
			return nil, d.err
		}
	}
	d.long = d.long[:0]
	length := 0
	for {
		part, err := d.lines.ReadSlice('\n')
		length += len(part)
		if err != nil && err != bufio.ErrBufferFull && (err != io.EOF || length == 0) {
			d.err = d.failure(err)
			return nil, d.err
		}
		if err != bufio.ErrBufferFull {
			d.number++
		}
		switch {
		case length > MaxLine+1: // the end of the line is one of them
			if err != bufio.ErrBufferFull {
				return nil, d.bad(d.long, fmt.Sprintf("longer than %d MiB", MaxLine>>20), true)
			}
		case err != bufio.ErrBufferFull && len(d.long) == 0:
			return bytes.TrimSuffix(part, []byte("\n")), nil
		default:
			d.long = append(d.long, part...)
			if err != bufio.ErrBufferFull {
				return bytes.TrimSuffix(d.long, []byte("\n")), nil
			}
		}
	}
}

// open looks at the first bytes: for the magic number of gzip, and for a byte
// order mark.
func (d *Decoder) open() error {
	d.lines = bufio.NewReaderSize(d.raw, 64<<10)
	if magic, _ := d.lines.Peek(2); string(magic) == "\x1f\x8b" {
		d.zipped = true
		z, err := gzip.NewReader(d.lines)
		if err != nil {
			return d.failure(err)
		}
		d.lines = bufio.NewReaderSize(z, 64<<10)
	}
	if mark, _ := d.lines.Peek(3); string(mark) == "\ufeff" {
		_, _ = d.lines.Discard(3)
	}
	return nil
}

// failure turns an error of the reader into what Next returns.
func (d *Decoder) failure(err error) error {
	what := fmt.Sprintf("read timeline after line %d", d.number)
	if d.parser.source != "" {
		what = fmt.Sprintf("read timeline %s after line %d", d.parser.source, d.number)
	}
	switch {
	case err == io.EOF:
		return io.EOF
	case d.zipped && isBroken(err):
		return &penumbra.Error{Kind: penumbra.Damaged, What: what, Err: err,
			Remedy: "the compressed file is cut short or damaged: copy it again"}
	default:
		return &penumbra.Error{Kind: penumbra.Unavailable, What: what, Err: err}
	}
}

// isBroken reports whether an error of a gzip reader is the data's fault.
func isBroken(err error) bool {
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(flate.CorruptInputError))
}

// pair is a quoted name and the scalar behind it, also where the line is cut
// off or otherwise not JSON.
var pair = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\s*:\s*("(?:[^"\\]|\\.)*(?:"|\\?$)|[^\s"{}\[\],][^\s,}\]]*)`)

// redact returns the text of a bad line as it may be stored and shown. With
// hide it keeps no scalar at all: where a line has a list of sensitive paths,
// or may have one, nothing tells reliably which values it means.
func redact(line []byte, hide bool) string {
	text := strings.ToValidUTF8(string(line[:min(len(line), MaxText)]), "\ufffd")
	text = pair.ReplaceAllStringFunc(text, func(m string) string {
		parts := pair.FindStringSubmatch(m)
		name, value := parts[1], strings.Trim(parts[2], `"`)
		if hide || penumbra.LooksSecret(name, penumbra.String(value)) {
			return `"` + name + `":"[redacted]"`
		}
		return m
	})
	text = penumbra.Redact(text)
	return text[:min(len(text), MaxText)]
}
