package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// begins is how every magic begins; none is longer than longestMagic.
const (
	begins       = "penumbra "
	longestMagic = 32
)

// Amend has change alter data in place, which must not change its length, and makes the
// checksums of all envelopes in it right again, those within others too: what was damaged
// before is damaged still. change reports whether it did anything; so does Amend.
func Amend(data []byte, change func([]byte) bool) bool {
	type span struct{ from, to int } // to is behind the checksum
	var whole []span
	for at := 0; ; at++ {
		i := bytes.Index(data[at:], []byte(begins))
		if i < 0 {
			break
		}
		at += i
		for _, end := range ends(data, at) {
			if sum := sha256.Sum256(data[at : end-sha256.Size]); bytes.Equal(sum[:], data[end-sha256.Size:end]) {
				whole = append(whole, span{at, end})
				break
			}
		}
	}
	if !change(data) {
		return false
	}
	for _, s := range slices.Backward(whole) { // one that is within another begins later
		sum := sha256.Sum256(data[s.from : s.to-sha256.Size])
		copy(data[s.to-sha256.Size:], sum[:])
	}
	return true
}

// ends returns where an envelope that begins somewhere could end, by the lengths that
// stand behind magics of different length: of one payload, or of two.
func ends(data []byte, at int) []int {
	var out []int
	for n := at + len(begins) + 1; n <= at+longestMagic && n+Header <= len(data); n++ {
		if binary.LittleEndian.Uint32(data[n:]) > 1<<16 {
			continue // no version
		}
		first := binary.LittleEndian.Uint64(data[n+4:])
		if first > uint64(len(data)) {
			continue
		}
		lengths := []uint64{uint64(n+Header) + first}
		if n+Header+8 <= len(data) {
			if second := binary.LittleEndian.Uint64(data[n+Header:]); second <= uint64(len(data)) {
				lengths = append(lengths, uint64(n+Header+8)+first+second)
			}
		}
		for _, end := range lengths {
			if end += sha256.Size; end <= uint64(len(data)) {
				out = append(out, int(end))
			}
		}
	}
	return out
}
