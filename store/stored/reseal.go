package stored

import (
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/penumbra-iac/penumbra/internal/envelope"
)

// Hashed is a column in which hashes of sensitive values may stand.
type Hashed struct {
	Table, Key string // Key are the columns that name a row
	Column     string
	Checksum   string // the column with the SHA-256 of this one, "" if there is none
}

// HashedColumns are all such columns but those of observations and their contents.
var HashedColumns = []Hashed{
	{"quarantine", "digest", "body", ""},
	{"drifts", "id", "body", ""},
	{"proposals", "id", "body", ""},
	{"decisions", "id", "body", ""},
	{"runs", "id", "body", ""},
	{"rules", "id", "body", ""},
	{"checkpoints", "name", "data", "checksum"},
	{"versions", "id", "body", ""},
	{"versions", "id", "data", "checksum"},
	{"anomalies", "id", "body", ""},
	{"aside", "seq", "message", ""},
	{"aside", "seq", "body", ""},
	{"freezes", "id", "body", ""},
	{"notices", "id", "body", ""},
	{"told", "channel, subject", "body", ""},
	{"attentions", "id", "body", ""},
	{"answers", "id", "body", ""},
}

// Unhashed are the tables without: numbers, who may sign in, and the audit log, which is
// never changed and has no values in it.
var Unhashed = []string{"rollups", "aside_inputs", "audit", "accounts", "tokens", "sessions", "hash_key"}

// Reseal has change bring the hashes in a document up to date, in place, and returns its
// SHA-256. It reports whether there were any.
func Reseal(data []byte, change func([]byte) bool) (sum [32]byte, changed bool) {
	if changed = envelope.Amend(data, change); changed {
		sum = sha256.Sum256(data)
	}
	return sum, changed
}

// ResealContent is Reseal for the content of an observation: paths may have hashes, and
// settings stand in the order of their paths. It returns the content and its SHA-256, as
// a [Record] has them; nil if there were none.
func ResealContent(body []byte, change func([]byte) bool) (resealed, sum []byte, err error) {
	if !change(body) {
		return nil, nil, nil
	}
	var c content
	if err := Decode(body, &c); err != nil {
		return nil, nil, err
	}
	byPath := func(a, b setting) int { return cmp.Compare(a.Path, b.Path) }
	slices.SortFunc(c.Settings, byPath)
	slices.SortFunc(c.Applied, byPath)
	if body, err = encMode.Marshal(c); err != nil {
		return nil, nil, err
	}
	digest := sha256.Sum256(body)
	return body, digest[:], nil
}
