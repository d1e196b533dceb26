package shadow

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/penumbra-iac/penumbra"
)

// codec writes or reads a checkpoint's payload. One description of the state
// serves both ways, so that they cannot disagree. After an error all calls do
// nothing.
type codec struct {
	reading bool
	data    []byte // written so far, or still to be read
	err     error

	ids   map[string]uint64 // of texts written
	texts []string          // read, by id
}

func (c *codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
		c.data = nil
	}
}

func (c *codec) uint(x *uint64) {
	if !c.reading {
		c.data = binary.AppendUvarint(c.data, *x)
		return
	}
	v, n := binary.Uvarint(c.data)
	if n <= 0 {
		c.fail("the data ends early")
		*x = 0
		return
	}
	*x, c.data = v, c.data[n:]
}

func (c *codec) int(x *int64) {
	u := uint64(*x<<1) ^ uint64(*x>>63) // zigzag
	c.uint(&u)
	*x = int64(u>>1) ^ -int64(u&1)
}

func (c *codec) second(x *second) { c.number((*uint32)(x)) }

func (c *codec) number(x *uint32) {
	u := uint64(*x)
	if c.uint(&u); u > math.MaxUint32 {
		c.fail("number %d is too large", u)
		return
	}
	*x = uint32(u)
}

func (c *codec) bool(x *bool) {
	var u uint64
	if *x {
		u = 1
	}
	c.uint(&u)
	*x = u == 1
}

func (c *codec) float(x *float64) {
	if !c.reading {
		c.data = binary.LittleEndian.AppendUint64(c.data, math.Float64bits(*x))
		return
	}
	if len(c.data) < 8 {
		c.fail("the data ends early")
		return
	}
	*x, c.data = math.Float64frombits(binary.LittleEndian.Uint64(c.data)), c.data[8:]
	if math.IsNaN(*x) || math.IsInf(*x, 0) {
		c.fail("a sum is not finite")
	}
}

func (c *codec) float32s(xs []float32) {
	for i := range xs {
		if !c.reading {
			c.data = binary.LittleEndian.AppendUint32(c.data, math.Float32bits(xs[i]))
			continue
		}
		if len(c.data) < 4 {
			c.fail("the data ends early")
			return
		}
		xs[i], c.data = math.Float32frombits(binary.LittleEndian.Uint32(c.data)), c.data[4:]
		if f := float64(xs[i]); math.IsNaN(f) || math.IsInf(f, 0) {
			c.fail("a sum is not finite")
		}
	}
}

// text writes a text once and its number from then on.
func (c *codec) text(s *string) {
	if !c.reading {
		id, known := c.ids[*s]
		if !known {
			id = uint64(len(c.ids))
			c.ids[*s] = id
		}
		if c.uint(&id); !known {
			n := uint64(len(*s))
			c.uint(&n)
			c.data = append(c.data, *s...)
		}
		return
	}
	var id, n uint64
	switch c.uint(&id); {
	case id < uint64(len(c.texts)):
		*s = c.texts[id]
	case id > uint64(len(c.texts)):
		c.fail("text %d is not there", id)
	default:
		if c.uint(&n); n > uint64(len(c.data)) || c.err != nil {
			c.fail("the data ends early")
			return
		}
		*s = string(c.data[:n])
		c.data = c.data[n:]
		c.texts = append(c.texts, *s)
	}
}

func (c *codec) value(v *penumbra.Value) {
	kind, text := uint64(v.Kind()), v.Text()
	c.uint(&kind)
	c.text(&text)
	if !c.reading || c.err != nil {
		return
	}
	ok := true
	switch penumbra.ValueKind(kind) {
	case penumbra.NullKind:
		*v = penumbra.Null()
	case penumbra.BoolKind:
		*v = penumbra.Bool(text == "true")
	case penumbra.NumberKind:
		n, err := penumbra.ParseNumber(text)
		*v, ok = n, err == nil
	case penumbra.StringKind:
		*v = penumbra.String(text)
	case penumbra.SecretKind:
		*v, ok = penumbra.Secret(text)
	case penumbra.UnknownKind:
		*v = penumbra.Unknown()
	default:
		ok = false
	}
	if !ok {
		c.fail("a value of kind %d is not readable", kind)
	}
}

// slice writes or reads a list. Each element takes a byte at least, so that a
// damaged length cannot ask for more memory than there is data.
func slice[T any](c *codec, xs *[]T, each func(*T)) {
	n := uint64(len(*xs))
	c.uint(&n)
	if c.reading {
		if c.err != nil || n > uint64(len(c.data)) {
			c.fail("a list of %d is longer than the data", n)
			return
		}
		*xs = nil
		if n > 0 {
			*xs = make([]T, n)
		}
	}
	for i := range *xs {
		each(&(*xs)[i])
	}
}

// optional writes or reads what may be nil.
func optional[T any](c *codec, x **T, each func(*T)) {
	there := *x != nil
	c.bool(&there)
	if !there || c.err != nil {
		return
	}
	if c.reading {
		*x = new(T)
	}
	each(*x)
}
