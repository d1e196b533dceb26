package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"

	"github.com/penumbra-iac/penumbra"
)

// Gate lets a bounded number of requests in at a time.
type Gate struct {
	limits Limits
	places chan struct{}
}

// NewGate returns a gate for limits, which have their defaults.
func NewGate(limits Limits) *Gate {
	return &Gate{limits, make(chan struct{}, limits.InFlight)}
}

// Enter takes a place; the returned leave gives it back. Without a free place
// the error is Unavailable: waiting requests would each hold a body.
func (g *Gate) Enter() (leave func(), err error) {
	select {
	case g.places <- struct{}{}:
		return func() { <-g.places }, nil
	default:
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: fmt.Sprintf("%d requests are being taken already", cap(g.places)), Remedy: "send again later"}
	}
}

// Body reads a whole body, decompressed as its Content-Encoding says: identity,
// gzip, or the block format of snappy. The error is Invalid for a body that is
// broken, too large or in an unknown encoding; [ErrTooLarge] and [ErrEncoding] tell
// the last two apart.
func (g *Gate) Body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := g.limits.Body
	raw := http.MaxBytesReader(w, r.Body, limit)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return readAll(raw, limit)
	case "gzip":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, broken("gzip", err)
		}
		body, err := readAll(z, limit)
		if err != nil && !errors.Is(err, ErrTooLarge) {
			return nil, broken("gzip", err)
		}
		return body, err
	case "snappy":
		packed, err := readAll(raw, limit)
		if err != nil {
			return nil, err
		}
		// The length stands in front, so a bomb is seen before it is unpacked.
		n, err := snappy.DecodedLen(packed)
		if err != nil {
			return nil, broken("snappy", err)
		}
		if int64(n) > limit {
			return nil, tooLarge(limit)
		}
		body, err := snappy.Decode(nil, packed)
		if err != nil {
			return nil, broken("snappy", err)
		}
		return body, nil
	default:
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("content encoding %.32q", encoding), Err: ErrEncoding}
	}
}

// What [Gate.Body] wraps.
var (
	// ErrTooLarge is a body over the limit, packed or unpacked.
	ErrTooLarge = errors.New("body too large")
	// ErrEncoding is a content encoding that is not taken.
	ErrEncoding = errors.New("encoding is not taken")
)

func readAll(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over) || err == nil && n > limit:
		return nil, tooLarge(limit)
	case err != nil:
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read the body", Err: err}
	}
	return b.Bytes(), nil
}

func tooLarge(limit int64) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("more than %d bytes in one body", limit), Remedy: "send smaller batches", Err: ErrTooLarge}
}

func broken(format string, err error) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: "unpack " + format, Err: err}
}

// Status returns the HTTP status for an error by its kind. Whatever may succeed
// later without the sender's doing is 503, a full store 503 as well: Prometheus
// gives data up on 429 unless it was told otherwise.
func Status(err error) int {
	switch {
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrEncoding):
		return http.StatusUnsupportedMediaType
	}
	switch penumbra.KindOf(err) {
	case penumbra.Invalid, penumbra.NotFound, penumbra.Refused:
		return http.StatusBadRequest
	default:
		return http.StatusServiceUnavailable
	}
}

// RetryAfter is how many seconds a sender waits that is told to come again.
const RetryAfter = "5"
