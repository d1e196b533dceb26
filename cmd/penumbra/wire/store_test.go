//go:build unix

package wire

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

func configured(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), ConfigFile)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path)
}

// databaseOf starts a PostgreSQL server and returns the URL of a database in it.
func databaseOf(t *testing.T) string {
	t.Helper()
	server := pgtest.Own(t, pgtest.Options{})
	return server.Connection("postgres", server.Create(t))
}

// TestStoreIsNamedWithoutItsPassword holds what may stand in penumbra.yaml.
func TestStoreIsNamedWithoutItsPassword(t *testing.T) {
	for text, want := range map[string]string{
		"store: postgres://me@db/x?sslmode=verify-full\nkeep_timelines: 9600h": "",
		"store: postgresql:///x":                    "",
		"store: postgres://me:hunter2@db/x":         "store holds a password",
		"store: postgres://me@db/x?password=abc":    "store holds a password",
		"store: host=db password=hunter2":           "store holds a password",
		"store: host=db dbname=x":                   "not the URL of a PostgreSQL database",
		"store: mysql://db/x":                       "not the URL of a PostgreSQL database",
		"keep_timelines: 9600h":                     "no meaning for the embedded store",
		"store: postgres://db\nkeep_timelines: -1h": "keep_timelines is -1h",
	} {
		_, err := configured(t, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the password", text)
		}
	}
}

func TestStorePasswordFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	t.Setenv(storePasswordFile, path)
	if _, err := databaseAt("postgres://db/x"); penumbra.KindOf(err) != penumbra.Missing {
		t.Errorf("the file is missing: %v", err)
	}
	for text, want := range map[string]penumbra.ErrorKind{"\n": penumbra.Invalid, " correct horse \n": 0} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := databaseAt("postgres://db/x")
		if want != 0 && penumbra.KindOf(err) != want || want == 0 && (err != nil || c.Password != " correct horse ") {
			t.Errorf("%q: password %q, %v", text, c.Password, err)
		}
	}
	t.Setenv(storePassword, "of the environment")
	if c, err := databaseAt("postgres://db/x"); err != nil || c.Password != "of the environment" {
		t.Errorf("password %q: %v", c.Password, err)
	}
}

// TestOldTimelinesAreDropped has a loop on a database drop the months that are older
// than is configured, and record it.
func TestOldTimelinesAreDropped(t *testing.T) {
	t.Parallel()
	url := databaseOf(t)
	s, err := postgres.Open(t.Context(), postgres.Config{Connection: url})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC)
	var all []penumbra.Observation
	for _, month := range []time.Month{time.January, time.February, time.May, time.June} {
		all = append(all, penumbra.Observation{Kind: penumbra.EventKind, Time: time.Date(2026, month, 2, 0, 0, 0, 0, time.UTC), Resource: "shop/vm.a", Action: "edit"})
	}
	if _, err := s.Append(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := configured(t, fmt.Sprintf("store: %q\nkeep_timelines: 1440h\n", url))
	if err != nil {
		t.Fatal(err)
	}
	loop, err := Open(t.Context(), c, Options{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- loop.Upkeep(ctx) }()
	var entries []penumbra.AuditEntry
	for deadline := time.Now().Add(time.Minute); len(entries) == 0; {
		if entries, err = loop.Audit.AuditEntries(t.Context(), penumbra.AuditQuery{Act: "timelines.drop"}); err != nil || time.Now().After(deadline) {
			t.Fatal("nothing was dropped", err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if e := entries[0]; e.Details["observations"] != "2" || e.Details["before"] != "2026-04-16T00:00:00Z" || e.Kind != penumbra.SystemPrincipal {
		t.Errorf("recorded is %+v", e)
	}
	if n, _, err := loop.store.Counts(t.Context()); err != nil || n != 2 {
		t.Errorf("%d observations are left, want 2: %v", n, err)
	}
	if err := loop.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
