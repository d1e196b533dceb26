package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/penumbra-iac/penumbra"
)

// Hashing is what a hash by Argon2id costs.
type Hashing struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

// DefaultHashing is above what OWASP's password storage cheat sheet asks for at least
// (19 MiB and 2 passes).
var DefaultHashing = Hashing{Memory: 64 << 10, Passes: 2, Lanes: 1}

const (
	saltBytes = 16
	hashBytes = 32
	// Of passwords, in characters and in bytes.
	leastPassword, mostPassword = 12, 512
	// hashesAtOnce bounds the memory that hashes take: sign-ins beyond it wait.
	hashesAtOnce = 4
)

// checkPassword returns an error of kind Invalid if a password is none to be had. It
// asks for length alone, as NIST SP 800-63B does.
func checkPassword(name, password string) error {
	switch {
	case utf8.RuneCountInString(password) < leastPassword:
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the password is shorter than %d characters", leastPassword), Remedy: "take a longer one: a few words will do"}
	case len(password) > mostPassword:
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("the password is longer than %d bytes", mostPassword), Remedy: "take a shorter one"}
	case !utf8.ValidString(password):
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the password is not UTF-8", Remedy: "type it again"}
	case strings.Contains(penumbra.FoldName(password), penumbra.FoldName(name)) && len(password) < 2*len(name)+leastPassword:
		return &penumbra.Error{Kind: penumbra.Invalid, What: "the password is little more than the name", Remedy: "take another: a few words will do"}
	}
	return nil
}

// hasher makes and checks hashes, a few at once.
type hasher struct {
	cost  Hashing
	slots chan struct{}
	// nobody is the hash of a password that nobody has: who is not there is checked
	// against it, so that it takes as long.
	nobody string
}

func newHasher(cost Hashing) *hasher {
	if cost == (Hashing{}) {
		cost = DefaultHashing
	}
	h := &hasher{cost: cost, slots: make(chan struct{}, hashesAtOnce)}
	salt := make([]byte, saltBytes+hashBytes)
	_, _ = rand.Read(salt) // never fails
	h.nobody = encodeHash(cost, salt[:saltBytes], salt[saltBytes:])
	return h
}

// hold waits for a slot.
func (h *hasher) hold(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &penumbra.Error{Kind: penumbra.Unavailable, What: "check the password: others are being checked", Remedy: "try again in a moment", Err: ctx.Err()}
	}
}

// hash returns a password's hash in the PHC string format.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.hold(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	return encodeHash(h.cost, salt, argon2.IDKey([]byte(password), salt, h.cost.Passes, h.cost.Memory, h.cost.Lanes, hashBytes)), nil
}

// check reports whether a password is that of a hash, and whether the hash was made
// at another cost than today's. "" is a hash of nobody.
func (h *hasher) check(ctx context.Context, hash, password string) (ok, old bool, err error) {
	known := hash != ""
	if !known {
		hash = h.nobody
	}
	cost, salt, want, err := decodeHash(hash)
	if err != nil {
		return false, false, err
	}
	if err := h.hold(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-h.slots }()
	got := argon2.IDKey([]byte(password), salt, cost.Passes, cost.Memory, cost.Lanes, uint32(len(want)))
	same := subtle.ConstantTimeCompare(got, want) == 1
	return same && known, cost != h.cost || len(want) != hashBytes, nil
}

func encodeHash(cost Hashing, salt, hash []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, cost.Memory, cost.Passes, cost.Lanes, b64.EncodeToString(salt), b64.EncodeToString(hash))
}

// mostMemory bounds what a stored hash can make a sign-in take, in KiB.
const mostMemory = 1 << 20

func decodeHash(text string) (cost Hashing, salt, hash []byte, err error) {
	damaged := func() (Hashing, []byte, []byte, error) {
		return Hashing{}, nil, nil, &penumbra.Error{Kind: penumbra.Damaged, What: "the stored hash of the password cannot be read", Remedy: "set a new password with `penumbra user passwd`"}
	}
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return damaged()
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &cost.Memory, &cost.Passes, &cost.Lanes); err != nil {
		return damaged()
	}
	var bad, worse error
	salt, bad = base64.RawStdEncoding.DecodeString(parts[4])
	hash, worse = base64.RawStdEncoding.DecodeString(parts[5])
	if bad != nil || worse != nil || len(salt) < 8 || len(hash) < 16 || cost.Passes == 0 || cost.Passes > 64 || cost.Lanes == 0 || cost.Memory > mostMemory {
		return damaged()
	}
	return cost, salt, hash, nil
}
