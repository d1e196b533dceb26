//go:build unix

package procgroup

import (
	"bufio"
	"context"
	"testing"
	"time"
)

// TestCommandContextEndsTheGroup ends a command whose child holds its output: that comes to its
// end, so the child is gone, too.
func TestCommandContextEndsTheGroup(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := CommandContext(ctx, "sh", "-c", "sleep 300 & echo begun; wait")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "begun" {
		t.Fatalf("the command says %q", lines.Text())
	}
	began := time.Now()
	cancel()
	for lines.Scan() {
		t.Errorf("it goes on with %q", lines.Text())
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ended as if nothing had ended it")
	}
	if time.Since(began) > time.Minute {
		t.Error("what it started was waited for")
	}
}
