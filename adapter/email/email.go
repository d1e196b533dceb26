// Package email answers: how does a notice become mail? It submits to a mail server
// over TLS. What is told later of the same cause answers the first mail, so that mail
// programs show them as one conversation.
//
// It guarantees that nothing is sent without TLS unless the configuration says so for
// a server on this machine, that a notice has the same Message-ID each time it is
// sent, and that the password is in no error.
package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/penumbra-iac/penumbra"
)

// The ways to encrypt.
const (
	StartTLS = "starttls" // the default, port 587
	TLS      = "tls"      // from the first byte, port 465
	None     = "none"     // to this machine only, port 25
)

// sendTimeout bounds each step of a delivery.
const sendTimeout = 20 * time.Second

// Config says where to and from whom.
type Config struct {
	Host string
	Port int    // by TLS if 0
	TLS  string // StartTLS if ""
	// Username and Password sign in; "" for a server that asks for none.
	Username, Password string
	From               string
	To                 []string
	Roots              *x509.CertPool // the system's if nil
}

// Sender sends mail.
type Sender struct {
	cfg     Config
	options []mail.Option
	domain  string
}

// New checks the configuration. The error is of kind Invalid.
func New(cfg Config) (*Sender, error) {
	invalid := func(what, remedy string, err error) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy, Err: err}
	}
	if cfg.TLS == "" {
		cfg.TLS = StartTLS
	}
	switch {
	case cfg.Host == "":
		return nil, invalid("e-mail has no host", "name the server that takes mail, such as smtp.example.com", nil)
	case !slices.Contains([]string{StartTLS, TLS, None}, cfg.TLS):
		return nil, invalid(fmt.Sprintf("e-mail has tls %q", cfg.TLS), "use starttls, tls or none", nil)
	case cfg.TLS == None && !local(cfg.Host):
		return nil, invalid("e-mail has tls none, and "+cfg.Host+" is another machine: anybody between could read it", "use starttls or tls", nil)
	case cfg.TLS == None && cfg.Password != "":
		return nil, invalid("e-mail has a password and tls none", "use starttls or tls", nil)
	case (cfg.Username == "") != (cfg.Password == ""):
		return nil, invalid("e-mail has one of user name and password", "give both or none", nil)
	case len(cfg.To) == 0:
		return nil, invalid("e-mail goes to nobody", "list addresses under `to`", nil)
	}
	s := &Sender{cfg: cfg}
	probe := mail.NewMsg()
	if err := probe.From(cfg.From); err != nil {
		return nil, invalid(fmt.Sprintf("e-mail is from %q", cfg.From), "write Penumbra <penumbra@example.com>", err)
	}
	if err := probe.To(cfg.To...); err != nil {
		return nil, invalid("e-mail goes to an address that is none", "write them as name@example.com", err)
	}
	sender, err := probe.GetSender(false)
	if err != nil {
		return nil, invalid(fmt.Sprintf("e-mail is from %q", cfg.From), "write Penumbra <penumbra@example.com>", err)
	}
	s.domain = strings.Trim(sender[strings.LastIndexByte(sender, '@')+1:], ">")
	encryption := &tls.Config{ServerName: cfg.Host, RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12}
	s.options = []mail.Option{mail.WithTimeout(sendTimeout), mail.WithTLSConfig(encryption)}
	switch cfg.TLS {
	case TLS:
		s.options = append(s.options, mail.WithSSL(), mail.WithPort(orPort(cfg.Port, 465)))
	case None:
		s.options = append(s.options, mail.WithTLSPolicy(mail.NoTLS), mail.WithPort(orPort(cfg.Port, 25)))
	default:
		s.options = append(s.options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithPort(orPort(cfg.Port, 587)))
	}
	if cfg.Username != "" {
		s.options = append(s.options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(cfg.Username), mail.WithPassword(cfg.Password))
	}
	return s, nil
}

