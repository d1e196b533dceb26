package penumbra

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What is passed over at a glance would have come out of the expressions as it
// was.
func TestRedactAtAGlance(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{
		"password", "PASSWD", "Passphrase", "secret", "to\u212Aen", "\u017Fecret", "private_key", "api_key", "access_key", "token", "=", ": ", ":", "\"", " ", "x", "hunter2",
		"-----BEGIN RSA PRIVATE KEY-----", "AKIAABCDEFGHIJKLMNOP", "ASIAABCDEFGHIJKLMNOP", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "eyJ", "http", "://", "@", ".",
		"abcdefghijklmnopqrstuvwxyz", "0123456789", "QWERTZUIOPASDFGHJKLYXCVBNM", "://u:p@h", "/", "+", "é", "\n",
		"Authorization: Basic ", "bearer ", "Cookie: ", "x-api-key: ", "X-Amz-Signature=", "<password>", "</", "identified by '", "SharedAccessKey=", "apiKey", "--token ", "sig=", "glrt-", "SG.", "$6$", "hvs.", "AccountKey",
		"password is ", "connectionString", "hooks.slack.com/services/", "x-token", "\\\"", "'", "{", "[", "cookie",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		if got, want := Redact(text), redact(text, allMarks); got != want {
			t.Fatalf("%q became %q at a glance, %q by the expressions", text, got, want)
		}
	})
	for _, text := range []string{"password=hunter2", "xoxb-1234567890", "http://u:p@h/path", "://u:p@", "\u017fecret: x", "a_\u212aey=1", "password\u017fecret\npassword1", "password\u017fecret\npassword", "kto\u212aen 12345"} {
		if got, want := Redact(text), redact(text, allMarks); got != want {
			t.Errorf("%q: %q at a glance, %q by the expressions", text, got, want)
		}
	}
}

// What has been redacted stays as it is, so that several nets in a row show one thing.
func TestRedactTwiceIsOnce(t *testing.T) {
	t.Parallel()
	for text := range leaks {
		if once := Redact(text); Redact(once) != once {
			t.Errorf("%q, redacted %q, redacted again %q", text, once, Redact(once))
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, seed := range []string{
		"password=hunter2", "xoxb-1234567890", "http://u:p@h/path", "://u:p@", "ghp_" + strings.Repeat("a1", 18), "alter system set work_mem = '64kB'",
		"/var/lib/" + strings.Repeat("a/", 30), "to\u212aen: x", "\xffsecret=\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := Redact(text), redact(text, allMarks); got != want {
			t.Fatalf("%q became %q at a glance, %q by the expressions", text, got, want)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	for name, text := range map[string]string{
		"plain":   `connection authorized: user=postgres database=postgres application_name=psql from 10.0.0.7`,
		"message": `alter system set work_mem = '64kB'; -- for the report of the third quarter, as agreed`,
		"secret":  `login failed for https://app:hunter2@db.example.com/shop with password=hunter2 at 12:00:00`,
	} {
		b.Run(name+"/glance", func(b *testing.B) {
			for b.Loop() {
				Redact(text)
			}
		})
		b.Run(name+"/expressions", func(b *testing.B) {
			for b.Loop() {
				redact(text, allMarks)
			}
		})
	}
}
