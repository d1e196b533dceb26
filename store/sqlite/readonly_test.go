package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

func TestReadOnlyReadsAndNeverWrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "penumbra.db")
	if s, err := sqlite.Open(path, sqlite.ReadOnly()); s != nil || penumbra.KindOf(err) != penumbra.NotFound {
		t.Fatalf("a database that is not there was opened to read: %v", err)
	}
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := penumbra.Observation{Kind: penumbra.EventKind, Time: time.Unix(1, 0).UTC(), Resource: "shop/vm.a", Type: "vm", Action: "edit"}
	if _, err := s.Append(t.Context(), []penumbra.Observation{o}); err != nil {
		t.Fatal(err)
	}
	r, err := sqlite.Open(path, sqlite.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for got, err := range r.Observations(t.Context(), penumbra.ObservationQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; got.Identity() != o.Identity() {
			t.Errorf("read %+v, want %+v", got, o)
		}
	}
	if n != 1 {
		t.Fatalf("%d observations read, want 1", n)
	}
	o.Action = "another"
	if _, err := r.Append(t.Context(), []penumbra.Observation{o}); penumbra.KindOf(err) != penumbra.Refused {
		t.Fatalf("a store opened to read took an observation: %v", err)
	}
	if err := r.SaveRule(t.Context(), penumbra.Rule{ID: "i-1", Pattern: "*"}); penumbra.KindOf(err) != penumbra.Refused {
		t.Fatalf("a store opened to read took a rule: %v", err)
	}
}
