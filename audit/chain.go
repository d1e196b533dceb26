package audit

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// What hashes begin with.
const (
	plainHash = "sha256:"
	keyedHash = "hmac-sha256:"
)

// encode is what an entry's hash is over. Each text stands behind its length, so
// that no two entries have the same encoding; the first line says which encoding
// it is.
func encode(e *penumbra.AuditEntry) []byte {
	b := []byte("penumbra audit 1\n")
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendVarint(b, e.Sequence)
	b = binary.AppendVarint(b, e.Time.Unix())
	b = binary.AppendVarint(b, int64(e.Time.Nanosecond()))
	for _, s := range []string{
		e.Principal, e.Name, string(e.Kind), e.Via, string(e.Act),
		e.Target.Stack, e.Target.Environment, e.Target.Type, e.Target.ID, string(e.Outcome),
	} {
		text(s)
	}
	b = binary.AppendVarint(b, int64(e.Count))
	b = binary.AppendUvarint(b, uint64(len(e.Details)))
	for _, key := range slices.Sorted(maps.Keys(e.Details)) {
		text(key)
		text(e.Details[key])
	}
	text(e.Previous)
	return b
}

// Keyring holds the keys that entries are hashed with: the first makes new ones,
// all of them check old ones. A nil one hashes without a key, which shows changes
// only to whoever keeps a head elsewhere.
type Keyring struct{ keys []key }

type key struct {
	name   string
	secret []byte
}

// shortestKey is the length in bytes that a key has at least.
const shortestKey = 16

// ReadKeys reads keys, one a line, the one in use first. A key is replaced by
// putting another above it. It returns an error of kind Invalid for a key that is
// too short; where names the place for it.
func ReadKeys(text, where string) (*Keyring, error) {
	r := &Keyring{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case len(line) < shortestKey:
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s: line %d: the key of the audit log is shorter than %d characters", where, n, shortestKey), Remedy: "give a long random text, such as `openssl rand -base64 32` makes"}
		}
		r.keys = append(r.keys, newKey([]byte(line)))
	}
	if err := lines.Err(); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read the keys of the audit log in " + where, Err: err}
	}
	if len(r.keys) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: where + " holds no key of the audit log", Remedy: "put one in, a long random text on a line"}
	}
	return r, nil
}

// newKey names a key by a digest of it that tells nothing of it.
func newKey(secret []byte) key {
	sum := sha256.Sum256(append([]byte("penumbra audit key name\n"), secret...))
	return key{name: hex.EncodeToString(sum[:4]), secret: secret}
}

// seal returns the hash of an entry.
func (r *Keyring) seal(e *penumbra.AuditEntry) string {
	if r == nil || len(r.keys) == 0 {
		return plain(e)
	}
	return r.keys[0].seal(e)
}

func plain(e *penumbra.AuditEntry) string {
	sum := sha256.Sum256(encode(e))
	return plainHash + hex.EncodeToString(sum[:])
}

func (k key) seal(e *penumbra.AuditEntry) string {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write(encode(e))
	return keyedHash + k.name + ":" + hex.EncodeToString(mac.Sum(nil))
}

// checked is what could be said of an entry's hash.
type checked int

const (
	wrong     checked = iota // it is not that of the entry
	right                    // it is, and anybody can make it
	keyed                    // it is, and only who has the key can
	unchecked                // its key is not at hand
)

// check says whether an entry's hash is its own.
func (r *Keyring) check(e *penumbra.AuditEntry) checked {
	if strings.HasPrefix(e.Hash, plainHash) {
		if plain(e) == e.Hash {
			return right
		}
		return wrong
	}
	rest, ok := strings.CutPrefix(e.Hash, keyedHash)
	name, sum, found := strings.Cut(rest, ":")
	if raw, err := hex.DecodeString(sum); !ok || !found || err != nil || len(raw) != sha256.Size {
		return wrong
	}
	if r == nil {
		return unchecked
	}
	for _, k := range r.keys {
		if k.name == name {
			if hmac.Equal([]byte(k.seal(e)), []byte(e.Hash)) {
				return keyed
			}
			return wrong
		}
	}
	return unchecked
}

// isKeyed reports whether an entry says that a key made its hash.
func isKeyed(e *penumbra.AuditEntry) bool { return strings.HasPrefix(e.Hash, keyedHash) }
