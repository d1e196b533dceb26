package postgres

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unheard is for how long what was sent may stay without an answer of the server's
// machine before the connection is given up: a network that is cut does not say so.
const unheard = 10 * time.Second

func giveUp(_, _ string, c syscall.RawConn) error {
	var failed error
	if err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unheard.Milliseconds()))
	}); err != nil {
		return err
	}
	return failed
}
