package mixture

import "testing"

// TestShippedIsOfThisVersion holds what ships with the program to its features,
// and to a size that everybody can carry.
func TestShippedIsOfThisVersion(t *testing.T) {
	t.Parallel()
	m, err := NewFrom(shipped, Options{})
	if err != nil {
		t.Fatalf("%v: make it again as docs/model-versions.md says", err)
	}
	if m.examples < 10_000 {
		t.Errorf("it has learnt from %v examples", m.examples)
	}
	if len(shipped) > 1<<20 {
		t.Errorf("it has %d bytes", len(shipped))
	}
	if len(m.types) != 0 || m.counts.Resources() != 0 {
		t.Errorf("it knows %d types and %d resources", len(m.types), m.counts.Resources())
	}
}
