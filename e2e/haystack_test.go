//go:build unix

package e2e

// This file has what the planted tests search with: everything that came out of a
// daemon, unpacked, and each way in which a secret in it could be written.

import (
	"archive/zip"
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite"
)

// planted makes the secret of a kind of input, which nothing else has in it. It is no
// random text: that it is a secret has to follow from where it stands.
func planted(kind string) string { return "sesame-" + kind + "-q7&<'%9" }

// inYAML writes a text as a string of YAML.
func inYAML(text string) string {
	quoted, _ := json.Marshal(text) // a string of JSON is one of YAML
	return string(quoted)
}

// A haystack is what came out, by where it was found.
type haystack struct {
	mu   sync.Mutex
	data map[string][]byte
}

func (h *haystack) add(where string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.data[where] = bytes.Clone(data)
}

// writings are the ways to write a secret that would give it away. Of base64 there
// are three, by where in a group of three bytes it begins; what depends on its
// neighbours is cut off.
func writings(secret string) map[string]string {
	quoted, _ := json.Marshal(secret)
	out := map[string]string{
		"plain": secret, "JSON": strings.Trim(string(quoted), `"`), "URL": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"HTML": strings.NewReplacer("&", "&amp;", "<", "&lt;", "'", "&#39;").Replace(secret), "hex": hex.EncodeToString([]byte(secret)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"HCL": strings.ReplaceAll(secret, "%", "%%"), "core": secret[:len(secret)-6], // what no escape touches
	}
	for shift := range 3 {
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := enc.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			from := []int{0, 2, 3}[shift]
			out[fmt.Sprint(name, shift)] = text[from : len(text)-2]
		}
	}
	return out
}

// unpack calls see with data and with all that is compressed in it.
func unpack(where string, data []byte, depth int, see func(where string, data []byte)) {
	see(where, data)
	if depth == 0 {
		return
	}
	const most = 64 << 20
	for name, magic := range map[string][]byte{"gzip": {0x1f, 0x8b, 8}, "zstd": {0x28, 0xb5, 0x2f, 0xfd}, "zip": {'P', 'K', 3, 4}} {
		for at := 0; ; {
			i := bytes.Index(data[at:], magic)
			if i < 0 {
				break
			}
			at += i
			var r io.Reader
			switch name {
			case "gzip":
				if z, err := gzip.NewReader(bytes.NewReader(data[at:])); err == nil {
					z.Multistream(false)
					r = z
				}
			case "zstd":
				if z, err := zstd.NewReader(bytes.NewReader(data[at:])); err == nil {
					r = z
				}
			}
			if name == "zip" && len(data) >= at+30 { // of a plan; what is stored is in sight as it is
				const header, deflated = 30, 8
				from := at + header + int(binary.LittleEndian.Uint16(data[at+26:])) + int(binary.LittleEndian.Uint16(data[at+28:]))
				if binary.LittleEndian.Uint16(data[at+8:]) == deflated && from < len(data) {
					r = flate.NewReader(bytes.NewReader(data[from:]))
				}
			}
			if r != nil {
				inner, _ := io.ReadAll(io.LimitReader(r, most))
				if len(inner) > 0 {
					unpack(fmt.Sprintf("%s, %s at %d", where, name, at), inner, depth-1, see)
				}
			}
			at++
		}
	}
}

// find returns where each secret was found.
func (h *haystack) find(secrets map[string]string) []string {
	var found []string
	ways := map[string]map[string]string{}
	for kind, secret := range secrets {
		ways[kind] = writings(secret)
	}
	for where, data := range h.data {
		unpack(where, data, 2, func(where string, data []byte) {
			for kind, ways := range ways {
				for way, text := range ways {
					if i := bytes.Index(data, []byte(text)); i >= 0 {
						found = append(found, fmt.Sprintf("%s (%s) in %s: …%q…", kind, way, where, data[max(0, i-60):min(len(data), i+len(text)+20)]))
						break
					}
				}
			}
		})
	}
	slices.Sort(found)
	return found
}

