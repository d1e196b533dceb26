package envelope

import (
	"math"

	"github.com/fxamacker/cbor/v2"
)

var (
	encoding = must(cbor.CoreDetEncOptions().EncMode())
	// An element takes a byte at least, so that the data bounds the memory.
	decoding = must(cbor.DecOptions{
		MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32,
		DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode())
)

func must[T any](mode T, err error) T {
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}

// Encode returns v in CBOR (RFC 8949) with sorted keys: the same state as the
// same bytes.
func Encode(v any) ([]byte, error) { return encoding.Marshal(v) }

// Decode reads what Encode wrote into v. A key that is there twice or that v does
// not have is an error.
func Decode(data []byte, v any) error { return decoding.Unmarshal(data, v) }
