package beam

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/timeline"
)

// isParquet goes by the file's ending.
func isParquet(name string) bool { return strings.EqualFold(filepath.Ext(name), ".parquet") }

// timelineRow is an observation as a row of a Parquet file: the fields of the
// timeline format, those that are lists or objects there as JSON text. They have no
// logical type of JSON: parquet-go 0.32 cannot write an optional column of it.
type timelineRow struct {
	Kind       string     `parquet:"kind,dict" json:"kind"`
	Time       time.Time  `parquet:"time,timestamp(nanosecond)" json:"time"`
	Resource   string     `parquet:"resource,dict" json:"resource"`
	Type       string     `parquet:"type,optional,dict" json:"type"`
	Source     string     `parquet:"source,optional,dict" json:"source"`
	ID         string     `parquet:"id,optional" json:"id"`
	Settings   jsonText   `parquet:"settings,optional" json:"settings"`
	Full       bool       `parquet:"full" json:"full"`
	NotChecked string     `parquet:"not_checked,optional,dict" json:"not_checked"`
	Applied    jsonText   `parquet:"applied,optional" json:"applied"`
	Sensitive  jsonText   `parquet:"sensitive,optional" json:"sensitive"`
	Unknown    jsonText   `parquet:"unknown,optional" json:"unknown"`
	Actor      string     `parquet:"actor,optional,dict" json:"actor"`
	ActorKind  string     `parquet:"actor_kind,optional,dict" json:"actor_kind"`
	Action     string     `parquet:"action,optional,dict" json:"action"`
	Message    string     `parquet:"message,optional" json:"message"`
	Metrics    jsonText   `parquet:"metrics,optional" json:"metrics"`
	Worse      jsonText   `parquet:"worse,optional" json:"worse"`
	Seen       *time.Time `parquet:"seen,optional,timestamp(nanosecond)" json:"seen"`
}

// jsonText is JSON that stays text.
type jsonText string

// UnmarshalJSON keeps the text.
func (t *jsonText) UnmarshalJSON(data []byte) error {
	*t = jsonText(data)
	return nil
}

// scoredRow is a [Scored] as a row of a Parquet file.
type scoredRow struct {
	Resource     string    `parquet:"resource"`
	Type         string    `parquet:"type,dict"`
	Time         time.Time `parquet:"time,timestamp(nanosecond)"`
	Leave1h      float64   `parquet:"leave_1h"`
	Leave6h      float64   `parquet:"leave_6h"`
	Leave1d      float64   `parquet:"leave_1d"`
	Leave7d      float64   `parquet:"leave_7d"`
	Leave30d     float64   `parquet:"leave_30d"`
	Expectations string    `parquet:"expectations"`
	Forecasts    string    `parquet:"forecasts"`
	NotChecked   string    `parquet:"not_checked,optional,dict"`
	Findings     string    `parquet:"findings,optional"`
}

// newScoredRow makes a row of a line of scores.
func newScoredRow(line []byte) (scoredRow, error) {
	var x struct {
		Resource, Type                    string
		Time                              time.Time
		Leave                             [len(penumbra.Horizons)]float64
		Expectations, Forecasts, Findings jsonText
		NotChecked                        string `json:"not_checked"`
	}
	err := json.Unmarshal(line, &x)
	return scoredRow{
		Resource: x.Resource, Type: x.Type, Time: x.Time,
		Leave1h: x.Leave[0], Leave6h: x.Leave[1], Leave1d: x.Leave[2], Leave7d: x.Leave[3], Leave30d: x.Leave[4],
		Expectations: string(x.Expectations), Forecasts: string(x.Forecasts), NotChecked: x.NotChecked, Findings: string(x.Findings),
	}, err
}

// groupRows is how many rows a group of a Parquet file has: what is in memory
// while it is written. A judgement.
const groupRows = 20_000

// parquetWriter writes rows that are made of lines.
type parquetWriter[T any] struct {
	w    *parquet.GenericWriter[T]
	make func(line []byte) (T, error)
}

func newParquetWriter[T any](w io.Writer, of func([]byte) (T, error)) *parquetWriter[T] {
	return &parquetWriter[T]{parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(groupRows)), of}
}

// Write writes one line as a row.
func (p *parquetWriter[T]) Write(line []byte) (int, error) {
	row, err := p.make(line)
	if err == nil {
		_, err = p.w.Write([]T{row})
	}
	return len(line), err
}

func (p *parquetWriter[T]) Close() error { return p.w.Close() }

func newTimelineRow(line []byte) (row timelineRow, err error) {
	err = json.Unmarshal(line, &row)
	return row, err
}

// damagedFile is a Parquet file that cannot be read on.
type damagedFile struct {
	rows int
	err  error
}

func (e *damagedFile) Error() string { return fmt.Sprintf("after row %d: %v", e.rows, e.err) }

// parquetLines reads a Parquet file as lines of the timeline format, one for each
// row. It goes by the names of columns; those that the format does not know are
// ignored, as its fields are.
type parquetLines struct {
	columns []column // by their number in the file, those to ignore without a name
	groups  []parquet.RowGroup
	rows    parquet.Rows // of the group that is read
	buffer  [64]parquet.Row
	lines   []byte // not read yet
	done    int    // rows
}

// column is what is read of one.
type column struct {
	name   string
	nested bool          // JSON text
	unit   time.Duration // of whole numbers that are times
}

