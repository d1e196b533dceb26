//go:build unix

package e2e

// This file sends more than 300 different hostile inputs to a real daemon, over each
// way in that it has: traversal, injection into HCL, YAML, shell, SQL, HTML, logs and
// templates, giant and nested bodies, forged credentials and signatures, replay. None
// may be executed, leak or lose anything, or take the daemon down.

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/snappy"
	"golang.org/x/net/html"

	"github.com/penumbra-iac/penumbra"
)

// hostilePayloads are texts that do harm where they are taken for more than texts, by
// what would take them so. canary is a file that comes about if one is executed.
func hostilePayloads(canary string) map[string][]string {
	touch := "touch " + canary
	return map[string][]string{
		"traversal": {
			"../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "....//....//etc/passwd", "/etc/passwd", `..\..\..\etc\passwd`, "file:///etc/passwd",
			".penumbra/token", "../.penumbra/token", "%2e%2e/%2e%2e/.penumbra/token", "shop/../../.penumbra/master.key", "/proc/self/environ", "..\x00/etc/passwd",
		},
		"shell": {
			"$(" + touch + ")", "`" + touch + "`", "; " + touch + " #", "| " + touch, "&& " + touch, "\n" + touch + "\n", "--config=/dev/null", "-o ProxyCommand=" + touch, "'; " + touch + "; '", "${IFS}" + touch,
		},
		"HCL": {
			`${file("/etc/passwd")}`, `%{ for x in [1] }` + touch + `%{ endfor }`, `"} provisioner "local-exec" { command = "` + touch + `" } #`, "EOT\n}\nresource \"x\" \"y\" {", `${templatefile("/etc/passwd", {})}`, `$${x}`,
		},
		"YAML": {
			"!!python/object/apply:os.system ['" + touch + "']", "&a [*a, *a, *a]", "{{ lookup('pipe', '" + touch + "') }}", "a: b\n- hosts: all\n  tasks: [{shell: '" + touch + "'}]", "!vault |\n  x", "--- !<tag:yaml.org,2002:js/function> x", "<<: *x",
		},
		"SQL": {
			"' OR '1'='1", "'; DROP TABLE observations; --", `"; DELETE FROM drifts; --`, "1; ATTACH DATABASE '" + canary + "' AS x; --", "' UNION SELECT data FROM checkpoints --", "%' ESCAPE '", "x' AND load_extension('x') --", "); PRAGMA writable_schema = 1; --",
		},
		"HTML": {
			"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "'><svg/onload=alert(1)>", "javascript:alert(1)", "</title><script>alert(1)</script>", "</textarea><script>alert(1)</script>", "<iframe srcdoc='<script>alert(1)</script>'>", "<base href=//evil.example>", "&lt;script&gt;", "<form action=//evil.example>",
		},
		"log": {
			"a\r\nX-Injected: yes\r\n\r\nbody", "a\nFORGED ERR the daemon was taken over", "\x1b[2J\x1b[31mred\x1b]0;title\x07", "a\u2028FORGED\u2029", "a\x00b", "\u202egnp.exe", "a\rFORGED", "%0d%0aX-Injected:%20yes",
		},
		"template": {
			"{{.}}", "{{printf \"%s\" .Service}}", "{{define \"frame\"}}x{{end}}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% raw %}{% endraw %}", "[[${7*7}]]", "%s%s%n%x", "{{template \"signin.html\"}}",
		},
	}
}

type battle struct {
	t           *testing.T
	d           *daemon
	host, token string
	browser     *http.Client
	sent        map[string]bool
	kinds       map[string]int
	form        string
	secrets     []string // what no answer may hold
	noAnswer    int
}

