//go:build unix

package e2e

// This file covers a daemon that catches up with a large log, many batches on
// their way at once, and is killed again and again: each line is there once in the
// end. It needs neither OpenTofu nor any other tool.

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// stored is how many lines of the backlog are durable.
func stored(s *site) int {
	s.t.Helper()
	store, err := sqlite.Open(s.path(".penumbra/penumbra.db"), sqlite.ReadOnly())
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	observations, _, err := store.Counts(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	aside, err := store.AsideKinds(s.t.Context(), 1)
	if err != nil {
		s.t.Fatal(err)
	}
	return int(observations) + int(aside.Records)
}

func TestBacklogSurvivesKills(t *testing.T) {
	s := newBareSite(t, `
  - {name: app, kind: json, paths: [app.log]}
`)
	s.known()
	const seed, lines, most = 5, 60_000, 40
	random := rand.New(rand.NewPCG(seed, 0))
	var text strings.Builder
	for n := range lines {
		text.WriteString(logLine("file", n) + "\n")
	}
	s.write("app.log", text.String())
	before := stored(s)
	kills, during := 0, map[int]bool{} // by how much was there
	for ; kills < most; kills++ {
		d := s.serve()
		select {
		case <-time.After(time.Duration(random.IntN(400)) * time.Millisecond):
		case <-d.ended:
			t.Fatalf("the daemon ended by itself: %v\n%s", d.err, d.log)
		}
		d.stop(syscall.SIGKILL)
		n := stored(s) - before
		if n >= lines {
			break
		}
		if n > 0 {
			during[n] = true
		}
	}
	d := s.serve()
	s.until("all has been taken in", func() bool { return stored(s)-before >= lines })
	d.stop(syscall.SIGTERM)
	have := taken{}
	have.events(s)
	have.aside(s)
	lost, twice := 0, 0
	for n := range lines {
		switch have[fmt.Sprintf("file line %07d ends", n)] {
		case 1:
		case 0:
			lost++
		default:
			twice++
		}
	}
	t.Logf("seed %d: %d kills, %d of them with a part of %d lines stored; lost %d, twice %d", seed, kills, len(during), lines, lost, twice)
	if lost+twice > 0 || len(have) != lines {
		t.Errorf("lost %d, twice %d, %d in all", lost, twice, len(have))
	}
	if len(during) == 0 {
		t.Error("no kill hit the daemon while it caught up")
	}
}
