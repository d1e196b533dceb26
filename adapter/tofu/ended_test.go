//go:build unix

package tofu

import (
	"bytes"
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
)

// OpenTofu writes a local state anew when it is interrupted, whatever it was doing.
func TestReadThatIsEndedWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t, nil)
	// What is read by the provider has another end, and no text: it hangs once the state has been read.
	pipe := s.path("etc/queue.conf")
	if err := errors.Join(os.Remove(pipe), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	reading, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.w.Read(reading)
		ended <- err
	}()
	opened := make(chan *os.File, 1)
	go func() {
		writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the provider reads
		if err != nil {
			t.Error(err)
		}
		opened <- writer
	}()
	select {
	case writer := <-opened:
		defer writer.Close()
	case err := <-ended:
		t.Fatalf("the read has ended before it was to: %v", err)
	}
	state, err := os.ReadFile(s.path("terraform.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	applied := bytes.Replace(state, []byte(`"serial": `), []byte(`"serial": 4`), 1)
	if bytes.Equal(applied, state) {
		t.Fatal("the state has no serial")
	}
	s.write("terraform.tfstate", string(applied)) // by somebody else
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a read that was ended: %v", err)
	}
	if now, err := os.ReadFile(s.path("terraform.tfstate")); err != nil || !bytes.Equal(now, applied) {
		t.Errorf("what somebody else applied is lost: %v\n%s", err, now)
	}
}