func (b *battle) try(kind, method, path, body string, headers ...string) (int, []byte, http.Header) {
	b.t.Helper()
	req, err := http.NewRequest(method, "http://"+b.host+path, strings.NewReader(body))
	if err != nil {
		b.t.Errorf("%s: %s %q: %v", kind, method, path, err)
		return 0, nil, nil
	}
	page := !strings.HasPrefix(path, "/v1/")
	if !page {
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		switch {
		case headers[i] == "Host":
			req.Host = headers[i+1]
		case headers[i+1] == "":
			req.Header.Del(headers[i])
		default:
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	client := http.DefaultClient
	if page {
		client = b.browser
	}
	b.sent[kind+" "+method+" "+path+" "+fmt.Sprint(headers)+" "+body] = true
	b.kinds[kind]++
	res, err := client.Do(req)
	if err != nil {
		b.noAnswer++
		return 0, nil, nil
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	what := fmt.Sprintf("%s: %s %.80q %.80q: %d", kind, method, path, body, res.StatusCode)
	if res.StatusCode >= 500 {
		b.t.Errorf("%s: %.300s", what, answer)
	}
	if res.Header.Get("X-Injected") != "" {
		b.t.Errorf("%s: a header was injected", what)
	}
	if res.Header.Get("X-Content-Type-Options") != "nosniff" {
		b.t.Errorf("%s: a browser may guess the type", what)
	}
	for _, secret := range b.secrets {
		if bytes.Contains(answer, []byte(secret)) {
			b.t.Errorf("%s: leaks %.20q", what, secret)
		}
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		if !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'self'") {
			b.t.Errorf("%s: a page without a policy", what)
		}
		b.harmless(what, answer)
	}
	return res.StatusCode, answer, res.Header
}

// harmless makes sure that a page has no element or attribute that a payload made.
func (b *battle) harmless(what string, page []byte) {
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			for _, a := range token.Attr {
				value := strings.ToLower(strings.TrimSpace(a.Val))
				if strings.HasPrefix(a.Key, "on") || a.Key == "srcdoc" || a.Key == "style" ||
					slices.Contains([]string{"href", "src", "action", "formaction"}, a.Key) && (strings.HasPrefix(value, "javascript:") || strings.HasPrefix(value, "data:") || strings.Contains(value, "//evil.example")) {
					b.t.Errorf("%s: the page has <%s %s=%q>", what, token.Data, a.Key, a.Val)
				}
			}
			if token.Data == "base" || token.Data == "iframe" || token.Data == "style" || token.Data == "script" && !slices.ContainsFunc(token.Attr, func(a html.Attribute) bool { return a.Key == "src" && strings.HasPrefix(a.Val, "/assets/") }) {
				b.t.Errorf("%s: the page has <%s>", what, token.Data)
			}
		}
	}
}

