// Package atrest answers: how does what Penumbra keeps, and what may hold secrets
// though they were redacted, lie on the disk? Plans, copies of files for the way back
// and logs of runs go through a [Keyring]: AES-256-GCM under a data key, the data keys
// wrapped with age (filippo.io/age) under a master key.
//
// It guarantees that what was encrypted stays readable over every rotation, that a
// changed byte is an error and never another text, and that a keyring which cannot be
// opened is left as it is.
package atrest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
)

// magic starts what is encrypted, before 4 bytes of the data key's number, big
// endian, 12 of the nonce, and the ciphertext with its tag.
const magic = "pnbr\x00e1\n"

// textMagic starts an encrypted text, before the same in base64.
const textMagic = "pnbr-e1:"

// Keyring has the data keys. Safe for concurrent use, by processes too: one that
// meets a key that it does not know reads the file again.
type Keyring struct {
	path   string
	master Master

	mu   sync.RWMutex
	keys []dataKey // the newest last
}

type dataKey struct {
	ID      uint32    `json:"id"` // counts from 1
	Key     []byte    `json:"key"`
	Created time.Time `json:"created"`
}

// Open reads the keyring at path, and makes one with a first data key if it is not
// there. The error is of kind Missing if the master key is, of kind Refused if the
// master key is another one, and of kind Damaged if the file is.
func Open(path string, master Master, now func() time.Time) (*Keyring, error) {
	k := &Keyring{path: path, master: master}
	err := k.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, k.failed("make", penumbra.Full, err, "make room, or choose another data directory")
	}
	sealed, err := k.wrap([]dataKey{newDataKey(1, now())}, master.identities[:1])
	if err != nil {
		return nil, err
	}
	// Two processes may be first at once: the file that is there stays.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return k, k.read()
	}
	if err == nil {
		_, err = f.Write(sealed)
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return nil, k.failed("write", penumbra.Full, err, "make room in the data directory")
	}
	return k, k.read()
}

func newDataKey(id uint32, at time.Time) dataKey {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return dataKey{ID: id, Key: key, Created: at.UTC()}
}

func (k *Keyring) failed(verb string, kind penumbra.ErrorKind, err error, remedy string) error {
	return &penumbra.Error{Kind: kind, What: verb + " the keyring " + k.path, Err: err, Remedy: remedy}
}

func (k *Keyring) read() error {
	data, err := os.ReadFile(k.path)
	if err != nil {
		return err
	}
	const restore = "restore the file from a backup; without it the saved plans and the logs of runs that it is for cannot be read, all else can"
	identities := make([]age.Identity, len(k.master.identities))
	for i, id := range k.master.identities {
		identities[i] = id
	}
	r, err := age.Decrypt(bytes.NewReader(data), identities...)
	if no := new(age.NoIdentityMatchError); errors.As(err, &no) {
		return k.failed("open", penumbra.Refused, errors.New("the master key is not the one that it was made with"), "give the right one in "+k.master.from+", the older ones too if it was rotated; the keyring was left as it is")
	}
	if err != nil {
		return k.failed("open", penumbra.Damaged, err, restore)
	}
	plain, err := io.ReadAll(io.LimitReader(r, 16<<20))
	var keys []dataKey
	if err == nil {
		err = json.Unmarshal(plain, &keys)
	}
	for _, key := range keys {
		if len(key.Key) != 32 {
			err = errors.New("a data key is not 32 bytes")
		}
	}
	if err != nil || len(keys) == 0 {
		return k.failed("read", penumbra.Damaged, err, restore)
	}
	k.mu.Lock()
	k.keys = keys
	k.mu.Unlock()
	return nil
}

func (k *Keyring) wrap(keys []dataKey, to []*age.X25519Identity) ([]byte, error) {
	plain, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	var recipients []age.Recipient
	for _, id := range to {
		recipients = append(recipients, id.Recipient())
	}
	w, err := age.Encrypt(&b, recipients...)
	if err == nil {
		_, err = w.Write(plain)
		err = errors.Join(err, w.Close())
	}
	return b.Bytes(), err
}

// Rotate adds a data key, which everything from now on is encrypted with, and wraps
// the keyring under the master's first key alone, so that the others can be thrown
// away. It returns the number of the new data key.
func (k *Keyring) Rotate(now time.Time) (uint32, error) {
	k.mu.RLock()
	keys := append([]dataKey(nil), k.keys...)
	k.mu.RUnlock()
	next := newDataKey(keys[len(keys)-1].ID+1, now)
	sealed, err := k.wrap(append(keys, next), k.master.identities[:1])
	if err != nil {
		return 0, err
	}
	if err := renameio.WriteFile(k.path, sealed, 0o600, renameio.IgnoreUmask()); err != nil {
		return 0, k.failed("write", penumbra.Full, err, "make room in the data directory; the keyring was left as it is")
	}
	return next.ID, k.read()
}

