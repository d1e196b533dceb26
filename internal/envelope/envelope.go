// Package envelope is what every checkpoint is wrapped in: the bytes that name
// what it is, its version (4 bytes) and the length of the payload (8 bytes, both
// little-endian), the payload, and the SHA-256 of all before it. Encode and Decode
// are for payloads in CBOR.
package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Header is how many bytes there are between the magic and the payload.
const Header = 4 + 8

// Seal returns the payload in its envelope.
func Seal(magic string, version uint32, payload []byte) []byte {
	data := make([]byte, 0, len(magic)+Header+len(payload)+sha256.Size)
	data = append(data, magic...)
	data = binary.LittleEndian.AppendUint32(data, version)
	data = binary.LittleEndian.AppendUint64(data, uint64(len(payload)))
	data = append(data, payload...)
	sum := sha256.Sum256(data)
	return append(data, sum[:]...)
}

// Open returns the payload, which shares data's memory. It returns an error that
// says what is wrong if the data is not a whole envelope of that magic and
// version.
func Open(magic string, version uint32, data []byte) ([]byte, error) {
	begin := len(magic) + Header
	if len(data) < begin+sha256.Size || string(data[:len(magic)]) != magic {
		return nil, fmt.Errorf("it does not begin with %q", magic)
	}
	head := data[len(magic):]
	if v := binary.LittleEndian.Uint32(head); v != version {
		return nil, fmt.Errorf("it has version %d, this program knows %d", v, version)
	}
	body, sum := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if binary.LittleEndian.Uint64(head[4:]) != uint64(len(body)-begin) {
		return nil, fmt.Errorf("it is cut short")
	}
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("the checksum does not match")
	}
	return body[begin:], nil
}
