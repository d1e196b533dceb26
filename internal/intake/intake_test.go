package intake

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/penumbra-iac/penumbra"
)

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBody(t *testing.T) {
	t.Parallel()
	g := NewGate(Limits{Body: 1 << 20}.WithDefaults())
	packed := gzipped(t, []byte("hello"))
	for name, c := range map[string]struct {
		encoding string
		body     []byte
		want     string
		status   int
	}{
		"plain":       {"", []byte("hello"), "hello", 0},
		"gzip":        {"gzip", packed, "hello", 0},
		"two members": {"gzip", append(bytes.Clone(packed), packed...), "hellohello", 0},
		"cut off":     {"gzip", packed[:len(packed)-5], "", 400},
		"no gzip":     {"gzip", []byte("hello, not gzip"), "", 400},
		"bomb":        {"gzip", gzipped(t, make([]byte, 50<<20)), "", 413},
		"large":       {"", make([]byte, 1<<20+1), "", 413},
		"at limit":    {"", bytes.Repeat([]byte("a"), 1<<20), strings.Repeat("a", 1<<20), 0},
		"zstd":        {"zstd", []byte("x"), "", 415},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(c.body))
			r.Header.Set("Content-Encoding", c.encoding)
			got, err := g.Body(httptest.NewRecorder(), r)
			if c.status == 0 {
				if err != nil || string(got) != c.want {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				return
			}
			if Status(err) != c.status || penumbra.KindOf(err) != penumbra.Invalid {
				t.Errorf("status %d, %v", Status(err), err)
			}
		})
	}
}

func TestTextIsRedacted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"password=hunter2", "xoxb-1234567890", "http://u:p@h/path"} {
		if Text(text, 100) == text {
			t.Errorf("%q stays", text)
		}
	}
}

func TestTextIsBoundedAndValid(t *testing.T) {
	t.Parallel()
	if got := Text("caf\xff"+strings.Repeat("é", 100), 11); len(got) > 11 || !strings.HasPrefix(got, "caf\uFFFDé") {
		t.Errorf("%q", got)
	}
}

// nested returns n messages, each in field 1 of the one around it.
func nested(n int) []byte {
	var b []byte
	for range n {
		b = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), b)
	}
	return b
}

func TestShapes(t *testing.T) {
	t.Parallel()
	l := Limits{Messages: 1000}.WithDefaults()
	var m Message
	m = Message{1: &m}
	for name, c := range map[string]struct {
		body []byte
		ok   bool
	}{
		"flat":     {nested(1), true},
		"deep":     {nested(40), true},
		"too deep": {nested(2000), false},
		"many":     {bytes.Repeat([]byte{0x0a, 0}, 1001), false},
		"cut off":  {[]byte{0x0a, 5, 1}, false},
		"no tag":   {[]byte{0xff}, false},
	} {
		if err := l.CheckProto(c.body, &m); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, ok := range map[string]bool{
		`{"a":[1,2,"{[{["]}`:                         true,
		strings.Repeat("[", 81):                      false,
		strings.Repeat("1,", 1001):                   false,
		`{"a":"\"` + strings.Repeat("[", 500) + `"}`: true,
	} {
		if err := l.CheckJSON([]byte(text)); (err == nil) != ok {
			t.Errorf("%.20s: %v", text, err)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for kind, want := range map[penumbra.ErrorKind]int{penumbra.Invalid: 400, penumbra.Refused: 400, penumbra.Full: 503, penumbra.Unavailable: 503, penumbra.Locked: 503, penumbra.Damaged: 503} {
		if got := Status(&penumbra.Error{Kind: kind}); got != want {
			t.Errorf("%v: %d", kind, got)
		}
	}
	if Status(errors.New("bug")) != 503 {
		t.Error("a fault of our own must not lose data")
	}
}
