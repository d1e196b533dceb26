package cloudtrail

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/penumbra-iac/penumbra"
)

// MaxEvent is the length of an event, in bytes, above which it is a bad one.
// CloudTrail's own limit is 256 KiB, 1 MiB with enlarged events.
const MaxEvent = 4 << 20

// BadEvent is an event that could not be read. The rest can: call Next again.
type BadEvent struct {
	Number int    // counted from 1 through the input
	Offset int64  // of its first byte in the uncompressed input
	Reason string // in plain words, without any of its values
}

func (e *BadEvent) Error() string {
	return fmt.Sprintf("event %d at byte %d: %s", e.Number, e.Offset, e.Reason)
}

// A Decoder reads the records of one file or stream. It is for one goroutine
// at a time.
type Decoder struct {
	raw    io.Reader
	input  string
	split  *splitter // nil until the first call of Next
	zipped *counter  // the compressed bytes read, nil if there are none
	number int
	reader *reader
	err    error // what ended the input
}

// NewDecoder returns a decoder of r, which may be compressed with gzip. Input
// becomes the Input of the records; key seals their secrets.
func NewDecoder(r io.Reader, key penumbra.Key, input string) *Decoder {
	return &Decoder{raw: r, input: input, reader: newReader(key, input)}
}

// Next returns the next record. The error is a [*BadEvent] if an event could
// not be read, after which Next goes on with the one that follows, and io.EOF
// at the end. Any other error ends the input: a [*penumbra.Error] of kind
// Damaged if the compressed data is broken or ends inside an event, of kind
// Unavailable if the reader failed. It says how much was read.
func (d *Decoder) Next() (penumbra.Record, error) {
	if d.err != nil {
		return penumbra.Record{}, d.err
	}
	if d.split == nil {
		if d.err = d.open(); d.err != nil {
			return penumbra.Record{}, d.err
		}
	}
	event, offset, err := d.split.next()
	var broken *brokenError
	switch {
	case err == io.EOF:
		d.err = err
		return penumbra.Record{}, err
	case errors.As(err, &broken):
		d.number++
		return penumbra.Record{}, &BadEvent{Number: d.number, Offset: offset, Reason: broken.reason}
	case err != nil:
		d.err = d.failure(err)
		return penumbra.Record{}, d.err
	}
	d.number++
	record, err := d.reader.record(event)
	if err != nil {
		d.split.resume(event)
		return penumbra.Record{}, &BadEvent{Number: d.number, Offset: offset, Reason: err.Error()}
	}
	d.split.resumed = 0
	return record, nil
}

// open looks at the first bytes: for the magic number of gzip.
func (d *Decoder) open() error {
	count := &counter{r: d.raw}
	in := bufio.NewReaderSize(count, 64<<10)
	var r io.Reader = in
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		d.zipped = count
		z, err := gzip.NewReader(in)
		if err != nil {
			d.split = newSplitter(nil)
			return d.failure(err)
		}
		r = z
	}
	d.split = newSplitter(r)
	return nil
}

// failure turns an error of the reader into what Next returns.
func (d *Decoder) failure(err error) error {
	place := fmt.Sprintf("read CloudTrail input %s: after event %d and %d bytes", d.input, d.number, d.split.offset())
	if d.zipped != nil {
		place += fmt.Sprintf(" (%d compressed)", d.zipped.n)
	}
	var corrupt flate.CorruptInputError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return &penumbra.Error{Kind: penumbra.Damaged, What: place, Remedy: "fetch the file again; the records before this place were read", Err: err}
	}
	return &penumbra.Error{Kind: penumbra.Unavailable, What: place, Remedy: "read it again", Err: err}
}

// counter counts the bytes read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// firstField is what CloudTrail's events begin with. After an event that is
// broken it is where the next one is looked for.
var firstField = []byte(`{"eventVersion"`)

// nextEvent returns where the next event begins inside what was taken for one,
// -1 if nowhere.
func nextEvent(event []byte) int {
	if len(event) < 2 {
		return -1
	}
	i := bytes.Index(event[1:], firstField)
	if i < 0 {
		return -1
	}
	return i + 1
}
