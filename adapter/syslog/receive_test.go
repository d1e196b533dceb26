package syslog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/penumbra-iac/penumbra"
)

// listen serves until the test ends.
func listen(t *testing.T, addrs ...string) (*Listener, <-chan penumbra.Record, <-chan error) {
	t.Helper()
	records, bad := make(chan penumbra.Record, 100), make(chan error, 100)
	r := &Receiver{Input: "net", Sink: func(_ context.Context, got []penumbra.Record) error {
		for _, x := range got {
			records <- x
		}
		return nil
	}, Bad: func(_ string, err error) { bad <- err }}
	l, err := r.Listen(addrs...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve ended with %v", err)
		}
		goleak.VerifyNone(t)
	})
	return l, records, bad
}

const accepted = "<38>Nov 25 12:09:37 web1 sshd[12]: Accepted publickey for alice from 192.0.2.7 port 5022 ssh2"

func TestReceive(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "log")
	l, records, bad := listen(t, "tcp://127.0.0.1:0", "udp://127.0.0.1:0", "unixgram://"+socket)
	for _, addr := range l.Addrs() {
		c, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if addr.Network() == "tcp" {
			fmt.Fprintf(c, "%s\n%d %s%s\n", accepted, len(accepted), accepted, accepted)
			for range 2 {
				if r := <-records; r.Actor != "alice" {
					t.Errorf("over TCP: %+v", r)
				}
			}
		} else {
			io.WriteString(c, accepted)
		}
		if r := <-records; r.Actor != "alice" || r.Input != "net" {
			t.Errorf("over %s: %+v", addr.Network(), r)
		}
		if addr.Network() == "tcp" {
			fmt.Fprintf(c, "<13>%s\n99999999 %s", strings.Repeat("x", MaxMessage+100), strings.Repeat("x", 10))
		} else {
			c.Write([]byte{0, 1, 2})
		}
		if err := <-bad; err == nil {
			t.Error("no error")
		}
	}
}

func TestListenErrors(t *testing.T) {
	if _, err := new(Receiver).Listen("http://x"); penumbra.KindOf(err) != penumbra.Invalid {
		t.Error(err)
	}
	l, _, _ := listen(t, "tcp://127.0.0.1:0")
	if _, err := new(Receiver).Listen("tcp://" + l.Addrs()[0].String()); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Error(err)
	}
}

func TestSinkThatFailsEndsServe(t *testing.T) {
	defer goleak.VerifyNone(t)
	broken := errors.New("broken")
	r := &Receiver{Sink: func(context.Context, []penumbra.Record) error { return broken }}
	l, err := r.Listen("tcp://127.0.0.1:0", "udp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, accepted+"\n")
	if err := l.Serve(context.Background()); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("5 <13>x<13>y\n2026-11-25 x\n"))
	f.Add([]byte("99999999999999999999 x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReaderSize(strings.NewReader(string(data)), MaxMessage+16)
		for range len(data) + 2 {
			line, err := frame(in)
			if len(line) > MaxMessage+16 {
				t.Fatal(len(line))
			}
			if err != nil && !errors.Is(err, errLong) {
				return
			}
		}
		t.Fatal("frames without end")
	})
}
