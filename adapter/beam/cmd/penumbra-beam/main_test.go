package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// TestMain lets the test binary be the program too.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "penumbra-beam" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestVerbsOfPenumbra trains a model by `penumbra train --runner`, which is kept as
// a version and shown, and scores a fleet with it.
func TestVerbsOfPenumbra(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "penumbra")
	build := exec.Command("go", "build", "-o", program, "./cmd/penumbra")
	build.Dir = filepath.Join("..", "..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(folder, "penumbra-beam")); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for i := range 24 {
		fmt.Fprintf(&lines, `{"kind":"event","time":"2026-01-01T00:00:00Z","resource":"prod/service.s%02d","type":"service","source":"git:0","action":"create","settings":{"image":"v0","cpu":2}}`+"\n", i)
		for d := 1; d < 60 && i%3 == 0; d++ {
			fmt.Fprintf(&lines, `{"kind":"event","time":"2026-%02d-%02dT00:00:00Z","resource":"prod/service.s%02d","type":"service","source":"git:%d","action":"update","settings":{"image":"v%d"}}`+"\n", 1+d/28, 1+d%28, i, d, d)
		}
	}
	history := filepath.Join(folder, "fleet.jsonl")
	if err := os.WriteFile(history, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "penumbra.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	penumbra := func(args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "HOME="+folder)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		return out.String() + errs.String(), err
	}
	wants := func(want string, args ...string) {
		t.Helper()
		if out, err := penumbra(args...); err != nil || !strings.Contains(out, want) {
			t.Fatalf("penumbra %v: %v, no %q in\n%s", args, err, want, out)
		}
	}
	wants("round 1 of 1, observations learnt", "train", "--runner", "prism", "--shards", "2", "--file", "model", history)
	wants("mixture", "model", "list")
	wants("fleet.jsonl", "model", "list")
	wants("Likeliest to leave within 7d", "score", "--checkpoint", "model", "--out", "scores", "--at", "2026-03-03T00:00:00Z", history)
	out, err := penumbra("score", "--checkpoint", "model", "--out", "again", "--at", "2026-03-03T00:00:00Z", "-o", "json", history)
	var result struct {
		Observations, Resources int
	}
	if err != nil || json.Unmarshal([]byte(out), &result) != nil || result.Resources != 24 || result.Observations != 24+8*59 {
		t.Errorf("%v\n%s", err, out)
	}
	rows := filepath.Join(folder, "fleet.parquet")
	if out, err := exec.Command(filepath.Join(folder, "penumbra-beam"), "convert", "-out", rows, history).CombinedOutput(); err != nil || !strings.Contains(string(out), `"observations":`) {
		t.Fatalf("convert: %v\n%s", err, out)
	}
	wants("24 resources of", "score", "--checkpoint", "model", "--out", "of-rows", "--format", "parquet", "--at", "2026-03-03T00:00:00Z", rows)
	t.Run("into a database", func(t *testing.T) {
		server := pgtest.Own(t, pgtest.Options{})
		address := server.Connection("postgres", server.Create(t))
		into := func(more ...string) []string {
			return append([]string{"score", "--checkpoint", "model", "--at", "2026-03-03T00:00:00Z", "--keep", "1", history}, more...)
		}
		if out, err := penumbra(into("--out", address)...); err == nil || !strings.Contains(out, "there is no store") {
			t.Errorf("into one without a store: %v\n%s", err, out)
		}
		s, err := postgres.Open(t.Context(), postgres.Config{Connection: address})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		wants("scored into PostgreSQL database", into("--out", address)...)
		configured := filepath.Join(folder, "penumbra.yaml")
		if err := os.WriteFile(configured, []byte("store: "+address+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := penumbra(into("-o", "json")...) // into the configured store
		var result struct {
			Resources int
			Job       int64
			Where     string
		}
		if err != nil || json.Unmarshal([]byte(out), &result) != nil || result.Resources != 24 || result.Job != 2 || !strings.Contains(result.Where, "PostgreSQL") {
			t.Errorf("%v\n%s", err, out)
		}
		var likeliest string
		// The query of docs/scale.md.
		if err := s.Pool().QueryRow(t.Context(), `SELECT resource FROM scores WHERE job = (SELECT id FROM scoring_jobs WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT 1)
			ORDER BY leave_1d DESC, resource LIMIT 20`).Scan(&likeliest); err != nil || likeliest != "prod/service.s00" {
			t.Errorf("%q, %v", likeliest, err)
		}
		for want, args := range map[string][]string{
			"--out holds a password":   into("--out", strings.Replace(address, "@", ":hunter2@", 1)),
			"--format with a database": into("--format", "parquet"),
			"--keep with a folder":     into("--out", "elsewhere"),
			"--keep below 1":           into("--keep", "0"),
		} {
			if out, err := penumbra(args...); err == nil || !strings.Contains(out, want) || strings.Contains(out, "hunter2") {
				t.Errorf("penumbra %v: %v, no %q in\n%s", args, err, want, out)
			}
		}
		if err := os.WriteFile(configured, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	// The report of one shard is that of one process.
	judged := []string{"backtest", "--model", "pooled", "--every", "7d", "--bootstrap", "20", "-o", "json", history}
	here, err := penumbra(judged...)
	if err != nil {
		t.Fatalf("%v\n%s", err, here)
	}
	if there, err := penumbra(append(judged, "--runner", "prism", "--shards", "1")...); err != nil || there != here {
		t.Errorf("in one shard: %v\n%s\nin one process\n%s", err, there, here)
	}
	wants("pooled is the model to use", "backtest", "--runner", "prism", "--shards", "2", "--model", "pooled", "--every", "7d", "--file", "report", history)
	wants("cuts asked, of ", "backtest", "--runner", "prism", "--shards", "2", "--model", "pooled", "--every", "7d", history)
	for name, args := range map[string][]string{
		"no history is named":     {"backtest", "--runner", "prism"},
		"--runner with --train":   {"backtest", "--runner", "prism", "--train", history, history},
		"there are scores":        {"score", "--checkpoint", "model", "--out", "scores", history},
		"name it with --endpoint": {"score", "--checkpoint", "model", "--out", "other", "--runner", "spark", history},
		"read the model's":        {"score", "--checkpoint", "none", "--out", "third", history},
		"no place for the scores": {"score", "--checkpoint", "model", history},
	} {
		if out, err := penumbra(args...); err == nil || !strings.Contains(out, name) {
			t.Errorf("penumbra %v: %v, no %q in\n%s", args, err, name, out)
		}
	}
}
