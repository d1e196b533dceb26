package wire

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/api"
)

// tlsConfig is how the daemon is reached from elsewhere.
type tlsConfig struct {
	Cert string `koanf:"cert"` // files in PEM; read again when they change
	Key  string `koanf:"key"`
	// ClientCA is whose certificates clients may show; RequireClient refuses who shows none.
	ClientCA      string `koanf:"client_ca"`
	RequireClient bool   `koanf:"require_client"`
	// Clients say who the holders of certificates are.
	Clients []certificateConfig `koanf:"clients"`
	// BehindProxy says that what is listened on is reached through a proxy alone, which
	// ends TLS.
	BehindProxy bool `koanf:"behind_proxy"`
}

// certificateConfig says who the holder of a certificate is.
type certificateConfig struct {
	Name string `koanf:"name"`
	// Subject is the common name, or a name of the certificate: DNS, URI or e-mail.
	Subject string                 `koanf:"subject"`
	Kind    penumbra.PrincipalKind `koanf:"kind"`
	Grants  []penumbra.Grant       `koanf:"grants"`
}

// clientConfig is how verbs reach a daemon on another machine.
type clientConfig struct {
	Server string `koanf:"server"`
	CA     string `koanf:"ca"` // whose certificates the server may have; the system's if empty
	Cert   string `koanf:"cert"`
	Key    string `koanf:"key"`
}

func (t *tlsConfig) check() (what, remedy string) {
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return "tls has one of cert and key", "give both, or neither"
	case t.ClientCA != "" && t.Cert == "":
		return "tls has client_ca and no cert", "give tls.cert and tls.key"
	case t.RequireClient && t.ClientCA == "":
		return "tls.require_client is on and there is no client_ca", "name the file of those whose certificates clients show"
	case len(t.Clients) > 0 && t.ClientCA == "":
		return "tls.clients is there and no client_ca", "name the file of those whose certificates clients show"
	}
	for i, c := range t.Clients {
		if c.Name == "" || c.Subject == "" {
			return fmt.Sprintf("tls.clients[%d] lacks name or subject", i), "say who it is, and the certificate's common name, DNS name, URI or e-mail address"
		}
		switch c.Kind {
		case penumbra.PersonPrincipal, penumbra.ServicePrincipal, penumbra.SourcePrincipal:
		default:
			return fmt.Sprintf("tls.clients[%d] is of kind %q", i, c.Kind), "use person, service or source"
		}
		if err := access.CheckGrants(c.Grants); err != nil {
			return fmt.Sprintf("tls.clients[%d]: %v", i, err), "see docs/security.md for an example"
		}
		if slices.ContainsFunc(t.Clients[:i], func(o certificateConfig) bool { return o.Subject == c.Subject }) {
			return fmt.Sprintf("two of tls.clients have the subject %q", c.Subject), "leave one"
		}
	}
	return "", ""
}

// certificate is a pair of files, read again when one of them has changed. One that is
// being replaced, or broken, leaves the last good one in use.
type certificate struct {
	cert, key string

	mu    sync.Mutex
	last  *tls.Certificate
	stamp [2]time.Time
}

func (c *certificate) load() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var stamp [2]time.Time
	for i, path := range [...]string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			stamp[i] = info.ModTime()
		}
	}
	if c.last != nil && stamp == c.stamp {
		return c.last, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		if c.last != nil {
			return c.last, nil
		}
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read tls.cert and tls.key", Err: err, Remedy: "name a certificate and its key in PEM, readable by who runs the daemon"}
	}
	c.last, c.stamp = &pair, stamp
	return c.last, nil
}

func pool(path, key string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	p := x509.NewCertPool()
	if err == nil && !p.AppendCertsFromPEM(text) {
		err = fmt.Errorf("%s has no certificate in PEM", path)
	}
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read " + key, Err: err, Remedy: "name a file of certificates in PEM"}
	}
	return p, nil
}

// ServerTLS returns how the daemon speaks TLS, nil if it does not.
func (c *Config) ServerTLS() (*tls.Config, error) {
	if c.TLS.Cert == "" {
		return nil, nil
	}
	pair := &certificate{cert: c.path(c.TLS.Cert), key: c.path(c.TLS.Key)}
	if _, err := pair.load(); err != nil {
		return nil, err
	}
	base := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.load() },
	}
	if c.TLS.ClientCA == "" {
		return base, nil
	}
	base.ClientAuth = tls.VerifyClientCertIfGiven
	if c.TLS.RequireClient {
		base.ClientAuth = tls.RequireAndVerifyClientCert
	}
	cas, err := pool(c.path(c.TLS.ClientCA), "tls.client_ca")
	if err != nil {
		return nil, err
	}
	base.ClientCAs = cas
	// A changed file counts from the next connection on.
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := base.Clone()
		now.GetConfigForClient = nil
		if cas, err := pool(c.path(c.TLS.ClientCA), "tls.client_ca"); err == nil {
			now.ClientCAs = cas
		}
		return now, nil
	}
	return base, nil
}

