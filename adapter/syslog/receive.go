package syslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
)

// Receiver takes messages from sockets. Set its fields before Listen.
type Receiver struct {
	Input string         // the input's name
	Zone  *time.Location // of RFC 3164 messages, nil for UTC
	Now   func() time.Time
	// Sink takes records; while it runs its connection is not read, so that a
	// TCP sender waits. Datagrams that arrive meanwhile fill the socket's
	// buffer and are then lost: syslog over UDP knows no acknowledgement.
	Sink func(ctx context.Context, records []penumbra.Record) error
	// Bad is told of what could not be read, and where from. May be nil. It is
	// called from several goroutines.
	Bad func(from string, err error)
	// MaxConnections bounds TCP senders, 0 means 256.
	MaxConnections int
	// IdleTimeout ends a TCP connection that says nothing, 0 means an hour.
	IdleTimeout time.Duration
}

// Listener is a bound receiver.
type Listener struct {
	r       *Receiver
	streams []net.Listener
	packets []net.PacketConn
	unix    []string
}

// Listen binds the addresses: "tcp://127.0.0.1:5514", "udp://127.0.0.1:5514" or
// "unixgram:///run/penumbra/log". Port 0 takes a free one, see [Listener.Addrs].
// The error is of kind Invalid for an address that cannot be read and of kind
// Unavailable for one that cannot be had.
func (r *Receiver) Listen(addrs ...string) (*Listener, error) {
	l := &Listener{r: r}
	for _, addr := range addrs {
		if err := l.bind(addr); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *Listener) bind(addr string) error {
	network, at, ok := bytes.Cut([]byte(addr), []byte("://"))
	where := string(at)
	fail := func(err error) error {
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "listen for syslog at " + addr, Err: err, Remedy: "is another program listening there?"}
	}
	switch name := string(network); {
	case ok && name == "tcp":
		s, err := net.Listen(name, where)
		if err != nil {
			return fail(err)
		}
		l.streams = append(l.streams, s)
	case ok && (name == "udp" || name == "unixgram"):
		if name == "unixgram" {
			// What a killed process left behind is in the way. Anything but a
			// socket is somebody else's.
			if info, err := os.Lstat(where); err == nil && info.Mode()&os.ModeSocket != 0 {
				if c, err := net.Dial(name, where); err == nil {
					c.Close()
					return fail(errors.New("in use"))
				}
				os.Remove(where)
			}
		}
		s, err := net.ListenPacket(name, where)
		if err != nil {
			return fail(err)
		}
		if b, ok := s.(interface{ SetReadBuffer(int) error }); ok {
			_ = b.SetReadBuffer(4 << 20) // the system may allow less
		}
		l.packets = append(l.packets, s)
		if name == "unixgram" {
			l.unix = append(l.unix, where)
		}
	default:
		return &penumbra.Error{Kind: penumbra.Invalid, What: "syslog address " + addr, Remedy: "write tcp://host:port, udp://host:port or unixgram:///path"}
	}
	return nil
}

// Addrs returns the addresses bound, streams first.
func (l *Listener) Addrs() (out []net.Addr) {
	for _, s := range l.streams {
		out = append(out, s.Addr())
	}
	for _, s := range l.packets {
		out = append(out, s.LocalAddr())
	}
	return out
}

func (l *Listener) close() {
	for _, s := range l.streams {
		s.Close()
	}
	for _, s := range l.packets {
		s.Close()
	}
	for _, path := range l.unix {
		os.Remove(path)
	}
}

// Serve receives until ctx ends, then returns nil. It returns the error of
// Sink, if that has one.
func (l *Listener) Serve(ctx context.Context) error {
	g, inner := errgroup.WithContext(ctx)
	stop := context.AfterFunc(inner, l.close)
	defer stop()
	for _, s := range l.packets {
		g.Go(func() error { return l.r.packets(inner, s) })
	}
	for _, s := range l.streams {
		g.Go(func() error { return l.r.accept(inner, s) })
	}
	if len(l.packets)+len(l.streams) == 0 {
		<-ctx.Done()
	}
	err := g.Wait()
	l.close()
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		return nil
	}
	return err
}

func (r *Receiver) bad(from string, err error) {
	if r.Bad != nil {
		r.Bad(from, err)
	}
}

// take parses one message and hands it over with those before it.
func (r *Receiver) take(p *Parser, from string, batch []penumbra.Record, line []byte) []penumbra.Record {
	got, err := p.Parse(line)
	if err != nil {
		r.bad(from, err)
	}
	for i := range got {
		if got[i].Attributes["host"] == "" {
			got[i].Attributes["host"] = from
		}
	}
	return append(batch, got...)
}

