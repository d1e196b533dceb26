package outbound

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/penumbra-iac/penumbra"
)

func guard(t testing.TB, allowed ...string) *Guard {
	t.Helper()
	g, err := New(allowed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestWhatIsNotPublicIsRefused(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for address, ok := range map[string]bool{
		"8.8.8.8": true, "2606:4700::1111": true,
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "0.0.0.0": false, "::": false,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "100.64.0.1": false, "fc00::1": false, "fd12::1": false,
		"169.254.169.254": false, "169.254.1.1": false, "fe80::1": false, "fd00:ec2::254": false, "100.100.100.200": false,
		"224.0.0.1": false, "255.255.255.255": false, "ff02::1": false, "192.0.2.1": false, "2001:db8::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false,
	} {
		network := "tcp6"
		if ip := netip.MustParseAddr(address); ip.Is4() {
			network = "tcp4"
		}
		err := g.control(network, net.JoinHostPort(address, "443"), nil)
		if (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
		if !ok && penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%s: kind %v", address, penumbra.KindOf(err))
		}
		if err := g.CheckURL("https://" + net.JoinHostPort(address, "8443") + "/x"); (err == nil) != ok {
			t.Errorf("URL of %s: %v", address, err)
		}
	}
}

func TestAllowedNetworks(t *testing.T) {
	t.Parallel()
	g := guard(t, "10.20.0.0/16", "127.0.0.1", "fd00::/8", "169.254.0.0/16")
	for address, ok := range map[string]bool{
		"10.20.3.4:80": true, "10.21.0.1:80": false, "127.0.0.1:1": true, "127.0.0.2:1": false, "[fd12::1]:80": true, "[::ffff:10.20.0.1]:80": true,
		"169.254.7.7:80": true, "169.254.169.254:80": false, "[fd00:ec2::254]:80": false, "169.254.170.2:80": false,
	} {
		if err := g.control(map[bool]string{true: "tcp6", false: "tcp4"}[strings.HasPrefix(address, "[")], address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, bad := range []string{"intranet", "10.0.0.0/33", "::ffff:10.0.0.0/104", "fe80::1%eth0", ""} {
		if _, err := New([]string{bad}); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for raw, kind := range map[string]penumbra.ErrorKind{
		"file:///etc/passwd": penumbra.Invalid, "gopher://x/": penumbra.Invalid, "https:///x": penumbra.Invalid, "://": penumbra.Invalid,
		"https://u:hunter2@example.com/": penumbra.Invalid, "http://[::1]:80/": penumbra.Refused, "http://169.254.169.254/latest": penumbra.Refused,
	} {
		err := g.CheckURL(raw)
		if penumbra.KindOf(err) != kind || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if err := g.CheckURL("https://hooks.example.com/services/T0/B0"); err != nil {
		t.Error(err)
	}
}

// resolving returns a resolver that answers with one address after the other, the
// last one for good.
func resolving(t *testing.T, answers ...string) *net.Resolver {
	t.Helper()
	var asked atomic.Int64
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				a := answers[min(int(asked.Add(1))-1, len(answers)-1)]
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// A name that passes a look and points inwards at the dial reaches nothing: what is
// checked is what is connected to.
func TestRebindingReachesNothing(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inner.Close()
	_, port, _ := net.SplitHostPort(inner.Listener.Addr().String())

	g := guard(t)
	g.resolver = resolving(t, "8.8.8.8", "127.0.0.1")
	if ips, err := g.resolver.LookupHost(t.Context(), "hooks.example.com."); err != nil || ips[0] != "8.8.8.8" {
		t.Fatal(ips, err)
	}
	_, err := g.Client(10 * time.Second).Get("http://hooks.example.com.:" + port + "/")
	if penumbra.KindOf(err) != penumbra.Refused || reached.Load() != 0 {
		t.Fatalf("%d requests got in: %v", reached.Load(), err)
	}

	// The same name reaches it once the network is allowed, so the server was there.
	g = guard(t, "127.0.0.0/8")
	g.resolver = resolving(t, "127.0.0.1")
	res, err := g.Client(10 * time.Second).Get("http://hooks.example.com.:" + port + "/")
	if err != nil || reached.Load() != 1 {
		t.Fatalf("%d requests got in: %v", reached.Load(), err)
	}
	res.Body.Close()
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inner.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		outer := httptest.NewServer(http.RedirectHandler(inner.URL, status))
		res, err := guard(t, "127.0.0.1").Client(10*time.Second).Post(outer.URL, "application/json", strings.NewReader("{}"))
		if err != nil || res.StatusCode != status || reached.Load() != 0 {
			t.Fatalf("%d: %v, %d requests reached the target", status, err, reached.Load())
		}
		res.Body.Close()
		outer.Close()
	}
}

func TestNoProxyIsAsked(t *testing.T) {
	t.Parallel()
	if p := guard(t).Transport().Proxy; p != nil {
		t.Error("the transport asks a proxy, which resolves names unchecked")
	}
	u, _ := url.Parse("http://10.0.0.7/")
	if _, err := guard(t).Client(time.Second).Get(u.String()); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("%v", err)
	}
}
