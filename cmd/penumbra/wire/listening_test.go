package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
)

// authority issues certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t testing.TB, dir string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key = newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", der)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue writes name.crt and name.key; names are DNS names or URIs.
func (a *authority) issue(dir, name, common string, names ...string) {
	a.t.Helper()
	a.n++
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(100 + a.n), Subject: pkix.Name{CommonName: common}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if u, err := url.Parse(n); err == nil && u.Scheme != "" {
			template.URIs = append(template.URIs, u)
		} else if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	writePEM(a.t, filepath.Join(dir, name+".crt"), "CERTIFICATE", der)
	writePEM(a.t, filepath.Join(dir, name+".key"), "EC PRIVATE KEY", encoded)
}

// tokenOnly lets alice in with a token.
type tokenOnly struct{}

func (tokenOnly) Authenticate(r *http.Request) (*penumbra.Principal, error) {
	if r.Header.Get("Authorization") == "Bearer t" {
		return &penumbra.Principal{Name: "alice", Via: "token"}, nil
	}
	return nil, &penumbra.Error{Kind: penumbra.Refused, What: "no token"}
}

// listening serves who asks, as the configuration says.
func listening(t *testing.T, c *Config) string {
	t.Helper()
	l, err := c.Listener()
	if err != nil {
		t.Fatal(err)
	}
	who := c.Certified(tokenOnly{})
	server := &http.Server{Handler: api.Hosts(c.Hosts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := who.Authenticate(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, p.Name+" "+p.Via+" "+string(p.Kind))
	}))}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return c.LocalURL(l.Addr())
}

