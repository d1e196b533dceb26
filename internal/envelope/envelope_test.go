package envelope_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra/internal/envelope"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	good := envelope.Seal("magic", 3, []byte("payload"))
	if got, err := envelope.Open("magic", 3, good); err != nil || string(got) != "payload" {
		t.Fatalf("opened %q: %v", got, err)
	}
	flipped := bytes.Clone(good)
	flipped[len("magic")+envelope.Header] ^= 1
	for name, x := range map[string]struct {
		data    []byte
		version uint32
		want    string
	}{
		"nothing":   {nil, 3, "does not begin"},
		"foreign":   {append([]byte("other"), good[5:]...), 3, "does not begin"},
		"newer":     {good, 2, "version 3, this program knows 2"},
		"cut short": {good[:len(good)-1], 3, "cut short"},
		"flipped":   {flipped, 3, "checksum"},
	} {
		if _, err := envelope.Open("magic", x.version, x.data); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}
