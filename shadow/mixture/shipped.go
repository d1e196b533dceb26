package mixture

import _ "embed"

// shipped is what the mixture has learnt on public histories: weights only. See
// docs/model-versions.md for which, and for the command that makes it again.
//
//go:embed shipped.bin
var shipped []byte

// NewShipped returns a mixture that has observed nothing and starts from what
// ships with the program, so that it knows something on its first day.
func NewShipped(o Options) *Model {
	m, err := NewFrom(shipped, o)
	if err != nil {
		return New(o) // of another version of the features; a test holds that it is not
	}
	return m
}
