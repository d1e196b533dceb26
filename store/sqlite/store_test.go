package sqlite

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/penumbra-iac/penumbra/store/contract"
	"github.com/penumbra-iac/penumbra/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	var folders sync.Map // by the test's name
	storetest.Run(t, func(t *testing.T) contract.Store {
		folder, _ := folders.LoadOrStore(t.Name(), t.TempDir())
		s, err := Open(filepath.Join(folder.(string), "data", "penumbra.db"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
