//go:build unix

package procgroup

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// Each line is handed over while the command runs: it goes on only once the first
// was seen.
func TestRunRecordedIsLive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	record, err := os.Create(filepath.Join(dir, "record"))
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `echo one; read x <"$0"; echo "$x" >&2; printf "no end"; exit 3`, gate)
	var lines []string
	failed, unread := RunRecorded(cmd, record, 0, func(line []byte) {
		lines = append(lines, string(line))
		if string(line) == "one\n" {
			if err := os.WriteFile(gate, []byte("two\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	if failed == nil || cmd.ProcessState.ExitCode() != 3 || unread != nil {
		t.Fatalf("it ended with %v, %v", failed, unread)
	}
	if want := []string{"one\n", "two\n", "no end"}; !slices.Equal(lines, want) {
		t.Fatalf("lines: %q", lines)
	}
}

func TestRunRecordedIsBounded(t *testing.T) {
	t.Parallel()
	record, err := os.Create(filepath.Join(t.TempDir(), "record"))
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	var got []byte
	failed, unread := RunRecorded(exec.CommandContext(t.Context(), "sh", "-c", `echo 1234567890`), record, 4, func(line []byte) { got = append(got, line...) })
	if failed != nil || unread != nil || string(got) != "1234" {
		t.Fatalf("%q, %v, %v", got, failed, unread)
	}
}
