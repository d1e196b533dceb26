package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// TestAuditEntriesStay holds the database itself, rather than this package, to
// keeping entries.
func TestAuditEntriesStay(t *testing.T) {
	t.Parallel()
	s, err := Open(filepath.Join(t.TempDir(), "penumbra.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.AppendAudit(t.Context(), func(penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
		return []penumbra.AuditEntry{{Sequence: 1, Time: time.Unix(1, 0).UTC(), Act: "run.start", Hash: "sha256:1"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for statement, want := range map[string]string{
		`UPDATE audit SET body = '{}'`:                                   "never changed",
		`UPDATE audit SET sequence = 7`:                                  "never changed",
		`DELETE FROM audit`:                                              "never deleted",
		`INSERT OR REPLACE INTO audit (sequence, body) VALUES (1, '{}')`: "behind the last one",
		`INSERT INTO audit (sequence, body) VALUES (3, '{}')`:            "behind the last one",
		`INSERT INTO audit (sequence, body) VALUES (0, '{}')`:            "behind the last one",
	} {
		if _, err := s.writer.ExecContext(t.Context(), statement); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that says %q", statement, err, want)
		}
	}
	// Whoever drops the triggers makes an entry unreadable, and it is not passed over.
	for _, statement := range []string{`DROP TRIGGER audit_keep`, `UPDATE audit SET body = '[]'`} {
		if _, err := s.writer.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	got, err := s.AuditEntries(t.Context(), penumbra.AuditQuery{})
	if err != nil || len(got) != 1 || got[0].Sequence != 1 || got[0].Hash != "" {
		t.Errorf("entries %+v, error %v", got, err)
	}
}

func BenchmarkAppendAudit(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "penumbra.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		err := s.AppendAudit(b.Context(), func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
			n := head.Sequence + 1
			return []penumbra.AuditEntry{{Sequence: n, Time: time.Unix(n, 0).UTC(), Principal: "user:alice", Act: "run.start", Target: penumbra.Target{ID: "r-1"}, Previous: head.Hash, Hash: fmt.Sprintf("sha256:%d", n)}}, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
