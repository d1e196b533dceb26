//go:build unix

package e2e

// This file plants secrets in what goes to other people's servers and is not to be
// told there or of there: the credentials of forges, chats, mail servers and
// Alertmanagers, of which some answer with the very credential; in what pull requests,
// messages and recordings are made of; and in plans that another runner made.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/klauspost/compress/snappy"

	"github.com/penumbra-iac/penumbra"
)

// mailbox is a real SMTP server in this process: it takes mail, or answers with the
// password that it was given.
type mailbox struct {
	refuses bool
	mail    func(text []byte)
}

func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return m, nil }
func (m *mailbox) AuthMechanisms() []string                    { return []string{sasl.Plain} }
func (m *mailbox) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if m.refuses {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "mark-mail refused " + user + " with " + password}
		}
		return nil
	}), nil
}
func (m *mailbox) Mail(string, *smtp.MailOptions) error { return nil }
func (m *mailbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (m *mailbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	m.mail(text)
	return err
}
func (m *mailbox) Reset()        {}
func (m *mailbox) Logout() error { return nil }

// listen serves mail with a certificate for 127.0.0.1, and returns the port and the
// certificate.
func (m *mailbox) listen(t *testing.T) (port int, authority []byte) {
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(m)
	server.Domain = "mail.example"
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().(*net.TCPAddr).Port, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestPlantedSecretsAreToldNobody(t *testing.T) {
	s := newReviewed(t, "github")
	secrets := map[string]string{}
	plant := func(kind string) string {
		secrets[kind] = planted("told-" + kind)
		return secrets[kind]
	}
	h := &haystack{data: map[string][]byte{}}
	if err := os.Mkdir(s.path("tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.path("given"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(".gitignore", s.read(".gitignore")+"tmp/\ngiven/\n*.tfvars\n*.jsonl\nplan.*\n")
	s.git("commit", "--quiet", "--all", "-m", "mark-commit, api_key="+plant("commit"))
	s.git("push", "--quiet", "origin", "main")

	// Receivers that take messages, and some that answer with what they were given.
	got := map[string]chan struct{}{}
	receiver := func(name string, refuses bool) *httptest.Server {
		got[name] = make(chan struct{}, 1000)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			h.add(fmt.Sprintf("told %s %p", name, r), body)
			got[name] <- struct{}{}
			if refuses {
				asked, _ := url.QueryUnescape(r.URL.String())
				w.WriteHeader(http.StatusForbidden)
				fmt.Fprintf(w, "mark-%s: not %s with %q", name, asked, r.Header.Get("Authorization"))
			}
		}))
		t.Cleanup(server.Close)
		return server
	}
	var channels strings.Builder
	for _, name := range []string{"slack", "teams", "alerts", "basic", "hook"} {
		for _, refuses := range []bool{false, true} {
			of := name
			if refuses {
				of += "-refused"
			}
			server := receiver(of, refuses)
			secret := url.QueryEscape(plant(of))
			switch name {
			case "slack":
				s.write("given/"+of, server.URL+"/services/T0/B0/"+url.PathEscape(secrets[of]))
				fmt.Fprintf(&channels, "    - {name: %s, kind: slack, url_file: given/%s}\n", of, of)
			case "teams":
				s.write("given/"+of, server.URL+"/workflows/run?sig="+secret)
				fmt.Fprintf(&channels, "    - {name: %s, kind: teams, url_file: given/%s}\n", of, of)
			case "alerts":
				s.write("given/"+of, secrets[of])
				fmt.Fprintf(&channels, "    - {name: %s, kind: alertmanager, url: %q, token_file: given/%s}\n", of, server.URL, of)
			case "basic":
				s.write("given/"+of, secrets[of])
				fmt.Fprintf(&channels, "    - {name: %s, kind: alertmanager, url: %q, username: penumbra, password_file: given/%s}\n", of, server.URL, of)
			case "hook":
				s.write("given/"+of, server.URL+"/in/"+url.PathEscape(secrets[of]))
				s.write("given/"+of+"-key", "a signing key of the tests only")
				fmt.Fprintf(&channels, "    - {name: %s, kind: webhook, url_file: given/%s, secret_file: given/%s-key}\n", of, of, of)
			}
		}
	}
	mails := 0
	for _, refuses := range []bool{false, true} {
		name := "mail"
		if refuses {
			name += "-refused"
		}
		got[name] = make(chan struct{}, 1000)
		box := &mailbox{refuses: refuses, mail: func(text []byte) {
			mails++
			h.add(fmt.Sprintf("told %s %d", name, mails), text)
			got[name] <- struct{}{}
		}}
		port, authority := box.listen(t)
		s.write("given/"+name, plant(name))
		s.write("given/"+name+".pem", string(authority))
		fmt.Fprintf(&channels, "    - {name: %s, kind: email, host: 127.0.0.1, port: %d, from: p@example.com, to: [ops@example.com], username: penumbra, password_file: given/%s, ca_file: given/%s.pem}\n", name, port, name, name)
	}
	for name := range got {
		if strings.HasPrefix(name, "hook") {
			key := "whsec_" + base64.StdEncoding.EncodeToString([]byte(plant(name+"-key")+"-padding-to-24-bytes"))
			s.write("given/"+name+"-key", key)
		}
	}
	s.write("penumbra.yaml", strings.Replace(s.read("penumbra.yaml"), "stacks:\n", `outbound: {allow: [127.0.0.1]}
inputs:
  - {name: http, kind: json}
  - {name: prom, kind: remote-write}
metrics:
  - {from: latency, name: latency, worse: up, by: [request]}
notify:
  gather: 1s
  channels:
`+channels.String()+"stacks:\n", 1))
	s.forge.Token = plant("forge-token")
	s.site = s.with("FORGE_TOKEN="+secrets["forge-token"], "TMPDIR="+s.path("tmp"))
	s.write("shop/planted.auto.tfvars", fmt.Sprintf("database_password = %q\n", plant("sensitive-variable")))
	s.tofu("apply", "-input=false", "-auto-approve")

	d := s.watching()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(d.log.String())
		}
	})

	// A recording of what comes in.
	record := exec.Command(program, "record", "record.jsonl")
	record.Dir, record.Env = s.root, s.env
	said := &safeBuffer{}
	record.Stdout, record.Stderr = said, said
	if err := record.Start(); err != nil {
		t.Fatal(err)
	}
	recorded := make(chan error, 1)
	go func() { recorded <- record.Wait() }()
	t.Cleanup(func() { _ = record.Process.Kill() })
	s.until("the recording has begun", func() bool {
		info, err := os.Stat(s.path("record.jsonl"))
		return err == nil && info.Size() > 0
	})
	g := &gate{}
	g.open(d)
	for input, body := range map[string]string{
		"http":       `{"time":"2026-03-01T09:00:00Z","user":"alice","action":"edit","target":"site/service.web","message":"mark-record client_secret=` + plant("record-message") + `","settings":{"password":"` + plant("record-field") + `"}}` + "\n",
		"prom/write": string(snappy.Encode(nil, written("password="+plant("record-label"), 1))),
	} {
		if status, answer := g.send(input, []byte(strings.ReplaceAll(body, "&<", `\u0026\u003c`))); status == 0 || status >= 500 {
			t.Fatalf("%s: %d %s", input, status, answer)
		}
	}
	s.run(program, s.root, strings.NewReader(`{"kind":"snapshot","time":"2026-03-01T00:00:00Z","resource":"site/service.web","type":"service","settings":{"note":"mark-snapshot","admin_password":`+inYAML(plant("record-snapshot"))+`,"command":`+inYAML("run --token "+plant("record-argument"))+`},"full":true}
{"kind":"event","time":"2026-03-01T00:00:00Z","resource":"site/service.web","type":"service","actor":"a","message":`+inYAML("mark-event passphrase="+plant("record-event"))+`}
`), "ingest")

	// A drift with secrets in it, which goes to a pull request and to everybody.
	s.edit("shop/etc/database.conf", "admin_password = ", "admin_password = "+plant("actual")+" ")
	s.edit("shop/etc/queue.conf", "tls = false", "tls = true\ntag.contact = mark-contact password="+plant("tag")+"\nsmtp_password = "+plant("unmanaged"))
	found := s.drift(queue, "tls")
	other := s.drift("shop/conffile_service.database", "admin_password")
	s.penumbra("drift", "ack", other.ID, "--reason", "token="+plant("reason"))
	var part penumbra.Proposal
	s.as("alice").penumbra("adopt", found.ID, "--only", "tls", "-o", "json").ends(0).into(&part)
	run := s.as("alice").approve(part)
	pulls := s.forge.Pulls()
	if len(pulls) != 1 {
		t.Fatalf("pull requests: %+v", pulls)
	}
	s.penumbra("freeze", "--reason", "mark-frozen secret="+plant("freeze"))
	var freezes []penumbra.Freeze
	s.penumbra("freeze", "list", "-o", "json").ends(0).into(&freezes)
	s.penumbra("unfreeze", freezes[0].ID).ends(0)
	// The forge refuses, and says with what it was asked.
	s.forge.Instead(func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message": %s}`, inYAML("mark-forge: not with "+r.Header.Get("Authorization")+" nor with password="+plant("forge-answer")))
		return true
	})
	collect := func(args ...string) {
		r := s.penumbra(args...)
		h.add(fmt.Sprintf("penumbra %s, %d", strings.Join(args, " "), len(h.data)), []byte(r.out+r.err))
	}
	collect("run", "review", run.ID)
	collect("rollback", run.ID, "--yes")
	s.forge.Instead(nil)
	s.penumbra("rollback", run.ID, "--yes")
	for i, p := range s.forge.Pulls() {
		h.add(fmt.Sprint("pull request ", i), fmt.Appendf(nil, "%+v", p))
	}
	h.add("the code's history at the remote", []byte(s.inBare("log", "--all", "-p", "--format=fuller", "--not", "main")))
	for name, told := range got {
		if name == "mail-refused" {
			continue // it gets no further than the password
		}
		select {
		case <-told:
		case <-time.After(patience):
			t.Fatalf("nobody was told by %s", name)
		}
	}
	s.until("all that is refused is dead", func() bool {
		out := s.penumbra("notify", "dead", "-o", "json").out
		for _, name := range []string{"slack", "teams", "alerts", "basic", "hook", "mail"} {
			if !strings.Contains(out, `"`+name+`-refused"`) {
				return false
			}
		}
		return true
	})

	// Plans that another runner made, as the tool writes them: the archive and its JSON.
	plan := s.path("plan.bin")
	s.tofu("plan", "-input=false", "-out="+plan)
	s.write("plan.json", s.tofu("show", "-json", plan))
	if json := s.read("plan.json"); !strings.Contains(json, "sesame-told-sensitive-variable") || !strings.Contains(json, "sesame-told-actual") {
		t.Error("the plan has none of the secrets that it is to bring")
	}
	for _, format := range []string{"human", "json", "sarif", "junit"} {
		collect("check", "shop", "--plan", "plan.json", "-o", format)
		collect("check", "shop", "--state", "shop/terraform.tfstate", "-o", format)
	}
	s.write("plan.broken", s.read("plan.json")[:len(s.read("plan.json"))-40])
	collect("check", "shop", "--plan", "plan.broken")
	collect("check", "shop", "--plan", "plan.bin")

	h.crawl(t, d)
	h.answers(t, d, "/v1/drifts/"+found.ID, "/v1/drifts/"+found.ID+"/proposals", "/v1/drifts/"+other.ID+"/proposals", "/v1/runs/"+run.ID, "/v1/shadow?address="+url.QueryEscape(queue))
	for _, args := range [][]string{
		{"drift", "show", found.ID, "-o", "json"}, {"proposals", found.ID, "-o", "json"}, {"proposals", other.ID, "-o", "json"}, {"run", "show", run.ID, "-o", "json"}, {"run", "review"},
		{"notify", "list", "-o", "json"}, {"notify", "dead"}, {"notify", "dead", "-o", "json"}, {"notify", "channels"}, {"notify", "channels", "-o", "json"}, {"status"}, {"export"}, {"audit", "export"},
	} {
		collect(args...)
	}
	s.until("the recording has what came", func() bool { return strings.Contains(s.read("record.jsonl"), "mark-event") })
	_ = record.Process.Signal(syscall.SIGINT)
	if err := <-recorded; err != nil {
		t.Fatalf("the recording ended with %v: %s", err, said)
	}
	h.add("record.jsonl", []byte(s.read("record.jsonl")))
	h.add("what the recording said", []byte(said.String()))
	h.folder(t, s.path(".penumbra"))
	d.stop(syscall.SIGTERM)
	h.add("the daemon's log", []byte(d.log.String()))
	h.folder(t, s.path(".penumbra"))
	h.folder(t, s.path("tmp"))

	for _, mark := range []string{"snapshot", "event", "record", "contact", "frozen", "forge", "mail", "slack-refused", "teams-refused", "alerts-refused", "basic-refused", "hook-refused"} {
		h.has(t, "mark-"+mark)
	}
	h.hidden(t, secrets, 25)
}
