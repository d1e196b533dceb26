package wire

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/shadow/families"
)

// DefaultModel keeps the shadow unless another is asked for: the family that won
// on the estate's own past, see docs/model-versions.md.
const DefaultModel = engine.AutoModel

// Families are those that can keep the shadow, by the name that the
// configuration gives. The seed is that of what is drawn.
var Families = families.Starts

// Untrained makes a model of a family that knows nothing, not even what ships.
func Untrained(family string, seed uint64) shadow.Model { return families.Untrained(family, seed) }

// FamilyNames are those of the families, the simplest first.
func FamilyNames() []string {
	names := slices.Sorted(maps.Keys(Families))
	i := slices.Index(names, engine.FirstFamily)
	return slices.Concat([]string{engine.FirstFamily}, names[:i], names[i+1:])
}

// ServedSeed is the seed of a model that no training gave one.
const ServedSeed = 1

// NewFamily makes the shadow of a family from what a version of it starts from;
// without anything it starts as it ships.
func NewFamily(family string, body []byte) (engine.Shadow, error) {
	start := Families[family]
	if start == nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("this program has no family of models %q", family), Remedy: "run the version of Penumbra that has it"}
	}
	m := start(ServedSeed)
	if len(body) == 0 {
		return m, nil
	}
	_, err := m.ReadFrom(bytes.NewReader(body))
	return m, err
}