// The search itself finds what is there.
func TestTheSearchFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	secret := planted("x")
	var zipped, packed bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprint(z, "in here: ", secret)
	z.Close()
	w, _ := zstd.NewWriter(&packed)
	fmt.Fprint(w, "in here: ", secret)
	w.Close()
	var archived bytes.Buffer
	a := zip.NewWriter(&archived)
	inside, _ := a.Create("tfstate")
	fmt.Fprint(inside, "in here: ", secret)
	a.Close()
	quoted, _ := json.Marshal(map[string]string{"a": secret})
	for name, data := range map[string]string{
		"plain": "a" + secret + "b", "JSON": string(quoted), "URL": url.QueryEscape("a=" + secret), "hex": hex.EncodeToString([]byte("ab" + secret)),
		"base64 0": base64.StdEncoding.EncodeToString([]byte(secret + "tail")), "base64 1": base64.StdEncoding.EncodeToString([]byte("a" + secret)),
		"base64 2": base64.URLEncoding.EncodeToString([]byte("ab" + secret + "c")), "gzip": "head" + zipped.String(), "zstd": "head" + packed.String(), "zip": "head" + archived.String(),
	} {
		h := &haystack{data: map[string][]byte{name: []byte(data)}}
		if len(h.find(map[string]string{"x": secret})) == 0 {
			t.Errorf("%s is not found in %q", name, data)
		}
		if found := h.find(map[string]string{"y": planted("y")}); len(found) > 0 {
			t.Errorf("found what is not there: %v", found)
		}
	}
}

// folder adds all files below a folder, and the rows of its databases: a value may lie
// over several pages of a database's file, with bytes of its own between.
func (h *haystack) folder(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		h.add(path, data)
		if strings.HasSuffix(path, ".db") {
			return h.rows(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (h *haystack) rows(path string) error {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		return err
	}
	defer db.Close()
	names, err := db.Query(`SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		return err
	}
	defer names.Close()
	var tables []string
	for names.Next() {
		var name string
		if err := names.Scan(&name); err != nil {
			return err
		}
		tables = append(tables, name)
	}
	for _, table := range tables {
		rows, err := db.Query(`SELECT * FROM "` + table + `"`)
		if err != nil {
			return err
		}
		columns, _ := rows.Columns()
		for n := 0; rows.Next(); n++ {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new([]byte)
			}
			if err := rows.Scan(values...); err != nil {
				return err
			}
			for i, v := range values {
				if data := *v.(*[]byte); len(data) > 8 {
					h.add(fmt.Sprintf("%s, %s.%s of row %d", filepath.Base(path), table, columns[i], n), data)
				}
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

var links = regexp.MustCompile(`(?:href|action|src)="(/[^"#]*)`)

// crawl adds each page that the daemon leads to.
func (h *haystack) crawl(t *testing.T, d *daemon) {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	u, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	seen, queue := map[string]bool{}, []string{"/" + "?" + u.RawQuery}
	for len(queue) > 0 && len(seen) < 400 {
		at := queue[0]
		queue = queue[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		res, err := client.Get("http://" + u.Host + at)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		h.add("page "+strings.Split(at, "?token")[0], body)
		for _, m := range links.FindAllStringSubmatch(string(body), -1) {
			queue = append(queue, strings.ReplaceAll(m[1], "&amp;", "&"))
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d pages were seen: %v", len(seen), seen)
	}
}

// answers adds what each route of the API answers that is asked by GET and has no
// identifier in it, and those of what is there.
func (h *haystack) answers(t *testing.T, d *daemon, more ...string) {
	t.Helper()
	u, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) []byte {
		req, _ := http.NewRequest(http.MethodGet, "http://"+u.Host+path, nil)
		req.Header.Set("Authorization", "Bearer "+u.Query().Get("token"))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if strings.Contains(res.Header.Get("Content-Type"), "event-stream") {
			return nil // it goes on; what it tells of is asked for otherwise
		}
		body, _ := io.ReadAll(res.Body)
		h.add("GET "+path, body)
		return body
	}
	var description struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(get("/v1/openapi.json"), &description); err != nil || len(description.Paths) < 20 {
		t.Fatalf("%v, %d paths", err, len(description.Paths))
	}
	for path, methods := range description.Paths {
		if methods["get"] != nil && !strings.Contains(path, "{") && !strings.Contains(path, "events") && !strings.Contains(path, "stream") && !strings.Contains(path, "news") {
			get(path)
		}
	}
	for _, path := range more {
		get(path)
	}
}

// has makes sure that a text came through: without it the test would see nothing of
// what stands beside it either.
func (h *haystack) has(t *testing.T, text string) {
	t.Helper()
	seen := false
	for where, data := range h.data {
		unpack(where, data, 1, func(_ string, data []byte) { seen = seen || bytes.Contains(data, []byte(text)) })
	}
	if !seen {
		t.Errorf("nothing of %s came through: the test does not see that kind", text)
	}
}

// hidden makes sure that none of the secrets, of which there are some at least, is
// anywhere.
func (h *haystack) hidden(t *testing.T, secrets map[string]string, least int) {
	t.Helper()
	if len(secrets) < least {
		t.Errorf("only %d secrets were planted", len(secrets))
	}
	leaked := h.find(secrets)
	for _, where := range leaked {
		t.Error(where)
	}
	t.Logf("%d secrets looked for in %d places, %d found", len(secrets), len(h.data), len(leaked))
}
