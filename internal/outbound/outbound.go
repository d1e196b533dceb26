// Package outbound answers: may Penumbra send to this address? It guards what is
// sent to addresses that people name, such as webhooks, so that nobody reaches
// through Penumbra what they cannot reach themselves (server-side request forgery).
// Use its client, or its dialer for what is not HTTP.
//
// It guarantees that the address which is dialled is the one that was checked,
// whatever a name resolves to by then; that private, link-local and loopback
// networks are reached only where the configuration names them, and cloud metadata
// services never; that no redirect is followed and no proxy is asked.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/penumbra-iac/penumbra"
)

// metadata are the services that hand out a machine's credentials: of AWS, Azure,
// Google Cloud and most others; of AWS over IPv6; of Alibaba Cloud; of Oracle Cloud.
// An allowed network never opens them.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("169.254.169.254/32"), netip.MustParsePrefix("169.254.170.2/32"), netip.MustParsePrefix("169.254.170.23/32"),
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"),
}

// Guard decides by the address itself, just before it is dialled. Safe for
// concurrent use.
type Guard struct {
	guardian *ssrf.Guardian
	resolver *net.Resolver // nil for the system's
}

// New returns a guard that lets the public internet be reached, and besides the
// networks or single addresses allowed: "10.20.0.0/16", "::1". The error is of kind
// Invalid.
func New(allowed []string) (*Guard, error) {
	var v4, v6 []netip.Prefix
	for _, text := range allowed {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			a, single := netip.ParseAddr(text)
			if single != nil || a.Zone() != "" {
				return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("outbound.allow has %q", text), Remedy: "write a network such as 10.20.0.0/16, or an address", Err: err}
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("outbound.allow has %q", text), Remedy: "write the IPv4 network itself"}
		}
		if p = p.Masked(); p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return &Guard{guardian: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}, nil
}

// control is called with the address that a name resolved to, between the socket's
// making and its connecting: a name that resolves to another address a moment later
// gains nothing.
func (g *Guard) control(network, address string, conn syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().WithZone("")
	if ip.Is4In6() {
		ip, network = ip.Unmap(), strings.TrimSuffix(network, "6")+"4"
	}
	refused := func(why string) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("send to %s: %s", ip, why), Remedy: "use a public address, or list its network under outbound.allow in penumbra.yaml"}
	}
	if slices.ContainsFunc(metadata, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("send to %s: the metadata service of a cloud", ip), Remedy: "use another address; this one cannot be allowed"}
	}
	if g.guardian.Safe(network, netip.AddrPortFrom(ip, at.Port()).String(), conn) != nil {
		return refused("it is no public address")
	}
	return nil
}

// DialContext dials like [net.Dialer.DialContext], TCP only. The error is of kind
// Refused for an address that may not be reached; others are the network's.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: g.resolver, Control: g.control}
	conn, err := d.DialContext(ctx, network, address)
	if e, ok := errors.AsType[*penumbra.Error](err); ok {
		return nil, e // the wrapping would hide what to do
	}
	return conn, err
}

// Transport returns a transport that dials through the guard. The environment's
// proxy is not used: it would resolve names by itself, behind the check.
func (g *Guard) Transport() *http.Transport {
	return &http.Transport{
		DialContext: g.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 20 * time.Second, IdleConnTimeout: 90 * time.Second,
		MaxIdleConns: 20, MaxIdleConnsPerHost: 2, MaxConnsPerHost: 8, MaxResponseHeaderBytes: 64 << 10,
	}
}

// Client returns a client whose requests take timeout at most, answers included.
// It follows no redirect: what was signed for one place is not for another, and the
// answer 3xx reaches the caller as it is. Bodies of answers are the caller's to
// bound.
func (g *Guard) Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: g.Transport(), Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// CheckURL reports, without asking the network, whether an address can be one to
// send to: http or https, a host, no user in it, no address that may not be reached.
// It is for telling people early; what counts is the check at the dial. The error is
// of kind Invalid or Refused, and has no part of the address that could be a secret.
func (g *Guard) CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the address is no URL", Remedy: "write https://host/path"}
	case u.Scheme != "http" && u.Scheme != "https":
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the address has the scheme %.20q", u.Scheme), Remedy: "use https, or http"}
	case u.Hostname() == "":
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the address has no host", Remedy: "write https://host/path"}
	case u.User != nil:
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the address has a user in it", Remedy: "give credentials apart from the address"}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return g.control("tcp"+map[bool]string{true: "4", false: "6"}[ip.Is4()], netip.AddrPortFrom(ip, 443).String(), nil)
	}
	return nil
}