var (
	textColumns   = []string{"kind", "time", "resource", "type", "source", "id", "not_checked", "actor", "actor_kind", "action", "message", "seen"}
	nestedColumns = []string{"settings", "applied", "sensitive", "unknown", "metrics", "worse"}
)

// newParquetLines opens a file. The error is of kind Damaged if it is no Parquet
// file, and Invalid if it lacks a column.
func newParquetLines(file *os.File) (p *parquetLines, err error) {
	name := filepath.Base(file.Name())
	defer func() {
		if e := recover(); e != nil {
			p, err = nil, damagedParquet(name, fmt.Errorf("%v", e))
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, damagedParquet(name, err)
	}
	f, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		return nil, damagedParquet(name, err)
	}
	p = &parquetLines{groups: f.RowGroups()}
	found := map[string]bool{}
	for _, path := range f.Schema().Columns() {
		c := column{}
		if leaf, ok := f.Schema().Lookup(path...); ok && len(path) == 1 && leaf.MaxRepetitionLevel == 0 {
			if c, err = columnOf(path[0], leaf.Node.Type()); err != nil {
				return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read " + name, Remedy: "write the column as docs/timeline.md has it", Err: err}
			}
			found[c.name] = true
		}
		p.columns = append(p.columns, c)
	}
	for _, need := range []string{"kind", "time", "resource"} {
		if !found[need] {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("read %s: it has no column %q", name, need), Remedy: "give it the columns of docs/timeline.md"}
		}
	}
	return p, nil
}

func damagedParquet(name string, err error) error {
	return &penumbra.Error{Kind: penumbra.Damaged, What: "read " + name, Remedy: "the Parquet file is cut short or damaged, or none: write it again", Err: err}
}

// columnOf says how a column is read, one without a name if it is not.
func columnOf(name string, of parquet.Type) (column, error) {
	kind := of.Kind()
	isText := kind == parquet.ByteArray || kind == parquet.FixedLenByteArray
	unit := time.Duration(0)
	if l := of.LogicalType(); kind == parquet.Int64 && l != nil {
		if t, ok := l.Value.(*format.TimestampType); ok && t.Unit.Value != nil {
			unit = t.Unit.Value.Duration()
		}
	} else if c := of.ConvertedType(); kind == parquet.Int64 && c != nil { // as writers did before there were logical types
		unit = map[deprecated.ConvertedType]time.Duration{deprecated.TimestampMillis: time.Millisecond, deprecated.TimestampMicros: time.Microsecond}[*c]
	}
	nested := slices.Contains(nestedColumns, name)
	switch {
	case name == "full" && kind == parquet.Boolean:
		return column{name: name}, nil
	case nested && isText, slices.Contains(textColumns, name) && isText:
		return column{name: name, nested: nested}, nil
	case (name == "time" || name == "seen") && unit > 0:
		return column{name: name, unit: unit}, nil
	case name == "full" || nested || slices.Contains(textColumns, name):
		return column{}, fmt.Errorf("column %q is of the type %v", name, of)
	}
	return column{}, nil
}

// Read gives the lines of as many rows as fit.
func (p *parquetLines) Read(b []byte) (n int, err error) {
	defer func() {
		if e := recover(); e != nil { // a page that is broken in a way that the library does not foresee
			n, err = 0, &damagedFile{p.done, fmt.Errorf("%v", e)}
		}
	}()
	for len(p.lines) == 0 {
		if p.rows == nil {
			if len(p.groups) == 0 {
				return 0, io.EOF
			}
			p.rows, p.groups = p.groups[0].Rows(), p.groups[1:]
		}
		got, err := p.rows.ReadRows(p.buffer[:])
		for _, row := range p.buffer[:got] {
			p.line(row)
			p.done++
		}
		switch {
		case errors.Is(err, io.EOF):
			if err := p.rows.Close(); err != nil {
				return 0, &damagedFile{p.done, err}
			}
			p.rows = nil
		case err != nil:
			return 0, &damagedFile{p.done, err}
		}
	}
	n = copy(b, p.lines)
	p.lines = p.lines[n:]
	return n, nil
}

// line appends a row as a line. What a cell has is not looked at: the decoder does.
func (p *parquetLines) line(row parquet.Row) {
	b := append(p.lines, '{')
	for _, v := range row {
		c := p.columns[v.Column()]
		if c.name == "" || v.IsNull() {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, c.name...)
		b = append(b, '"', ':')
		switch {
		case c.nested: // JSON has line breaks between tokens only
			b = append(b, strings.NewReplacer("\n", " ", "\r", " ").Replace(string(v.ByteArray()))...)
		case c.unit > 0:
			per := int64(time.Second / c.unit)
			t := time.Unix(v.Int64()/per, v.Int64()%per*int64(c.unit))
			b = append(b, '"')
			b = t.UTC().AppendFormat(b, time.RFC3339Nano)
			b = append(b, '"')
		case c.name == "full":
			b = fmt.Appendf(b, "%t", v.Boolean())
		default:
			text, _ := json.Marshal(string(v.ByteArray())) // a text always has JSON
			b = append(b, text...)
		}
	}
	p.lines = append(b, '}', '\n')
}

// decoderOf returns a decoder of a timeline file, of either form.
func decoderOf(file *os.File) (*timeline.Decoder, error) {
	name := filepath.Base(file.Name())
	if !isParquet(name) {
		return timeline.NewDecoder(file, name), nil
	}
	lines, err := newParquetLines(file)
	if err != nil {
		return nil, err
	}
	return timeline.NewDecoder(lines, name), nil
}
