package files_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start watches root and returns the changes told.
func start(t *testing.T, root string) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan struct{}, 16)
	done := make(chan error, 1)
	go func() { done <- files.Watch(ctx, []string{root}, func() { told <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return told
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(time.Now().String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, told <-chan struct{}, again func()) {
	t.Helper()
	// The watcher starts in its own time, so the change is made until it is told.
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	again()
	for range 20 {
		select {
		case <-told:
			return
		case <-tick.C:
			again()
		}
	}
	t.Fatal("a change was not told")
}

func TestWatchTellsOfChanges(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "modules", "mailer"), 0o700); err != nil {
		t.Fatal(err)
	}
	told := start(t, root)
	await(t, told, func() { write(t, filepath.Join(root, "main.tf")) })
	await(t, told, func() { write(t, filepath.Join(root, "modules", "mailer", "main.tf")) })
	t.Run("in a folder made later", func(t *testing.T) {
		folder := filepath.Join(root, "new")
		await(t, told, func() { _ = os.MkdirAll(folder, 0o700) })
		await(t, told, func() { write(t, filepath.Join(folder, "x.tf")) })
	})
}

func TestWatchRefusesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	err := files.Watch(t.Context(), []string{filepath.Join(t.TempDir(), "missing", "folder")}, func() {})
	if penumbra.KindOf(err) != penumbra.Unavailable && penumbra.KindOf(err) != penumbra.Invalid {
		t.Fatalf("Watch of a missing folder: %v", err)
	}
}