// find returns the data key of a number, 0 for the newest.
func (k *Keyring) find(id uint32) (dataKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if id == 0 {
		return k.keys[len(k.keys)-1], true
	}
	for _, key := range k.keys {
		if key.ID == id {
			return key, true
		}
	}
	return dataKey{}, false
}

// aead returns the cipher of a data key, and the key that its nonces are made with.
func (d dataKey) aead() (cipher.AEAD, []byte, error) {
	enc, err := hkdf.Key(sha256.New, d.Key, nil, "penumbra at rest: content", 32)
	if err != nil {
		return nil, nil, err
	}
	nonces, err := hkdf.Key(sha256.New, d.Key, nil, "penumbra at rest: nonces", 32)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, nil, err
	}
	a, err := cipher.NewGCM(block)
	return a, nonces, err
}

// Encrypt encrypts what is kept under a label, such as a run's ID: it is read under
// the same label only. The nonce is made of label and content under a key of its own,
// so that the same content gives the same bytes (a store can tell that nothing has
// changed) and another never the same nonce but by a collision of 96 bits.
func (k *Keyring) Encrypt(label string, plain []byte) ([]byte, error) {
	key, _ := k.find(0)
	a, nonces, err := key.aead()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, nonces)
	fmt.Fprintf(mac, "%d %s", len(label), label)
	mac.Write(plain)
	nonce := mac.Sum(nil)[:a.NonceSize()]
	out := binary.BigEndian.AppendUint32([]byte(magic), key.ID)
	out = append(out, nonce...)
	return a.Seal(out, nonce, plain, []byte(label)), nil
}

// IsEncrypted reports whether data is what [Keyring.Encrypt] makes.
func IsEncrypted(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }

// Decrypt is the reverse of [Keyring.Encrypt]. What was kept before there was a
// keyring is returned as it is. The error is of kind Missing if the data key is not in
// the keyring, and of kind Damaged if the data was changed or is of another label.
func (k *Keyring) Decrypt(label string, data []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return data, nil
	}
	damaged := func(err error) error {
		return &penumbra.Error{Kind: penumbra.Damaged, What: "decrypt what is kept as " + label, Err: err, Remedy: "restore it from a backup; nothing was changed"}
	}
	if len(rest) < 4+12 {
		return nil, damaged(errors.New("it is cut short"))
	}
	id := binary.BigEndian.Uint32(rest)
	key, ok := k.find(id)
	if !ok { // another process may have rotated
		if err := k.read(); err != nil {
			return nil, err
		}
		if key, ok = k.find(id); !ok {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: fmt.Sprintf("decrypt what is kept as %s: data key %d is not in %s", label, id, k.path), Remedy: "restore the keyring from a backup; nothing was changed"}
		}
	}
	a, _, err := key.aead()
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, rest[4:4+a.NonceSize()], rest[4+a.NonceSize():], []byte(label))
	if err != nil {
		return nil, damaged(err)
	}
	return plain, nil
}

// EncryptText is Encrypt for a field of a document that is a text; "" stays.
func (k *Keyring) EncryptText(label, plain string) (string, error) {
	if plain == "" || strings.HasPrefix(plain, textMagic) {
		return plain, nil
	}
	data, err := k.Encrypt(label, []byte(plain))
	return textMagic + base64.RawStdEncoding.EncodeToString(data), err
}

// DecryptText is the reverse of [Keyring.EncryptText].
func (k *Keyring) DecryptText(label, text string) (string, error) {
	rest, ok := strings.CutPrefix(text, textMagic)
	if !ok {
		return text, nil
	}
	data, err := base64.RawStdEncoding.DecodeString(rest)
	if err != nil || !IsEncrypted(data) {
		return "", &penumbra.Error{Kind: penumbra.Damaged, What: "decrypt what is kept as " + label, Err: err, Remedy: "restore it from a backup; nothing was changed"}
	}
	plain, err := k.Decrypt(label, data)
	return string(plain), err
}

// Keys returns how many data keys there are, and the number of the newest.
func (k *Keyring) Keys() (n int, newest uint32) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.keys), k.keys[len(k.keys)-1].ID
}