func orPort(port, other int) int {
	if port != 0 {
		return port
	}
	return other
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// message writes the mail of a notice.
func (s *Sender) message(n *penumbra.Notice) (*mail.Msg, string, error) {
	m := mail.NewMsg()
	if err := m.From(s.cfg.From); err != nil {
		return nil, "", err
	}
	if err := m.To(s.cfg.To...); err != nil {
		return nil, "", err
	}
	subject := n.Title
	if n.Severity >= penumbra.HighSeverity && n.Verb != penumbra.NoticeResolved && n.About != penumbra.AboutTest {
		subject = n.Severity.String() + ": " + subject
	}
	m.Subject("[Penumbra] " + strings.Join(strings.Fields(subject), " "))
	id := n.ID + "@" + s.domain
	m.SetMessageIDWithValue(id)
	m.SetDateWithValue(n.Created)
	thread := n.Thread
	if thread == "" {
		thread = id
	} else {
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+thread+">")
		m.SetGenHeader(mail.HeaderReferences, "<"+thread+">")
	}
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Penumbra-Key", n.Key)
	m.SetGenHeader("X-Penumbra-Severity", n.Severity.String())
	if n.Severity == penumbra.CriticalSeverity && n.Firing() {
		m.SetImportance(mail.ImportanceHigh)
	}
	m.SetBodyString(mail.TypeTextPlain, text(n))
	return m, thread, nil
}

// text is what the mail says.
func text(n *penumbra.Notice) string {
	var b strings.Builder
	b.WriteString(n.Title + "\n\n")
	for _, line := range n.Lines {
		b.WriteString("  " + line + "\n")
	}
	if len(n.Lines) > 0 {
		b.WriteString("\n")
	}
	for _, f := range n.Facts {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	fmt.Fprintf(&b, "severity: %s\n", n.Severity)
	if n.URL != "" {
		b.WriteString("\n" + n.URL + "\n")
	}
	fmt.Fprintf(&b, "\n-- \nPenumbra, notice %s through channel %s\n", n.ID, n.Channel)
	return b.String()
}

// Send sends a notice and returns the Message-ID that its conversation began with. The
// error is of kind Unavailable where the server could not be reached or says that it
// passes (4xx), and of kind Refused otherwise.
func (s *Sender) Send(ctx context.Context, n *penumbra.Notice) (string, error) {
	m, thread, err := s.message(n)
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "write the mail of notice " + n.ID, Err: err}
	}
	client, err := mail.NewClient(s.cfg.Host, s.options...)
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Invalid, What: "mail through " + s.cfg.Host, Err: err}
	}
	if err := client.DialAndSendWithContext(ctx, m); err != nil {
		return "", s.failed(err)
	}
	return thread, nil
}

func (s *Sender) failed(err error) error {
	e := &penumbra.Error{Kind: penumbra.Unavailable, What: "mail through " + s.cfg.Host, Err: errors.New(s.hidden(err.Error()))}
	sent, isSent := errors.AsType[*mail.SendError](err)
	_, isUnknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, isName := errors.AsType[x509.HostnameError](err)
	switch {
	case isSent && !sent.IsTemp() && sent.ErrorCode() >= 500, answered(err, "5"):
		e.Kind, e.Remedy = penumbra.Refused, "correct the addresses and the credentials of the channel"
	case isUnknown || isName:
		e.Kind, e.Remedy = penumbra.Refused, "name the host as its certificate does, and its authority as `ca_file`"
	}
	return e
}

// answered reports whether the server answered, before any message, with a code of a
// class.
func answered(err error, class string) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		text := err.Error()
		if len(text) > 4 && text[:1] == class && text[3] == ' ' && strings.Trim(text[:3], "0123456789") == "" {
			return true
		}
	}
	return false
}

// hidden takes the password out of a text.
func (s *Sender) hidden(text string) string {
	if s.cfg.Password != "" {
		text = strings.ReplaceAll(text, s.cfg.Password, "[redacted]")
	}
	return penumbra.Redact(text)
}
