// Package randomid makes identifiers of what is recorded: short enough to be typed,
// and nothing else has them.
package randomid

import (
	"crypto/rand"
	"encoding/hex"
)

// New returns a new identifier with a prefix that says what it is of, such as "r".
func New(prefix string) string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + "-" + hex.EncodeToString(b[:])
}
