package envelope_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/penumbra-iac/penumbra/internal/envelope"
)

func TestAmend(t *testing.T) {
	t.Parallel()
	inner := envelope.Seal("penumbra depart\n", 1, []byte("the word is old, and old"))
	// Two payloads behind their lengths, as the Bayesian networks have them.
	two := binary.LittleEndian.AppendUint32([]byte("penumbra bayes 1\n"), 1)
	two = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(two, uint64(len(inner))), 3)
	two = append(append(two, inner...), "old"...)
	sum := sha256.Sum256(two)
	two = append(two, sum[:]...)
	broken := envelope.Seal("penumbra drain", 2, []byte("old"))
	broken[len(broken)-1] ^= 1
	data := envelope.Seal("penumbra mixture", 7, bytes.Join([][]byte{[]byte("penumbra is no magic alone"), two, broken}, []byte("--")))

	change := func(data []byte) bool {
		n := bytes.Count(data, []byte("old"))
		copy(data, bytes.ReplaceAll(data, []byte("old"), []byte("new")))
		return n > 0
	}
	if !envelope.Amend(data, change) {
		t.Fatal("nothing was changed")
	}
	payload, err := envelope.Open("penumbra mixture", 7, data)
	if err != nil {
		t.Fatal(err)
	}
	parts := bytes.SplitN(payload, []byte("--"), 3)
	at := len("penumbra bayes 1\n") + 4 + 8 + 8
	if got, err := envelope.Open("penumbra depart\n", 1, parts[1][at:at+len(inner)]); err != nil || string(got) != "the word is new, and new" {
		t.Errorf("within: %q, %v", got, err)
	}
	if sum := sha256.Sum256(parts[1][:len(parts[1])-sha256.Size]); !bytes.HasSuffix(parts[1], sum[:]) {
		t.Error("the checksum of two payloads is wrong")
	}
	if _, err := envelope.Open("penumbra drain", 2, parts[2]); err == nil {
		t.Error("what was damaged is whole now")
	}
	before := bytes.Clone(data)
	if envelope.Amend(data, change) || !bytes.Equal(before, data) {
		t.Error("changed without need")
	}
}