func TestHostileInputs(t *testing.T) {
	s := newSite(t)
	canary := s.path("canary")
	payloads := hostilePayloads(canary)
	if err := os.MkdirAll(s.path("logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("logs/free.txt", "")
	s.write("penumbra.yaml", `schedule: {every: 1h, gap: 20ms, burst: 1000}
stacks:
  - {name: shop, dir: shop}
inputs:
  - {name: http, kind: json}
  - {name: otel, kind: otlp}
  - {name: prom, kind: remote-write}
  - {name: free, kind: text, paths: [logs/free.txt]}
`)
	d := s.watching()
	s.known()
	u, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	b := &battle{t: t, d: d, host: u.Host, token: u.Query().Get("token"), browser: &http.Client{Jar: jar}, sent: map[string]bool{}, kinds: map[string]int{}}
	b.secrets = []string{b.token, "root:x:0:0", strings.TrimSpace(s.read(".penumbra/sealing.key")), strings.TrimSpace(s.read(".penumbra/master.key"))}
	first, err := b.browser.Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(first.Body)
	first.Body.Close()
	form := regexp.MustCompile(`name="form" value="([^"]+)"`).FindSubmatch(page)
	if first.StatusCode != http.StatusOK || form == nil {
		t.Fatalf("%d, no form on the first page:\n%s", first.StatusCode, page)
	}
	b.form = string(form[1])
	quoted := func(text string) string {
		out, _ := json.Marshal(strings.ToValidUTF8(text, "?"))
		return string(out)
	}

	// Each payload by each way in that takes a text.
	for kind, list := range payloads {
		for _, p := range list {
			q := url.QueryEscape(p)
			b.try(kind, "GET", "/resource?address="+q, "")
			b.try(kind, "GET", "/drifts?q="+q+"&stack="+q, "")
			b.try(kind, "GET", "/"+url.PathEscape(p), "")
			b.try(kind, "GET", "/assets/"+url.PathEscape(p), "")
			b.try(kind, "GET", "/v1/drifts/"+url.PathEscape(p), "")
			b.try(kind, "GET", "/v1/shadow?address="+q, "")
			b.try(kind, "POST", "/freeze", url.Values{"form": {b.form}, "reason": {p}, "stacks": {p}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
			b.try(kind, "POST", "/v1/inputs/http", `{"time":"2026-03-01T09:00:00Z","user":`+quoted(p)+`,"action":`+quoted(p)+`,"target":"/etc/web/web.conf","message":`+quoted(p)+`}`)
			b.try(kind, "POST", "/v1/freezes", `{"reason":`+quoted(p)+`,"stacks":["none"],"until":"2026-12-31T00:00:00Z"}`)
			line := `{"kind":"snapshot","time":"2026-03-01T00:00:01Z","resource":` + quoted("site/"+p) + `,"type":` + quoted(p) + `,"settings":{` + quoted(p) + `:` + quoted(p) + `}}` + "\n"
			s.run(program, s.root, strings.NewReader(line), "ingest")
			b.sent["ingest "+line] = true
			b.kinds[kind]++
			f, err := os.OpenFile(s.path("logs/free.txt"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(f, "2026-03-01T09:00:00Z web[1]: %s\n", p)
			f.Close()
			b.sent["log "+p] = true
			b.kinds[kind]++
		}
	}

	// Bodies: giant, nested, bombs, broken, of another type than they say.
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	list := strings.Repeat("[", 200_000)
	giant := `{"message":"` + strings.Repeat("x", 40<<20) + `"}`
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(z, zeros{}, 256<<20)
	z.Close()
	for name, x := range map[string][]string{
		"nested": {deep}, "list": {list}, "giant": {giant}, "bomb": {bomb.String(), "Content-Encoding", "gzip"}, "snappy bomb": {"\xff\xff\xff\xff\x0f" + "x", "Content-Encoding", "snappy"},
		"no gzip": {"x", "Content-Encoding", "gzip"}, "encoding": {"{}", "Content-Encoding", "br"}, "XML": {`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, "Content-Type", "application/xml"},
		"billion laughs": {"a: &a [x]\nb: &b [*a,*a]", "Content-Type", "application/yaml"}, "no UTF-8": {"{\"a\":\"\xff\xfe\"}"}, "duplicate keys": {`{"reason":"a","reason":"b"}`}, "number": {`{"reason":1e999}`}, "NUL": {"\x00\x00"}, "empty": {""},
	} {
		for _, path := range []string{"/v1/inputs/http", "/v1/inputs/otel/v1/logs", "/v1/inputs/otel/v1/metrics", "/v1/inputs/prom/write", "/v1/freezes", "/freeze", "/signin"} {
			status, answer, _ := b.try("body "+name, "POST", path, x[0], x[1:]...)
			if name == "bomb" && status/100 == 2 && path != "/freeze" && path != "/signin" {
				t.Errorf("a bomb is taken at %s: %.200s", path, answer)
			}
		}
	}
	b.try("body", "POST", "/v1/inputs/prom/write", string(snappy.Encode(nil, bytes.Repeat([]byte{0x0a, 0}, 600_000))), "Content-Encoding", "snappy")

	// Credentials, hosts and origins that are not ours: each has to be turned away.
	refuse := func(what, method, path, body string, want []int, headers ...string) {
		t.Helper()
		if status, answer, _ := b.try("forged "+what, method, path, body, headers...); !slices.Contains(want, status) {
			t.Errorf("%s is answered %d: %.200s", what, status, answer)
		}
	}
	unauthorized := []int{http.StatusUnauthorized}
	for _, value := range []string{"", "Bearer", "Bearer x", "Bearer " + b.token + "x", "Bearer " + b.token[:len(b.token)-1], "bearer\t" + b.token, "Basic " + b.token, "Bearer null", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", "Bearer ' OR 1=1 --", "Bearer " + strings.Repeat("A", 40000)} {
		for _, path := range []string{"/v1/status", "/v1/audit", "/v1/export"} {
			refuse("token", "GET", path, "", append(unauthorized, 431, 404), "Authorization", value)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:7676", "127.0.0.1.evil.example", "localhost.evil.example", "169.254.169.254", "[::ffff:8.8.8.8]"} {
		refuse("host", "GET", "/v1/status", "", []int{421, 400}, "Host", host)
		refuse("host of a page", "GET", "/", "", []int{421, 400}, "Host", host)
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}} {
		for _, path := range []string{"/freeze", "/approve", "/signout", "/signin"} {
			refuse("origin", "POST", path, url.Values{"form": {b.form}, "reason": {"x"}}.Encode(), []int{403}, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
		}
	}
	for _, token := range []string{"", "x", b.form + "x", strings.ToLower(b.form), b.form[:len(b.form)-1]} {
		for _, path := range []string{"/freeze", "/approve", "/reject", "/accept", "/snooze", "/rollback", "/customize"} {
			refuse("form", "POST", path, url.Values{"form": {token}, "reason": {"x"}, "id": {"x"}}.Encode(), []int{403}, "Content-Type", "application/x-www-form-urlencoded")
		}
	}
	for _, cookie := range []string{"penumbra_session=x", "penumbra_session=" + strings.Repeat("A", 26), "penumbra_session=", "penumbra_session=../../etc/passwd"} {
		b.browser = &http.Client{}
		refuse("session", "GET", "/", "", unauthorized, "Cookie", cookie)
		refuse("session", "POST", "/freeze", url.Values{"form": {b.form}, "reason": {"x"}}.Encode(), unauthorized, "Cookie", cookie, "Content-Type", "application/x-www-form-urlencoded")
	}
	b.browser = &http.Client{Jar: jar}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "X"} {
		refuse("method", method, "/v1/status", "", []int{400, 404, 405})
	}

	// A real drift, whose values are code for who takes them so; a decision on another
	// plan, and one that is sent twice.
	hcl := payloads["HCL"]
	s.edit("shop/etc/database.conf", `tag.tier = data`, "tag.tier = "+strconv.Quote(hcl[0]))
	s.edit("shop/etc/database.conf", `tag.backup = daily`, "tag.backup = "+strconv.Quote(hcl[1]))
	s.edit("shop/etc/database.conf", `log_level = warning`, "log_level = "+strconv.Quote(hcl[2]))
	found := s.drift("shop/conffile_service.database", "log_level")
	adopt := s.proposal(found.ID, penumbra.Adopt)
	revert := s.proposal(found.ID, penumbra.Revert)
	for _, hash := range []string{"", "x", revert.Hash, strings.Repeat("0", 64), adopt.Hash[:12] + "00", "' OR '1'='1"} {
		refuse("plan", "POST", "/v1/proposals/"+adopt.ID+"/approve", `{"hash":`+quoted(hash)+`}`, []int{400, 403, 409, 422})
	}
	b.try("HCL", "GET", "/drift?id="+found.ID, "")
	b.try("HCL", "GET", "/proposal?id="+adopt.ID, "")
	var freezes []penumbra.Freeze // which some bodies have set, as they may
	s.penumbra("freeze", "list", "-o", "json").ends(0).into(&freezes)
	for _, f := range freezes {
		s.penumbra("unfreeze", f.ID).ends(0)
	}
	s.approve(adopt)
	b.sent["adopted "+strings.Join(hcl[:3], " ")] = true
	s.plansNothing() // the code has the texts, and not what they would be taken for
	refuse("replay", "POST", "/v1/proposals/"+adopt.ID+"/approve", `{"hash":`+quoted(adopt.Hash)+`}`, []int{409})
	refuse("replay", "POST", "/v1/proposals/"+revert.ID+"/approve", `{"hash":`+quoted(revert.Hash)+`}`, []int{403, 404, 409})

	shown := s.penumbra("status", "--resources")
	if strings.ContainsAny(shown.out+shown.err, "\x1b\x00\r\x07\u202e\u2028") {
		t.Errorf("the terminal would be steered: %q", shown.out)
	}

	// What was there before is there, nothing was executed, and the daemon is well.
	if _, err := os.Lstat(canary); err == nil {
		t.Error("something was executed: the canary is there")
	}
	s.penumbra("shadow", "show", "site/service.web").ends(0).tells("workers", "4")
	s.penumbra("audit", "verify").ends(0)
	select {
	case <-d.ended:
		t.Fatalf("the daemon ended: %v\n%s", d.err, d.log)
	default:
	}
	d.stop(syscall.SIGTERM)
	if d.err != nil {
		t.Errorf("the daemon ended with %v", d.err)
	}
	log := d.log.String()
	for _, bad := range []string{"panic", "\x1b[2J", "\x1b[31mred", "\nFORGED", "\rFORGED", "\nX-Injected", b.token} {
		if i := strings.Index(log, bad); i >= 0 {
			t.Errorf("the daemon's log has %q: …%q…", bad, log[max(0, i-200):min(len(log), i+200)])
		}
	}
	db, err := sql.Open("sqlite", "file:"+s.path(".penumbra/penumbra.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var integrity string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&integrity); err != nil || integrity != "ok" {
		t.Errorf("the store: %q, %v", integrity, err)
	}
	if len(b.sent) < 300 {
		t.Errorf("only %d different inputs were sent", len(b.sent))
	}
	t.Logf("%d different inputs, %d without an answer; by kind: %v", len(b.sent), b.noAnswer, b.kinds)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
