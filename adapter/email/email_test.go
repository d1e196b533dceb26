package email_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/email"
)

// delivered is a mail that a server took.
type delivered struct {
	from string
	to   []string
	text []byte
	tls  bool
	user string
}

// server is a real SMTP server in this process.
type server struct {
	mu     sync.Mutex
	mails  []delivered
	refuse error // of every recipient
	roots  *x509.CertPool
	port   int
}

func (s *server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	*server
	conn *smtp.Conn
	mail delivered
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "penumbra" || password != "c0rrect horse" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no: " + password}
		}
		s.mail.user = user
		return nil
	}), nil
}
func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.mail.from = from; return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.refuse != nil {
		return s.refuse
	}
	s.mail.to = append(s.mail.to, to)
	return nil
}
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	_, s.mail.tls = s.conn.TLSConnectionState()
	s.mail.text = text
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, s.mail)
	return err
}
func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// serve starts a server with a certificate for 127.0.0.1, or without any.
func serve(t *testing.T, encrypted, implicit bool) *server {
	t.Helper()
	s := &server{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	x := smtp.NewServer(s)
	x.Domain = "mail.example"
	x.ReadTimeout, x.WriteTimeout = 10*time.Second, 10*time.Second
	x.AllowInsecureAuth = false
	if encrypted {
		x.TLSConfig = certificate(t, s)
	}
	if implicit {
		listener = tls.NewListener(listener, x.TLSConfig)
	}
	go func() { _ = x.Serve(listener) }()
	t.Cleanup(func() { _ = x.Close() })
	return s
}

func certificate(t *testing.T, s *server) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (s *server) config() email.Config {
	return email.Config{Host: "127.0.0.1", Port: s.port, Username: "penumbra", Password: "c0rrect horse", From: "Penumbra <penumbra@example.com>",
		To: []string{"ops@example.com", "Olga <olga@example.com>"}, Roots: s.roots}
}

var notice = penumbra.Notice{
	ID: "m-1", Channel: "mail", Key: "k-1", About: penumbra.AboutDrift, Verb: penumbra.NoticeOpened, Severity: penumbra.CriticalSeverity,
	Title: "Drift on shop/db.a: größe 1 → 2", Lines: []string{"latency 97x worse"}, Facts: []penumbra.NoticeFact{{Name: "cause", Value: "alice"}},
	Created: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), URL: "https://penumbra.example/drifts/d-1",
}

func send(t *testing.T, cfg email.Config, n penumbra.Notice) (string, error) {
	t.Helper()
	s, err := email.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(context.Background(), &n)
}

func TestConversationOverTLS(t *testing.T) {
	t.Parallel()
	for name, implicit := range map[string]bool{email.StartTLS: false, email.TLS: true} {
		s := serve(t, true, implicit)
		cfg := s.config()
		cfg.TLS = name
		thread, err := send(t, cfg, notice)
		if err != nil || thread != "m-1@example.com" {
			t.Fatalf("%s: thread %q, %v", name, thread, err)
		}
		done := notice
		done.ID, done.Verb, done.Thread = "m-2", penumbra.NoticeResolved, thread
		if again, err := send(t, cfg, done); err != nil || again != thread {
			t.Fatalf("%s: thread %q, %v", name, again, err)
		}
		if len(s.mails) != 2 {
			t.Fatalf("%s: %d mails", name, len(s.mails))
		}
		x := s.mails[0]
		if !x.tls || x.user != "penumbra" || x.from != "penumbra@example.com" || strings.Join(x.to, " ") != "ops@example.com olga@example.com" {
			t.Errorf("%s: %+v", name, x)
		}
		m, err := mail.ReadMessage(bytes.NewReader(x.text))
		if err != nil {
			t.Fatal(err)
		}
		for header, want := range map[string]string{
			"Message-Id": "<m-1@example.com>", "In-Reply-To": "", "X-Penumbra-Key": "k-1", "Auto-Submitted": "auto-generated", "Importance": "high",
		} {
			if got := m.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		if subject := m.Header.Get("Subject"); !strings.HasPrefix(subject, "=?UTF-8?q?[Penumbra]_critical:_Drift") {
			t.Errorf("%s: subject %q", name, subject)
		}
		if m, err = mail.ReadMessage(bytes.NewReader(s.mails[1].text)); err != nil || m.Header.Get("In-Reply-To") != "<m-1@example.com>" || m.Header.Get("References") != "<m-1@example.com>" {
			t.Errorf("%s: the second is no answer: %v, %v", name, m.Header, err)
		}
	}
}

func TestNothingWithoutTLS(t *testing.T) {
	t.Parallel()
	s := serve(t, false, false)
	cfg := s.config()
	if _, err := send(t, cfg, notice); err == nil || len(s.mails) > 0 {
		t.Errorf("a server without STARTTLS got %d mails: %v", len(s.mails), err)
	}
	cfg.TLS, cfg.Username, cfg.Password = email.None, "", ""
	if _, err := send(t, cfg, notice); err != nil || len(s.mails) != 1 {
		t.Errorf("this machine, when the configuration says so: %v", err)
	}
	s = serve(t, true, false)
	cfg = s.config()
	cfg.Roots = x509.NewCertPool()
	if _, err := send(t, cfg, notice); penumbra.KindOf(err) != penumbra.Refused {
		t.Errorf("a certificate of nobody: %v", err)
	}
}

func TestWhatFollowsFromAFailure(t *testing.T) {
	t.Parallel()
	s := serve(t, true, false)
	cfg := s.config()
	for _, tt := range []struct {
		refuse error
		want   penumbra.ErrorKind
	}{
		{&smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}, penumbra.Unavailable},
		{&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}, penumbra.Refused},
	} {
		s.refuse = tt.refuse
		if _, err := send(t, cfg, notice); penumbra.KindOf(err) != tt.want {
			t.Errorf("%v: %v of kind %v", tt.refuse, err, penumbra.KindOf(err))
		}
	}
	s.refuse = nil
	cfg.Password = "wr0ng horse"
	if _, err := send(t, cfg, notice); penumbra.KindOf(err) != penumbra.Refused || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("a wrong password: %v of kind %v", err, penumbra.KindOf(err))
	}
	cfg.Port = 1
	if _, err := send(t, cfg, notice); penumbra.KindOf(err) != penumbra.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
}

func TestConfigurationsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	good := email.Config{Host: "smtp.example.com", From: "penumbra@example.com", To: []string{"ops@example.com"}}
	if _, err := email.New(good); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*email.Config){
		"no host":             func(c *email.Config) { c.Host = "" },
		"nobody":              func(c *email.Config) { c.To = nil },
		"no address":          func(c *email.Config) { c.To = []string{"ops"} },
		"two lines":           func(c *email.Config) { c.To = []string{"ops@example.com\nBcc: eve@example.com"} },
		"from nobody":         func(c *email.Config) { c.From = "Penumbra" },
		"no encryption":       func(c *email.Config) { c.TLS = email.None },
		"unknown encryption":  func(c *email.Config) { c.TLS = "ssl" },
		"a user alone":        func(c *email.Config) { c.Username = "x" },
		"a password in clear": func(c *email.Config) { c.Host, c.TLS, c.Username, c.Password = "127.0.0.1", email.None, "x", "y" },
	} {
		cfg := good
		edit(&cfg)
		var e *penumbra.Error
		if _, err := email.New(cfg); !errors.As(err, &e) || e.Kind != penumbra.Invalid || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
