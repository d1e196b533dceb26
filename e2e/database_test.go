//go:build unix

package e2e

// This file covers the program on a PostgreSQL database in the place of the embedded
// store: what was learnt and decided before is carried over, the loop goes on as on a
// file and through a restart of the server, a daemon that is killed in the middle of an
// apply is followed by one that takes its run up, and one daemon at a time works on the
// database.

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/migrate"
)

func TestOnPostgreSQL(t *testing.T) {
	s := newSite(t).recorded()
	server := pgtest.Shared(t, pgtest.Options{})
	database := server.Database(t)
	if err := server.SQL("postgres", "CREATE ROLE "+pgtest.Guarded+" LOGIN PASSWORD 'correct horse'", "ALTER DATABASE "+database+" OWNER TO "+pgtest.Guarded); err != nil {
		t.Fatal(err)
	}
	url := server.Connection(pgtest.Guarded, database)

	// A drift and its end on the embedded store.
	d := s.watching()
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 896")
	first := s.drift(queue, "memory_mb")
	s.approve(s.proposal(first.ID, penumbra.Revert))
	s.penumbra("migrate", "--to", url).ends(1).tells("another penumbra works on")
	d.stop(syscall.SIGTERM)

	s.penumbra("migrate", "--to", url).ends(1).tells("the right to use")
	s.write("password", "correct horse\n")
	s = s.with("PENUMBRA_STORE_PASSWORD_FILE=" + s.path("password"))
	var report migrate.Report
	s.penumbra("migrate", "--to", url, "--output", "json").ends(0).into(&report)
	if !report.Verified || report.Timelines.Count == 0 {
		t.Fatalf("%+v", report)
	}
	s.write("penumbra.yaml", s.read("penumbra.yaml")+"store: "+url+"\n")
	if err := os.Rename(s.path(".penumbra/penumbra.db"), s.path("kept.db")); err != nil {
		t.Fatal(err)
	}

	// The same history, and the next drift is resolved there.
	d = s.watching()
	if after := s.show(first.ID); after.Status != penumbra.Resolved || after.Resolution != penumbra.Returned {
		t.Fatalf("after the migration: %+v", after)
	}
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	second := s.drift(queue, "tls")
	s.approve(s.proposal(second.ID, penumbra.Revert))
	s.holds("shop/etc/queue.conf", "tls = false")
	s.plansNothing()

	// The server goes away and comes back, and the daemon with it.
	ready := func() int {
		response, err := http.Get(strings.Split(d.url, "/?")[0] + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	s.until("the daemon is not ready", func() bool { return ready() == http.StatusServiceUnavailable })
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true")
	s.penumbra("freeze", "--reason", "nobody keeps it").ends(1).tells("PostgreSQL server runs")
	if err := server.Again(); err != nil {
		t.Fatal(err)
	}
	s.until("the daemon is ready", func() bool { return ready() == http.StatusOK })
	s.approve(s.proposal(s.drift(queue, "tls").ID, penumbra.Revert))
	s.holds("shop/etc/queue.conf", "tls = false")

	// Another daemon, with a data directory of its own, is kept out.
	s.penumbra("ingest", "--data", s.path("elsewhere"), os.DevNull).ends(1).tells("another penumbra works on PostgreSQL")

	// A daemon is killed while it applies. The next one ends the run.
	s.write("held", "")
	s.edit("shop/etc/queue.conf", "memory_mb = 768", "memory_mb = 1000")
	third := s.drift(queue, "memory_mb")
	p := s.proposal(third.ID, penumbra.Revert)
	var approving sync.WaitGroup
	approving.Go(func() { s.penumbra("approve", p.ID, "--yes") })
	s.until("the apply begins", func() bool { pids, _ := s.applies(); return len(pids) == 4 })
	d.stop(syscall.SIGKILL)
	approving.Wait()
	if err := os.Remove(s.path("held")); err != nil {
		t.Fatal(err)
	}
	d = s.watching()
	settled(s)
	for _, run := range s.runs() {
		if !run.State.Ended() {
			t.Errorf("a run has not ended: %+v", run)
		}
	}
	s.penumbra("audit", "verify").ends(0).tells("without a break")
	d.stop(syscall.SIGTERM)

	// After a stop the database is free, and everything is still there.
	d = s.watching()
	if list := s.runs(); len(list) < 4 {
		t.Errorf("%d runs are there, want 4", len(list))
	}
	d.stop(syscall.SIGTERM)
	if there, _ := filepath.Glob(s.path(".penumbra/penumbra.db*")); len(there) > 0 {
		t.Errorf("an embedded store was made: %q", there)
	}
	for _, name := range []string{"penumbra.yaml", ".penumbra/audit.heads"} {
		if strings.Contains(s.read(name), "horse") {
			t.Errorf("%s holds the password", name)
		}
	}
}
