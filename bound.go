package penumbra

import "fmt"

// Relation is how a setting stands to a value.
type Relation string

// The relations, as most languages write them.
const (
	Equal   Relation = "=="
	Unequal Relation = "!="
	Below   Relation = "<"
	AtMost  Relation = "<="
	Above   Relation = ">"
	AtLeast Relation = ">="
)

var relationWords = map[Relation]string{Equal: "is", Unequal: "is not", Below: "is below", AtMost: "is at most", Above: "is above", AtLeast: "is at least"}

// Bound is what a guard in the code holds a setting to.
type Bound struct {
	Path  string   `json:"path"`
	Is    Relation `json:"is"`
	Value Value    `json:"value"`
	// Message is what whoever runs into it is told: one sentence, without a secret.
	Message string `json:"message,omitempty"`
}

// String says what holds: "memory_mb is below 2048".
func (b *Bound) String() string {
	return fmt.Sprintf("%s %s %s", b.Path, relationWords[b.Is], b.Value)
}

// Allows reports whether a value is within the bound. What is no number is never
// below or above one.
func (b *Bound) Allows(v Value) bool {
	switch b.Is {
	case Equal:
		return v == b.Value
	case Unequal:
		return v != b.Value
	}
	x, okX := v.Float()
	y, okY := b.Value.Float()
	if !okX || !okY {
		return false
	}
	switch b.Is {
	case Below:
		return x < y
	case AtMost:
		return x <= y
	case Above:
		return x > y
	default:
		return x >= y
	}
}
