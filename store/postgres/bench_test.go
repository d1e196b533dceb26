//go:build unix

package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/contract"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// BenchmarkStores measures both stores in one run, on one disk: a file, and a server on
// a Unix socket. Both sync what they acknowledge.
func BenchmarkStores(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		stores(b, func(b *testing.B) contract.Store {
			s, err := sqlite.Open(filepath.Join(b.TempDir(), "penumbra.db"))
			if err != nil {
				b.Fatal(err)
			}
			return s
		})
	})
	b.Run("postgres", func(b *testing.B) {
		server, err := pgtest.Start(pgtest.Options{Durable: true})
		if errors.Is(err, pgtest.ErrNone) && os.Getenv("REQUIRE_TOOLS") != "1" {
			b.Skip(err)
		}
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(server.Remove)
		stores(b, func(b *testing.B) contract.Store {
			s, err := postgres.Open(b.Context(), postgres.Config{Connection: server.Connection("postgres", server.Database(b))})
			if err != nil {
				b.Fatal(err)
			}
			return s
		})
	})
}

// observed returns the nth of many snapshots of 15 settings, as a stack of 500 resources
// has them: what one says changes with every 20th look.
func observed(n int) penumbra.Observation {
	const resources, repeat = 500, 20
	o := penumbra.Observation{
		Kind: penumbra.SnapshotKind, Time: start.Add(time.Duration(n) * time.Second), Full: true,
		Resource: penumbra.Address(fmt.Sprintf("shop/aws_instance.web[%d]", n%resources)), Type: "aws_instance", Source: "tofu",
	}
	o.Settings = make(penumbra.Settings, 15)
	for k := range o.Settings {
		v := penumbra.String(fmt.Sprintf("value-%d-%d", n%resources, k))
		if k == 0 {
			v = penumbra.Number(float64(n / resources / repeat))
		}
		o.Settings[k] = penumbra.Setting{Path: fmt.Sprintf("block.%02d.name", k), Value: v}
	}
	return o
}

func stores(b *testing.B, open func(*testing.B) contract.Store) {
	temporary := func(b *testing.B) contract.Store {
		s := open(b)
		b.Cleanup(func() { _ = s.Close() })
		return s
	}
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("append/batch=%d", size), func(b *testing.B) {
			s := temporary(b)
			batch := make([]penumbra.Observation, size)
			n := 0
			for b.Loop() {
				b.StopTimer()
				for i := range batch {
					batch[i] = observed(n)
					n++
				}
				b.StartTimer()
				if added, err := s.Append(b.Context(), batch); err != nil || len(added) != size {
					b.Fatal(len(added), err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "observations/s")
		})
	}
	const many = 50_000
	filled := temporary(b)
	var batch []penumbra.Observation
	for n := range many {
		if batch = append(batch, observed(n)); len(batch) == 5000 {
			if _, err := filled.Append(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	read := func(b *testing.B, q penumbra.ObservationQuery, want int) {
		for b.Loop() {
			n := 0
			for _, err := range filled.Observations(b.Context(), q) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != want {
				b.Fatalf("%d are read, want %d", n, want)
			}
		}
		b.ReportMetric(float64(want)*float64(b.N)/b.Elapsed().Seconds(), "observations/s")
	}
	b.Run("restore/all", func(b *testing.B) { read(b, penumbra.ObservationQuery{}, many) })
	b.Run("restore/after", func(b *testing.B) { read(b, penumbra.ObservationQuery{After: many - 1000}, 1000) })
	b.Run("timeline", func(b *testing.B) {
		read(b, penumbra.ObservationQuery{Resource: "shop/aws_instance.web[7]"}, many/500)
	})
	drifts := make([]penumbra.Drift, 20_000)
	for i := range drifts {
		drifts[i] = penumbra.Drift{ID: fmt.Sprintf("d-%05d", i), Resource: penumbra.Address(fmt.Sprintf("shop/aws_instance.web[%d]", i%500)), Status: penumbra.Resolved,
			Verdict: penumbra.Drifted, Changed: start.Add(time.Duration(i) * time.Minute)}
	}
	if err := filled.SaveDrifts(b.Context(), drifts); err != nil {
		b.Fatal(err)
	}
	b.Run("page/drifts", func(b *testing.B) { // 50 of them, in the middle of the list
		middle := drifts[len(drifts)/2]
		for b.Loop() {
			page, err := filled.Drifts(b.Context(), penumbra.DriftQuery{Resolved: true, Before: middle.Changed, BeforeID: middle.ID, Limit: 50})
			if err != nil || len(page) != 50 {
				b.Fatal(len(page), err)
			}
		}
	})
	for i := range 5000 {
		err := filled.AppendAudit(b.Context(), func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
			n := head.Sequence + 1
			return []penumbra.AuditEntry{{Sequence: n, Previous: head.Hash, Hash: fmt.Sprint("sha256:", n), Time: start.Add(time.Duration(i) * time.Second), Principal: "user:alice", Act: "run.start"}}, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("page/audit", func(b *testing.B) { // the newest 50 of one person
		for b.Loop() {
			page, err := filled.AuditEntries(b.Context(), penumbra.AuditQuery{Principal: "user:alice", Latest: true, Limit: 50})
			if err != nil || len(page) != 50 {
				b.Fatal(len(page), err)
			}
		}
	})
}