func (r *Receiver) packets(ctx context.Context, s net.PacketConn) error {
	p := NewParser(r.Input, r.Zone, r.Now)
	buf := make([]byte, MaxMessage+1)
	for {
		n, addr, err := s.ReadFrom(buf)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &penumbra.Error{Kind: penumbra.Unavailable, What: "receive syslog at " + s.LocalAddr().String(), Err: err}
		}
		batch := r.take(p, host(addr), nil, buf[:n])
		if len(batch) > 0 {
			if err := r.Sink(ctx, batch); err != nil {
				return err
			}
		}
	}
}

func host(addr net.Addr) string {
	switch a := addr.(type) {
	case *net.UDPAddr:
		return a.IP.String()
	case *net.TCPAddr:
		return a.IP.String()
	}
	return "localhost" // a unix socket's sender
}

func (r *Receiver) accept(ctx context.Context, s net.Listener) error {
	most := r.MaxConnections
	if most == 0 {
		most = 256
	}
	room := make(chan struct{}, most)
	g, inner := errgroup.WithContext(ctx)
	var once sync.Once
	stop := context.AfterFunc(inner, func() { once.Do(func() { s.Close() }) })
	defer stop()
	for {
		select {
		case room <- struct{}{}:
		case <-inner.Done():
			return g.Wait()
		}
		c, err := s.Accept()
		if err != nil {
			wait := g.Wait()
			switch {
			case wait != nil:
				return wait
			case ctx.Err() != nil:
				return ctx.Err()
			}
			return &penumbra.Error{Kind: penumbra.Unavailable, What: "receive syslog at " + s.Addr().String(), Err: err}
		}
		g.Go(func() error {
			defer func() { <-room }()
			return r.stream(inner, c)
		})
	}
}

// stream reads one connection. Its sender's faults end it and nothing else.
func (r *Receiver) stream(ctx context.Context, c net.Conn) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	idle := r.IdleTimeout
	if idle == 0 {
		idle = time.Hour
	}
	from := host(c.RemoteAddr())
	p := NewParser(r.Input, r.Zone, r.Now)
	in := bufio.NewReaderSize(c, MaxMessage+16)
	var batch []penumbra.Record
	for {
		if in.Buffered() == 0 {
			if err := c.SetReadDeadline(time.Now().Add(idle)); err != nil {
				return nil
			}
		}
		line, err := frame(in)
		if len(line) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			batch = r.take(p, from, batch, line)
		}
		if len(batch) > 0 && (in.Buffered() == 0 || len(batch) >= 1000 || err != nil) {
			if err := r.Sink(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
		switch {
		case err == nil:
		case errors.Is(err, errLong):
			r.bad(from, err)
		case errors.Is(err, io.EOF) || ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		default:
			r.bad(from, err)
			return nil
		}
	}
}

var errLong = fmt.Errorf("a message longer than %d bytes", MaxMessage)

// frame reads one message, counted or ended by a newline (RFC 6587 section
// 3.4). Of one that is too long the rest is skipped. The result is valid until
// the next call.
func frame(in *bufio.Reader) ([]byte, error) {
	first, err := in.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] < '1' || first[0] > '9' {
		return newlineFrame(in)
	}
	// A count is followed by a space and the message's "<"; what else starts
	// with a digit is a message without a priority, "2026-11-25T…".
	for n := 2; n <= 11; n++ {
		head, err := in.Peek(n)
		if err != nil {
			return newlineFrame(in)
		}
		switch c := head[n-1]; {
		case c >= '0' && c <= '9':
			continue
		case c != ' ':
			return newlineFrame(in)
		}
		size, _ := strconv.Atoi(string(head[:n-1]))
		if _, err := in.Discard(n); err != nil {
			return nil, err
		}
		if size > MaxMessage {
			if _, err := io.CopyN(io.Discard, in, int64(size)); err != nil {
				return nil, err
			}
			return nil, errLong
		}
		line, err := in.Peek(size)
		if err != nil {
			return nil, fmt.Errorf("a message of %d bytes ends after %d: %w", size, len(line), io.ErrUnexpectedEOF)
		}
		_, err = in.Discard(size)
		return line, err
	}
	return newlineFrame(in)
}

func newlineFrame(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = in.ReadSlice('\n')
	}
	if err != nil {
		return nil, err
	}
	return nil, errLong
}
