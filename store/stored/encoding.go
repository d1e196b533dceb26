package stored

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/penumbra-iac/penumbra"
)

// The form of stored documents: CBOR (RFC 8949), enumerations by their names,
// times with nanoseconds, values with their kinds.
var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		Time:          cbor.TimeRFC3339NanoUTC,
		TextMarshaler: cbor.TextMarshalerTextString,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		MaxArrayElements: 1 << 24,
		MaxMapPairs:      1 << 24,
		TextUnmarshaler:  cbor.TextUnmarshalerTextString,
		UTF8:             cbor.UTF8DecodeInvalid, // a log's bytes come back as they were
	}.DecMode())
)

// must unwraps the result of options that are constants.
func must[T any](mode T, err error) T {
	if err != nil {
		panic(err)
	}
	return mode
}

// ErrDamaged marks stored bytes that cannot be read back.
var ErrDamaged = errors.New("a stored record cannot be read back")

// Encode returns a noun as it is stored: the same noun as the same bytes.
func Encode(noun any) ([]byte, error) { return encMode.Marshal(noun) }

// Decode reads what [Encode] wrote. The error is [ErrDamaged].
func Decode(data []byte, to any) error {
	if err := decMode.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// content is what an observation says, apart from when: the part that repeats.
type content struct {
	_          struct{} `cbor:",toarray"`
	Type       string
	Source     string
	Full       bool
	NotChecked string
	Actor      string
	ActorKind  uint8
	Action     string
	Settings   []setting
	Applied    []setting
}

type setting struct {
	_         struct{} `cbor:",toarray"`
	Path      string
	Value     penumbra.Value
	Sensitive bool
}

// own is what only this observation says.
type own struct {
	_       struct{} `cbor:",toarray"`
	ID      string
	Message string
	Metrics []metric
}

// metric is written with two fields, and with three if it says which way it moves
// when performance drops.
type metric penumbra.Metric

type plainMetric struct {
	_     struct{} `cbor:",toarray"`
	Name  string
	Value float64
}

type directedMetric struct {
	_     struct{} `cbor:",toarray"`
	Name  string
	Value float64
	Worse uint8
}

// MarshalCBOR implements [cbor.Marshaler].
func (m metric) MarshalCBOR() ([]byte, error) {
	if m.Directed {
		return encMode.Marshal(directedMetric{Name: m.Name, Value: m.Value, Worse: uint8(m.Worse)})
	}
	return encMode.Marshal(plainMetric{Name: m.Name, Value: m.Value})
}

// UnmarshalCBOR implements [cbor.Unmarshaler].
func (m *metric) UnmarshalCBOR(data []byte) error {
	const arrayOf3 = 0x83
	if data[0] != arrayOf3 {
		var x plainMetric
		err := decMode.Unmarshal(data, &x)
		*m = metric{Name: x.Name, Value: x.Value}
		return err
	}
	var x directedMetric
	err := decMode.Unmarshal(data, &x)
	*m = metric{Name: x.Name, Value: x.Value, Worse: penumbra.Direction(x.Worse), Directed: true}
	return err
}

func toContent(o *penumbra.Observation) content {
	return content{
		Type: o.Type, Source: o.Source, Full: o.Full, NotChecked: o.NotChecked,
		Actor: o.Actor, ActorKind: uint8(o.ActorKind), Action: o.Action,
		Settings: toSettings(o.Settings), Applied: toSettings(o.Applied),
	}
}

// fill sets the fields of an observation that the content holds, but for the
// settings, which all observations with this content share.
func (c *content) fill(o *penumbra.Observation) {
	o.Type, o.Source, o.Full, o.NotChecked = c.Type, c.Source, c.Full, c.NotChecked
	o.Actor, o.ActorKind, o.Action = c.Actor, penumbra.ActorKind(c.ActorKind), c.Action
}

func toSettings(s penumbra.Settings) []setting {
	out := make([]setting, len(s))
	for i, x := range s {
		out[i] = setting{Path: x.Path, Value: x.Value, Sensitive: x.Sensitive}
	}
	return out
}

func fromSettings(s []setting) penumbra.Settings {
	if len(s) == 0 {
		return nil
	}
	out := make(penumbra.Settings, len(s))
	for i, x := range s {
		out[i] = penumbra.Setting{Path: x.Path, Value: x.Value, Sensitive: x.Sensitive}
	}
	return out
}

// toOwn returns the encoded own part, nil if there is none.
func toOwn(o *penumbra.Observation) ([]byte, error) {
	if o.ID == "" && o.Message == "" && len(o.Metrics) == 0 {
		return nil, nil
	}
	w := own{ID: o.ID, Message: o.Message}
	for _, m := range o.Metrics {
		w.Metrics = append(w.Metrics, metric(m))
	}
	return encMode.Marshal(w)
}

func (w *own) fill(o *penumbra.Observation) {
	o.ID, o.Message = w.ID, w.Message
	for _, m := range w.Metrics {
		o.Metrics = append(o.Metrics, penumbra.Metric(m))
	}
}