// Listener listens on the configured address: one of this machine alone, unless TLS is
// spoken or a proxy that does stands in front. The error is of kind Refused otherwise.
func (c *Config) Listener() (net.Listener, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("listen on %q", c.Listen), Remedy: "write host:port, such as 127.0.0.1:7676", Err: err}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		switch {
		case c.TLS.Cert == "" && !c.TLS.BehindProxy:
			return nil, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("listen on %s: not an address of this machine alone", c.Listen),
				Remedy: "use 127.0.0.1, and a tunnel (ssh -L) to reach it from elsewhere; or give tls.cert and tls.key, or say tls.behind_proxy"}
		case len(c.Hosts) == 0:
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("listen on %s: no hosts are named", c.Listen), Remedy: "list under hosts the names that people reach it by, such as penumbra.example.com"}
		}
	}
	tlsOn, err := c.ServerTLS()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "listen on " + c.Listen, Remedy: "another program may have the port: choose one with --listen", Err: err}
	}
	if tlsOn != nil {
		l = tls.NewListener(l, tlsOn)
	}
	return l, nil
}

// LocalURL is how the daemon is reached on this machine.
func (c *Config) LocalURL(at net.Addr) string {
	scheme := "http"
	if c.TLS.Cert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(at.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// HTTPClient returns the client for a daemon. The one of this machine, which has the
// configured certificate, is known by that certificate; another by whom its is from.
func (c *Config) HTTPClient(local bool) (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.Client.Cert != "" {
		pair := &certificate{cert: c.path(c.Client.Cert), key: c.path(c.Client.Key)}
		if _, err := pair.load(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.load() }
	}
	switch {
	case local && c.TLS.Cert != "":
		// No name of 127.0.0.1 stands in it; but the file is this machine's.
		conf.InsecureSkipVerify = true
		conf.VerifyConnection = func(s tls.ConnectionState) error {
			own, err := (&certificate{cert: c.path(c.TLS.Cert), key: c.path(c.TLS.Key)}).load()
			if err != nil {
				return err
			}
			if len(s.PeerCertificates) == 0 || !slices.Equal(s.PeerCertificates[0].Raw, own.Certificate[0]) {
				return fmt.Errorf("what answers does not have the certificate %s", c.TLS.Cert)
			}
			return nil
		}
	case c.Client.CA != "":
		cas, err := pool(c.path(c.Client.CA), "client.ca")
		if err != nil {
			return nil, err
		}
		conf.RootCAs = cas
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = conf
	if local {
		t.Proxy = nil
	}
	return &http.Client{Transport: t}, nil
}

// certified knows who asks by the client's certificate where no token is shown.
type certified struct {
	api.Authenticator
	clients []certificateConfig
}

// Certified adds certificates to the credentials that are known.
func (c *Config) Certified(who api.Authenticator) api.Authenticator {
	if len(c.TLS.Clients) == 0 {
		return who
	}
	return certified{who, c.TLS.Clients}
}

// Authenticate implements [api.Authenticator]. Only a chain that was verified against
// client_ca counts, and a token says more than the connection.
func (c certified) Authenticate(r *http.Request) (*penumbra.Principal, error) {
	if r.Header.Get("Authorization") != "" || r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return c.Authenticator.Authenticate(r)
	}
	leaf := r.TLS.VerifiedChains[0][0]
	names := append(slices.Clone(leaf.DNSNames), leaf.EmailAddresses...)
	for _, u := range leaf.URIs {
		names = append(names, u.String())
	}
	if len(names) == 0 { // a common name counts where there is no other, as in TLS
		names = []string{leaf.Subject.CommonName}
	}
	for _, client := range c.clients {
		if slices.Contains(names, client.Subject) {
			return &penumbra.Principal{ID: "certificate:" + client.Name, Name: client.Name, Kind: client.Kind, Grants: slices.Clone(client.Grants), Via: "certificate"}, nil
		}
	}
	return nil, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("the certificate of %.80q is nobody's", strings.Join(names, ", ")), Remedy: "name it under tls.clients in penumbra.yaml, or send a token"}
}
