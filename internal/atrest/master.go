package atrest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
)

// Master is what opens a keyring: age identities, the current one first and those
// before it, of which one at least is needed.
type Master struct {
	identities []*age.X25519Identity
	from       string // where they come from, in words
	file       string // "" if they are not from a file
}

// MasterFrom reads identities as `age-keygen` writes them, a line each.
func MasterFrom(text, from string) (Master, error) {
	m := Master{from: from}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := age.ParseX25519Identity(line)
		if err != nil {
			// The error may have the line in it.
			return m, &penumbra.Error{Kind: penumbra.Invalid, What: from + " has a line that is no key", Remedy: "write lines AGE-SECRET-KEY-1…, as `penumbra key new` and `age-keygen` make them"}
		}
		m.identities = append(m.identities, id)
	}
	if len(m.identities) == 0 {
		return m, &penumbra.Error{Kind: penumbra.Missing, What: from + " has no key", Remedy: "make one with `penumbra key new`"}
	}
	return m, nil
}

// MasterFile reads the master key of a file. If it is not there and make is true it is
// made, for its owner alone; otherwise the error is of kind Missing.
func MasterFile(path string, make bool) (Master, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && make {
		line, err := NewMaster()
		if err != nil {
			return Master{}, err
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, err = f.WriteString(line + "\n")
			err = errors.Join(err, f.Sync(), f.Close())
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return Master{}, &penumbra.Error{Kind: penumbra.Full, What: "write the master key " + path, Err: err, Remedy: "make room in the data directory"}
		}
		return MasterFile(path, false)
	}
	if err != nil {
		kind := penumbra.Refused
		if errors.Is(err, fs.ErrNotExist) {
			kind = penumbra.Missing
		}
		return Master{}, &penumbra.Error{Kind: kind, What: "read the master key " + path, Err: err, Remedy: "restore the file, or name another in PENUMBRA_MASTER_KEY_FILE; what is encrypted was left as it is"}
	}
	m, err := MasterFrom(string(text), path)
	m.file = path
	return m, err
}

// NewMaster returns a new identity as a line of text.
func NewMaster() (string, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// Renew puts a new identity before those of the master's file and returns the master
// that has it. One that is not from a file is the owner's to renew: the error is of kind
// Refused.
func (m Master) Renew() (Master, error) {
	if m.file == "" {
		return m, &penumbra.Error{Kind: penumbra.Refused, What: "the master key comes from " + m.from, Remedy: "put a new key, from `penumbra key new`, before the old one there, and rotate again with --data-only"}
	}
	line, err := NewMaster()
	if err != nil {
		return m, err
	}
	lines := []string{line}
	for _, id := range m.identities {
		lines = append(lines, id.String())
	}
	return m.write(lines)
}

// Forget drops all identities but the current one from the master's file.
func (m Master) Forget() (Master, error) {
	if m.file == "" || len(m.identities) == 1 {
		return m, nil
	}
	return m.write([]string{m.identities[0].String()})
}

func (m Master) write(lines []string) (Master, error) {
	text := strings.Join(lines, "\n") + "\n"
	if err := renameio.WriteFile(m.file, []byte(text), 0o600, renameio.IgnoreUmask()); err != nil {
		return m, &penumbra.Error{Kind: penumbra.Full, What: "write the master key " + m.file, Err: err, Remedy: "make room; the old key was left as it is"}
	}
	return MasterFile(m.file, false)
}

// String says what the master is, and nothing of the keys.
func (m Master) String() string { return fmt.Sprintf("%d of %s", len(m.identities), m.from) }

// GoString is for %#v.
func (m Master) GoString() string { return m.String() }

// Seal encrypts for who has the master key, as age does, under its first line.
func (m Master) Seal(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, m.identities[0].Recipient())
	if err == nil {
		_, err = w.Write(plain)
		err = errors.Join(err, w.Close())
	}
	return b.Bytes(), err
}

// Open decrypts what [Master.Seal] made. The error is of kind Refused if that was
// another master key, and of kind Damaged if what is given is not whole.
func (m Master) Open(sealed []byte) ([]byte, error) {
	identities := make([]age.Identity, len(m.identities))
	for i, id := range m.identities {
		identities[i] = id
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), identities...)
	if no := new(age.NoIdentityMatchError); errors.As(err, &no) {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "the master key of " + m.from + " is another one", Remedy: "give all nodes the same, the older ones too if it was rotated", Err: err}
	}
	if err == nil {
		var plain []byte
		if plain, err = io.ReadAll(r); err == nil {
			return plain, nil
		}
	}
	return nil, &penumbra.Error{Kind: penumbra.Damaged, What: "what is encrypted under the master key is not whole", Err: err}
}
