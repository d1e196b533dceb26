//go:build unix

package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// candidate is a node of a database.
func candidate(t testing.TB, place, name string) *postgres.Election {
	t.Helper()
	return closing(t, open(t, place)).Election(postgres.Node{Name: name, Address: "http://127.0.0.1:1/" + name, Version: "v1"})
}

// during opens a store for a term.
func during(t testing.TB, place string, term postgres.Term) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{Connection: place, Term: term})
	if err != nil {
		t.Fatal(err)
	}
	return closing(t, s)
}

func stands(t testing.TB, e *postgres.Election) postgres.Term {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		term, err := e.Stand(t.Context())
		if err == nil {
			return term
		}
		if penumbra.KindOf(err) != penumbra.Locked || time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

func TestOneNodeLeads(t *testing.T) {
	t.Parallel()
	place := database(t)
	a, b := candidate(t, place, "a"), candidate(t, place, "b")
	if _, err := a.Leader(t.Context()); penumbra.KindOf(err) != penumbra.NotFound {
		t.Errorf("before anybody leads: %v", err)
	}
	term := stands(t, a)
	if _, err := b.Stand(t.Context()); penumbra.KindOf(err) != penumbra.Locked {
		t.Errorf("a second leader: %v", err)
	}
	if is, err := b.Leader(t.Context()); err != nil || is != term || is.Node.Address != "http://127.0.0.1:1/a" {
		t.Errorf("b is told that %+v leads, %v", is, err)
	}

	// A term that is kept lasts for longer than one that is not.
	ctx, stop := context.WithCancel(t.Context())
	kept := make(chan error, 1)
	go func() { kept <- a.Keep(ctx, term) }()
	for until := time.Now().Add(6 * time.Second); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		if _, err := b.Stand(t.Context()); penumbra.KindOf(err) != penumbra.Locked {
			t.Fatalf("b leads while a does: %v", err)
		}
	}
	stop()
	if err := <-kept; err != nil {
		t.Error(err)
	}
	if err := a.Resign(t.Context(), term); err != nil {
		t.Fatal(err)
	}
	next, err := b.Stand(t.Context())
	if err != nil || next.Number != term.Number+1 {
		t.Fatalf("after a resigned: %+v, %v", next, err)
	}
	if err := a.Keep(t.Context(), term); penumbra.KindOf(err) != penumbra.Locked {
		t.Errorf("a keeps a term that is over: %v", err)
	}

	following, stop := context.WithCancel(t.Context())
	told := make(chan postgres.Term, 8)
	var done sync.WaitGroup
	done.Go(func() { b.Follow(following, func(t postgres.Term) { told <- t }) })
	if is := <-told; is != next {
		t.Errorf("told of %+v, want %+v", is, next)
	}
	if err := b.Resign(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if is := <-told; is.Number != 0 {
		t.Errorf("told of %+v after it resigned", is)
	}
	stop()
	done.Wait()
	nodes, err := a.Nodes(t.Context())
	if err != nil || len(nodes.Nodes) != 1 || nodes.Nodes[0].Name != "b" || nodes.Nodes[0].Version != "v1" || nodes.Nodes[0].Leads || nodes.Gone(&nodes.Nodes[0]) {
		t.Errorf("the nodes: %+v, %v", nodes, err)
	}
}

// TestLeaderThatHangsIsFenced has a leader stop in the middle of a transaction, as a
// process does that is paused: what it had not committed is gone once another leads, its
// locks too, and nothing that it does when it wakes is stored.
func TestLeaderThatHangsIsFenced(t *testing.T) {
	t.Parallel()
	place := database(t)
	a, b := candidate(t, place, "a"), candidate(t, place, "b")
	first := stands(t, a)
	old := during(t, place, first)
	at := start
	if _, err := old.Append(t.Context(), []penumbra.Observation{snapshot("s/r.kept", at, "1")}); err != nil {
		t.Fatal(err)
	}
	tx, err := old.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `UPDATE timelines SET last = last + 1`); err != nil { // held by whoever appends
		t.Fatal(err)
	}
	// Others of it go on writing all the while: none of it is lost, none comes after.
	var acknowledged atomic.Int64
	var over atomic.Bool
	var writing sync.WaitGroup
	for w := range 4 {
		writing.Go(func() {
			for i := 0; !over.Load(); i++ {
				err := old.SaveFile(t.Context(), fmt.Sprintf("w%d/%d", w, i), []byte("x"))
				if err != nil {
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	second := stands(t, b)
	mine := during(t, place, second)
	count := func() (n int64) {
		if err := mine.Files(t.Context(), func(string, []byte, time.Time) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	if _, err := mine.Append(t.Context(), []penumbra.Observation{snapshot("s/r.new", at, "1")}); err != nil {
		t.Fatalf("the new leader appends: %v", err)
	}
	writing.Wait()
	over.Store(true)
	if n := acknowledged.Load(); n == 0 || n > before {
		t.Errorf("%d writes were acknowledged to the old leader, and the new one found %d", n, before)
	}
	if err := tx.Commit(t.Context()); err == nil {
		t.Error("a transaction of a term that was over was committed")
	}
	for range 20 { // new connections among them
		if _, err := old.Append(t.Context(), []penumbra.Observation{snapshot("s/r.late", at, "1")}); err == nil {
			t.Fatal("the old leader appended after its term")
		}
		if _, err := old.Alone(t.Context()); penumbra.KindOf(err) != penumbra.Locked {
			t.Fatalf("the old leader takes the database: %v", err)
		}
	}
	if n := count(); n != before {
		t.Errorf("%d files after the term was over, %d before", n, before)
	}
	if n, _, err := mine.Counts(t.Context()); err != nil || n != 2 {
		t.Errorf("%d observations, %v; want the one before and the one after", n, err)
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{Connection: place, Term: first}); penumbra.KindOf(err) != penumbra.Locked {
		t.Errorf("a store of a term that is over was opened: %v", err)
	}
}
