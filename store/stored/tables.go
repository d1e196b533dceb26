package stored

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Kind is what a column holds.
type Kind uint8

// The kinds of columns, and what their values are in a [Row].
const (
	Integer Kind = iota // int64
	Real                // float64
	Text                // string, of any bytes
	Bytes               // []byte
	Bool                // bool
)

// Column is one of a table's.
type Column struct {
	Name string
	Kind Kind
	Null bool // it may have no value
}

// Table is a part of what a store keeps, as every store gives it out and takes it in.
type Table struct {
	Name    string
	Columns []Column
	// Key is how many columns, the first ones, tell a row from the others.
	Key int
	// Grows is set of a table whose rows are added in the order of the key, and neither
	// changed nor deleted.
	Grows bool
}

// Row is a row of a table, a value for each column; nil where there is none.
type Row []any

// Tables are all that a store keeps. Not among them is what follows from it: the jobs
// of runs, which the engine puts in anew.
var Tables = []Table{
	// seq and identity, and address and content in the place of their numbers.
	{"observations", columns("seq int", "identity bytes", "time int", "seen int?", "kind int", "address text", "body bytes", "own bytes?"), 1, true},
	{"rollups", columns("resource text", "metric text", "span int", "start int", "count int", "sum real", "min real", "max real", "last real"), 4, false},
	{"quarantine", columns("digest bytes", "body bytes"), 1, false},
	{"drifts", columns("id text", "resource text", "stack text", "active bool", "accepted bool", "changed int", "body bytes"), 1, false},
	{"anomalies", columns("id text", "resource text", "stack text", "active bool", "time int", "body bytes"), 1, false},
	{"proposals", columns("id text", "drift text", "state text", "hash text", "rank int", "body bytes"), 1, false},
	// n is the order in which rows came.
	{"decisions", columns("n int", "id text", "proposal text", "drift text", "time int", "body bytes"), 1, false},
	{"runs", columns("id text", "proposal text", "stack text", "state int", "started int", "body bytes"), 1, false},
	{"rules", columns("n int", "id text", "created int", "body bytes"), 1, false},
	{"freezes", columns("n int", "id text", "created int", "body bytes"), 1, false},
	{"attentions", columns("n int", "id text", "created int", "body bytes"), 1, false},
	{"checkpoints", columns("name text", "sequence int", "time int?", "checksum bytes", "data bytes"), 1, false},
	{"versions", columns("id int", "state text", "before int", "body bytes", "checksum bytes?", "data bytes?"), 1, false},
	{"aside", columns("seq int", "identity bytes", "time int", "input text", "format text", "action text", "target text", "reason text", "message bytes", "body bytes"), 1, false},
	{"aside_inputs", columns("input text", "kept int", "dropped int", "last int?"), 1, false},
	{"notices", columns("id text", "channel text", "key text", "state text", "created int", "body bytes"), 1, false},
	{"told", columns("channel text", "subject text", "body bytes"), 2, false},
	{"accounts", columns("id text", "folded text", "body bytes"), 1, false},
	{"tokens", columns("id text", "owner text", "folded text?", "live bool", "body bytes"), 1, false},
	{"sessions", columns("id text", "owner text", "expires int", "data bytes"), 1, false},
	{"answers", columns("id bytes", "digest bytes", "begun int", "status int", "type text", "body bytes"), 1, false},
	{"audit", columns("sequence int", "body text"), 1, true},
	{"hash_key", columns("one int", "id text"), 1, false},
}

// Observations is the table of the timelines.
var Observations = &Tables[0]

func columns(of ...string) []Column {
	kinds := map[string]Kind{"int": Integer, "real": Real, "text": Text, "bytes": Bytes, "bool": Bool}
	out := make([]Column, len(of))
	for i, c := range of {
		name, kind, _ := strings.Cut(c, " ")
		kind, null := strings.CutSuffix(kind, "?")
		out[i] = Column{name, kinds[kind], null}
	}
	return out
}

// Names are the names of the columns.
func (t *Table) Names() []string {
	out := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = c.Name
	}
	return out
}

// Column returns the index of a column.
func (t *Table) Column(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

// Value returns what a database gave for a column as a row has it. The error is
// [ErrDamaged].
func (c *Column) Value(v any) (any, error) {
	switch x := v.(type) {
	case nil:
		if c.Null {
			return nil, nil
		}
	case int64:
		switch c.Kind {
		case Integer:
			return x, nil
		case Bool:
			return x != 0, nil
		case Real:
			return float64(x), nil
		}
	case int16:
		return c.Value(int64(x))
	case float64:
		if c.Kind == Real {
			return x, nil
		}
	case bool:
		if c.Kind == Bool {
			return x, nil
		}
	case string:
		switch c.Kind {
		case Text:
			return x, nil
		case Bytes:
			return []byte(x), nil
		}
	case []byte:
		switch c.Kind {
		case Text:
			return string(x), nil
		case Bytes:
			return append([]byte{}, x...), nil
		}
	}
	return nil, fmt.Errorf("%w: column %s holds a %T", ErrDamaged, c.Name, v)
}

// Digest is one of rows, in whatever order they come: the sum of their SHA-256, modulo
// 2^256. Its zero value is that of no row.
type Digest [4]uint64

// Add takes a row in.
func (d *Digest) Add(row Row) error {
	data, err := Encode(row)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(data)
	var one Digest
	for i := range one {
		one[i] = binary.LittleEndian.Uint64(hash[8*i:])
	}
	d.Join(one)
	return nil
}

// Join takes in the rows of another digest.
func (d *Digest) Join(other Digest) {
	var carry uint64
	for i := range d {
		d[i], carry = bits.Add64(d[i], other[i], carry)
	}
}

// String is the digest in hexadecimal.
func (d Digest) String() string {
	var b [32]byte
	for i, x := range d {
		binary.LittleEndian.PutUint64(b[8*i:], x)
	}
	return hex.EncodeToString(b[:])
}