func get(t *testing.T, client *http.Client, address, token, host string) (int, string, error) {
	t.Helper()
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if host != "" {
		r.Host = host
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, strings.TrimSpace(string(body)), err
}

func client(t *testing.T, c *Config, local bool) *http.Client {
	t.Helper()
	h, err := c.HTTPClient(local)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(dir, "server", "penumbra", "penumbra.example.com", "127.0.0.1")
	ca.issue(dir, "ci", "ci runner")
	ca.issue(dir, "agent", "someone", "spiffe://example.com/agent")
	ca.issue(dir, "other", "nobody in the list")
	otherDir := t.TempDir()
	stranger := newAuthority(t, otherDir)
	stranger.issue(dir, "forged", "ci runner")

	c := &Config{Listen: "127.0.0.1:0", Folder: dir, Hosts: []string{"penumbra.example.com"}, TLS: tlsConfig{
		Cert: "server.crt", Key: "server.key", ClientCA: "ca.pem",
		Clients: []certificateConfig{{Name: "ci", Subject: "ci runner", Kind: penumbra.ServicePrincipal}, {Name: "agent", Subject: "spiffe://example.com/agent", Kind: penumbra.SourcePrincipal}},
	}}
	address := listening(t, c)
	if !strings.HasPrefix(address, "https://127.0.0.1:") {
		t.Fatal(address)
	}
	for _, x := range []struct {
		cert, token, host string
		status            int
		says              string
	}{
		{"", "", "", 401, "no token"},
		{"", "t", "", 200, "alice token"},
		{"ci", "", "", 200, "ci certificate service"},
		{"ci", "t", "", 200, "alice token"}, // a token says more than the connection
		{"ci", "wrong", "", 401, "no token"},
		{"agent", "", "penumbra.example.com", 200, "agent certificate source"},
		{"other", "", "", 401, "is nobody's"},
		{"ci", "", "evil.example.com", 421, "Host"},
	} {
		from := &Config{Folder: dir, Client: clientConfig{CA: "ca.pem"}}
		if x.cert != "" {
			from.Client.Cert, from.Client.Key = x.cert+".crt", x.cert+".key"
		}
		status, body, err := get(t, client(t, from, false), address, x.token, x.host)
		if err != nil || status != x.status || !strings.Contains(body, x.says) {
			t.Errorf("%s with token %q: %d %q %v", x.cert, x.token, status, body, err)
		}
	}
	// A certificate of another authority ends the handshake, though the name is right.
	if _, body, err := get(t, client(t, &Config{Folder: dir, Client: clientConfig{CA: "ca.pem", Cert: "forged.crt", Key: "forged.key"}}, false), address, "", ""); err == nil && strings.Contains(body, "ci") {
		t.Errorf("a forged certificate is %q", body)
	}
	// Who does not know the authority does not talk to the server, nor without TLS.
	if _, _, err := get(t, client(t, &Config{Folder: dir}, false), address, "t", ""); err == nil {
		t.Error("an unknown authority is believed")
	}
	if status, body, _ := get(t, http.DefaultClient, "http"+strings.TrimPrefix(address, "https"), "t", ""); status == 200 {
		t.Errorf("an answer without TLS: %q", body)
	}

	c.TLS.RequireClient = true
	strict := listening(t, c)
	if _, body, err := get(t, client(t, &Config{Folder: dir, Client: clientConfig{CA: "ca.pem"}}, false), strict, "t", ""); err == nil {
		t.Errorf("without a certificate: %q", body)
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(dir, "server", "old", "127.0.0.1")
	c := &Config{Listen: "127.0.0.1:0", Folder: dir, TLS: tlsConfig{Cert: "server.crt", Key: "server.key"}}
	address := listening(t, c)
	serial := func() string {
		t.Helper()
		h := client(t, c, true) // by the file, not by an authority
		defer h.CloseIdleConnections()
		res, err := h.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.TLS.PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	ca.issue(dir, "server", "new", "127.0.0.1")
	later := time.Now().Add(time.Minute)
	for _, name := range []string{"server.crt", "server.key"} {
		if err := os.Chtimes(filepath.Join(dir, name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	if after := serial(); after == before {
		t.Error("the new certificate is not shown")
	}
	// What answers with another certificate than the file's is not this machine's daemon.
	other := t.TempDir()
	newAuthority(t, other).issue(other, "server", "impostor", "127.0.0.1")
	if _, _, err := get(t, client(t, &Config{Folder: other, TLS: c.TLS}, true), address, "t", ""); err == nil {
		t.Error("an impostor is believed")
	}
	// A broken file leaves the good one in use.
	if err := os.WriteFile(filepath.Join(dir, "server.crt"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := client(t, &Config{Folder: dir, Client: clientConfig{CA: "ca.pem"}}, false)
	if status, _, err := get(t, h, address, "t", ""); err != nil || status != 200 {
		t.Errorf("%d %v", status, err)
	}
}

func TestListeningElsewhereNeedsTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newAuthority(t, dir).issue(dir, "server", "s", "127.0.0.1")
	secured := tlsConfig{Cert: "server.crt", Key: "server.key"}
	for _, x := range []struct {
		c    Config
		kind penumbra.ErrorKind
	}{
		{Config{Listen: "0.0.0.0:0"}, penumbra.Refused},
		{Config{Listen: ":0"}, penumbra.Refused},
		{Config{Listen: "[::]:0"}, penumbra.Refused},
		{Config{Listen: "0.0.0.0:0", TLS: secured}, penumbra.Invalid}, // no hosts
		{Config{Listen: "7676"}, penumbra.Invalid},
	} {
		x.c.Folder = dir
		if l, err := x.c.Listener(); penumbra.KindOf(err) != x.kind {
			t.Errorf("%+v: %v", x.c.Listen, err)
			if l != nil {
				l.Close()
			}
		}
	}
	var e *penumbra.Error
	if _, err := (&Config{Listen: "127.0.0.1:0", Folder: dir, TLS: tlsConfig{Cert: "none.crt", Key: "none.key"}}).Listener(); !errors.As(err, &e) || e.Remedy == "" {
		t.Errorf("%v", err)
	}
}
