//go:build unix

package beam_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/beam"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/timeline"
)

// kept returns the URL of a database that keeps a history, whose role has to give its
// password, and gives it.
func kept(t *testing.T, all []penumbra.Observation) string {
	t.Helper()
	server := pgtest.Own(t, pgtest.Options{})
	name := server.Create(t)
	if err := server.SQL("postgres", "CREATE ROLE "+pgtest.Guarded+" LOGIN PASSWORD 'correct horse'", "ALTER DATABASE "+name+" OWNER TO "+pgtest.Guarded); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PENUMBRA_STORE_PASSWORD", "correct horse")
	address := server.Connection(pgtest.Guarded, name)
	s, err := postgres.Open(t.Context(), postgres.Config{Connection: address, Password: "correct horse"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Append(t.Context(), timeline.Order(all)); err != nil {
		t.Fatal(err)
	}
	return address
}

// TestFromADatabase scores, trains and judges what a database keeps: all is as from files
// that say the same.
func TestFromADatabase(t *testing.T) {
	all := fleet(9, 12)
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	database, files := kept(t, all), write(t, all)
	model := checkpoint(t, learnt(shadow.NewPooled(shadow.Options{}), all))
	of := func(inputs ...string) (map[penumbra.Address]beam.Scored, []byte, beam.Result) {
		t.Helper()
		out := t.TempDir()
		result, err := beam.Score(t.Context(), beam.Scoring{Files: inputs, Checkpoint: model, Out: out, At: at, Confidence: 0.95}, prism)
		if err != nil {
			t.Fatal(err)
		}
		trained := filepath.Join(t.TempDir(), "trained")
		if _, err := beam.Train(t.Context(), beam.Training{Files: inputs, Out: trained, Shards: 2, Rounds: 2}, prism); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(trained)
		if err != nil {
			t.Fatal(err)
		}
		return scores(t, out), body, result
	}
	want, learnt, _ := of(files...)
	got, fromThere, result := of(database)
	if len(got) != len(want) || result.Observations != int64(len(all)) {
		t.Errorf("%d resources of %d observations, want %d of %d", len(got), result.Observations, len(want), len(all))
	}
	for address, x := range want {
		same(t, got[address], x)
	}
	if !bytes.Equal(fromThere, learnt) {
		t.Error("what was learnt from the database is not what was learnt from files")
	}

	for input, want := range map[string]penumbra.ErrorKind{
		strings.Replace(database, "@", ":correct%20horse@", 1): penumbra.Invalid,
		"postgres://nobody@127.0.0.1:1/x":                      penumbra.Unavailable,
	} {
		_, err := beam.Score(t.Context(), beam.Scoring{Files: []string{input}, Checkpoint: model, Out: t.TempDir(), At: at, Confidence: 0.95}, prism)
		if penumbra.KindOf(err) != want || strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: %v", input, err)
		}
	}
	t.Setenv("PENUMBRA_STORE_PASSWORD", "wrong")
	if _, err := beam.Score(t.Context(), beam.Scoring{Files: []string{database}, Checkpoint: model, Out: t.TempDir(), At: at, Confidence: 0.95}, prism); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("with another password: %v", err)
	}
}
