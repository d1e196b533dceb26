package stored

import (
	"slices"
	"testing"
)

// Each table has its hashes brought up to date, or is known to have none.
func TestEachTableIsResealedOrHasNoHashes(t *testing.T) {
	t.Parallel()
	for _, table := range Tables[1:] { // the timelines have a way of their own
		for _, c := range table.Columns {
			document := c.Name == "body" || c.Name == "data" || c.Name == "message"
			listed := slices.ContainsFunc(HashedColumns, func(h Hashed) bool { return h.Table == table.Name && h.Column == c.Name })
			if document != listed && !slices.Contains(Unhashed, table.Name) {
				t.Errorf("nobody says whether %s.%s has hashes of sensitive values", table.Name, c.Name)
			}
		}
	}
}
