package penumbra

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"regexp"
)

// Key makes keyed hashes of sensitive values. The same value under the same
// key gives the same hash, so that a change shows and the value does not.
//
// A key that was rotated has a line for each key, the newest first. A value is hashed
// under the oldest, that hash under the next, and so on: what was hashed before the
// rotation is brought up to date without its value, see [Key.Reseal]. Whoever has the
// older keys and not the newest can try no value.
type Key []byte

// line returns the newest key and those before it, nil for a key of one line.
func (k Key) line() (newest, before Key) {
	if i := bytes.IndexByte(k, '\n'); i >= 0 {
		return k[:i], k[i+1:]
	}
	return k, nil
}

// Seal returns the secret that stands for v: HMAC-SHA-256 over the kind and
// the text, cut to 128 bits. Null, unknown and secret values stay as they are.
func (k Key) Seal(v Value) Value {
	switch v.kind {
	case NullKind, UnknownKind, SecretKind:
		return v
	}
	digest := k.digest(v)
	return Value{SecretKind, SecretPrefix + string(digest[:])}
}

func (k Key) digest(v Value) (out [digestLength]byte) {
	newest, before := k.line()
	if before != nil {
		out = before.digest(v)
		newest.renew(out[:])
		return out
	}
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte{byte(v.kind), 0})
	mac.Write([]byte(v.text))
	hex.Encode(out[:], mac.Sum(nil)[:digestLength/2])
	return out
}

// Short returns 12 digits that stand for v in a path, where the whole hash is too much.
func (k Key) Short(v Value) string {
	newest, before := k.line()
	if before == nil {
		digest := k.digest(v)
		return string(digest[:shortLength])
	}
	out := []byte(before.Short(v))
	newest.renew(out)
	return string(out)
}

const (
	digestLength = 32 // hexadecimal digits of a hash
	shortLength  = 12 // and of what Short returns
)

// renew hashes digits of a hash, in place.
func (k Key) renew(digits []byte) {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte("penumbra hash of a hash\x00"))
	mac.Write(digits)
	hex.Encode(digits, mac.Sum(nil)[:len(digits)/2])
}

// ID names the newest key by 8 digits that tell nothing of it.
func (k Key) ID() string {
	newest, _ := k.line()
	sum := sha256.Sum256(append([]byte("penumbra hash key name\n"), newest...))
	return hex.EncodeToString(sum[:4])
}

// Since returns the keys that came after the one of an ID, nil if that is the newest.
// ok is false if it is none of them.
func (k Key) Since(id string) (later []Key, ok bool) {
	for rest := k; rest != nil; {
		if rest.ID() == id {
			return later, true
		}
		newest, before := rest.line()
		later, rest = append([]Key{newest}, later...), before
	}
	return nil, false
}

// Oldest is the ID of the key that everything was hashed under before any rotation.
func (k Key) Oldest() string {
	for {
		_, before := k.line()
		if before == nil {
			return k.ID()
		}
		k = before
	}
}

// hashes are the forms in which hashes stand in what is stored: as a text, and short in
// the paths of edits, of members of sets, and behind the beginnings of long texts. The
// digits are group 1. What is around them may be any byte of a binary format.
var hashes = []*regexp.Regexp{
	regexp.MustCompile(SecretPrefix + `([0-9a-f]{32})`),
	regexp.MustCompile(`(?:lineinfile|blockinfile|replace|ini_file)\.([0-9a-f]{12})`),
	regexp.MustCompile(ShortPrefix + `([0-9a-f]{12})`),
	regexp.MustCompile(`…#([0-9a-f]{12})`),
}

// longer matches the rest of a digest that is longer than those that are made here. A
// digit or two may be bytes of a binary format.
var longer = regexp.MustCompile(`^[0-9a-f]{4}`)

// ShortPrefix stands before what Short returns where nothing else tells what it is.
const ShortPrefix = "sealed-"

// binaryHash matches the base64 of a secret's binary form, 45 bytes.
var binaryHash = regexp.MustCompile(regexp.QuoteMeta(base64.StdEncoding.EncodeToString(append([]byte{byte(SecretKind)}, SecretPrefix[:11]...))) + `[0-9A-Za-z+/]{44}`)

// Reseal brings the hashes in data up to date, in place, from those of before k was the
// newest key to those of k, which is a key of one line. It reports whether there were any.
func (k Key) Reseal(data []byte) bool {
	found := false
	for _, form := range hashes {
		for _, m := range form.FindAllSubmatchIndex(data, -1) {
			if !longer.Match(data[m[3]:]) {
				k.renew(data[m[2]:m[3]])
				found = true
			}
		}
	}
	for _, m := range binaryHash.FindAllIndex(data, -1) {
		var raw [1 + len(SecretPrefix) + digestLength]byte
		if n, err := base64.StdEncoding.Decode(raw[:], data[m[0]:m[1]]); err != nil || n != len(raw) {
			continue
		}
		if _, ok := Secret(string(raw[1:])); ok {
			k.renew(raw[1+len(SecretPrefix):])
			base64.StdEncoding.Encode(data[m[0]:m[1]], raw[:])
			found = true
		}
	}
	return found
}
