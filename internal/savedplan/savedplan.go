// Package savedplan answers: where are the plans of a stack kept between their
// approval and their apply? Adapters use it.
//
// It guarantees that only their owner can read them, that they lie encrypted but while
// a tool works with them, that one which is opened is the one that was approved, and
// that none outlives a week.
package savedplan

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/codepatch"
)

// Keep is how long a saved plan stays. One that nobody applied for that long is
// not the world's any more.
const Keep = 7 * 24 * time.Hour

// Folder is the data folder of a stack, with its plans below.
type Folder struct {
	Stack string
	Data  string // absolute
	Now   func() time.Time
	// Cipher encrypts what lies there; nil leaves it as the tools wrote it.
	Cipher Cipher
}

// Cipher encrypts under a label, which has to be given again to decrypt. Decrypt
// returns what was never encrypted as it is.
type Cipher interface {
	Encrypt(label string, plain []byte) ([]byte, error)
	Decrypt(label string, data []byte) ([]byte, error)
}

// Plans returns the folder of the plans.
func (f Folder) Plans() string { return filepath.Join(f.Data, "plans") }

// New makes an empty file in the folder of plans that only its owner can read,
// and removes plans that are too old to be applied. It returns an error of kind
// Full if it cannot.
func (f Folder) New() (string, error) {
	err := f.make()
	if err == nil {
		var file *os.File
		if file, err = os.CreateTemp(f.Plans(), f.Stack+"-*.plan"); err == nil {
			return file.Name(), file.Close()
		}
	}
	return "", &penumbra.Error{Kind: penumbra.Full, What: "save a plan", Err: err, Remedy: "make room in the data folder"}
}

// make sees that the folder is there, without what is too old.
func (f Folder) make() error {
	err := os.MkdirAll(f.Plans(), 0o700)
	if err == nil {
		f.prune()
	}
	return err
}

// abandoned is after which time what a tool worked with is taken for left behind: by a
// Penumbra that was killed, whose tool has ended since.
const abandoned = 24 * time.Hour

// prune removes what is too old from the folder of plans, and folders that a
// process which was killed left behind; what such a process left readable is
// encrypted.
func (f Folder) prune() {
	older := func(path string, than time.Duration) bool {
		info, err := os.Lstat(path)
		return err == nil && f.Now().Sub(info.ModTime()) > than
	}
	for pattern, keep := range map[string]time.Duration{"plans/*": Keep, "read-*": Keep, "scratch-*": Keep, "open-*": abandoned} {
		paths, _ := filepath.Glob(filepath.Join(f.Data, pattern))
		for _, path := range paths {
			if older(path, keep) {
				os.RemoveAll(path)
			}
		}
	}
	for _, pattern := range [...]string{"*.plan", "*.log", "*.back/*"} {
		paths, _ := filepath.Glob(filepath.Join(f.Plans(), pattern))
		for _, path := range paths {
			if older(path, abandoned) {
				_ = f.Lock(path) // tried again with the next plan
			}
		}
	}
}

// label is what a file below the folder of plans is encrypted under: one put in the
// place of another is not read.
func (f Folder) label(path string) string {
	rel, err := filepath.Rel(f.Plans(), path)
	if err != nil {
		rel = filepath.Base(path)
	}
	return "plan " + f.Stack + " " + filepath.ToSlash(rel)
}

// Lock encrypts files in place, once the tool has written them. One that is encrypted
// already stays as it is. It keeps their times.
func (f Folder) Lock(paths ...string) error { return f.rewrite(paths, true) }

// Unlock decrypts files in place for a tool that needs them where they are; lock
// encrypts them again.
func (f Folder) Unlock(paths ...string) (lock func() error, err error) {
	lock = func() error { return f.Lock(paths...) }
	if err := f.rewrite(paths, false); err != nil {
		return nil, errors.Join(err, lock())
	}
	return lock, nil
}

func (f Folder) rewrite(paths []string, encrypt bool) error {
	if f.Cipher == nil {
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return full("look at what is kept", err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return full("read what is kept", err)
		}
		was := data
		data, err = f.Cipher.Decrypt(f.label(path), data)
		if err != nil {
			return err
		}
		if encrypt {
			if !bytes.Equal(was, data) {
				continue
			}
			if data, err = f.Cipher.Encrypt(f.label(path), data); err != nil {
				return err
			}
		}
		if err := renameio.WriteFile(path, data, 0o600, renameio.IgnoreUmask()); err != nil {
			return full("write what is kept", err)
		}
		_ = os.Chtimes(path, info.ModTime(), info.ModTime())
	}
	return nil
}

func full(what string, err error) error {
	return &penumbra.Error{Kind: penumbra.Full, What: what, Err: Pathless(err), Remedy: "make room in the data folder"}
}

// HashFile returns the SHA-256 of what a file says, decrypted, in hexadecimal.
func (f Folder) HashFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil && f.Cipher != nil {
		data, err = f.Cipher.Decrypt(f.label(path), data)
	}
	if err != nil {
		return "", err
	}
	return codepatch.HashText(string(data)), nil
}

// Path returns where a saved plan lies, encrypted. The error is of kind Refused for
// what is no plan of this stack.
func (f Folder) Path(p penumbra.Plan) (string, error) {
	if p.Stack != f.Stack || p.File == "" || p.File != filepath.Base(p.File) || strings.HasPrefix(p.File, ".") {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%q is not a saved plan of stack %s", p.File, f.Stack), Remedy: "plan again"}
	}
	return filepath.Join(f.Plans(), p.File), nil
}

// Read returns a saved plan after checking that it is still the one that was approved.
// It returns an error of kind Refused for what is no plan of this stack, Stale for one
// that is gone or another, and what the cipher says of one that cannot be decrypted.
func (f Folder) Read(p penumbra.Plan) ([]byte, error) {
	_, data, err := f.load(p)
	return data, err
}

// load is Read with the file as it lies beside what it says.
func (f Folder) load(p penumbra.Plan) (lies, says []byte, err error) {
	file, err := f.Path(p)
	if err != nil {
		return nil, nil, err
	}
	lies, err = os.ReadFile(file)
	if err != nil {
		return nil, nil, &penumbra.Error{Kind: penumbra.Stale, What: "the plan is no longer saved", Err: Pathless(err), Remedy: "plan again"}
	}
	says = lies
	if f.Cipher != nil {
		if says, err = f.Cipher.Decrypt(f.label(file), lies); err != nil {
			return nil, nil, err
		}
	}
	if codepatch.HashText(string(says)) != p.Hash {
		return nil, nil, &penumbra.Error{Kind: penumbra.Stale, What: "the saved plan is not the one that was approved", Remedy: "plan again and decide again"}
	}
	return lies, says, nil
}

// Take returns a saved plan as it lies, encrypted, for another machine that has the keys,
// and removes it here. Errors are those of [Folder.Read], and of kind Full if it cannot be
// removed.
func (f Folder) Take(p penumbra.Plan) ([]byte, error) {
	lies, _, err := f.load(p)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(f.Plans(), p.File)); err != nil {
		return nil, full("hand over a saved plan", err)
	}
	return lies, nil
}

// Keep saves what [Folder.Take] returned on another machine under the same name. Errors are
// those of [Folder.Read], of kind Damaged for what is not encrypted though it has to be, and
// Full if it cannot be saved.
func (f Folder) Keep(p penumbra.Plan, data []byte) error {
	file, err := f.Path(p)
	if err != nil {
		return err
	}
	plain := data
	if f.Cipher != nil {
		if plain, err = f.Cipher.Decrypt(f.label(file), data); err != nil {
			return err
		}
		if bytes.Equal(plain, data) { // whoever can write it anywhere has not these keys
			return &penumbra.Error{Kind: penumbra.Damaged, What: "what another machine has saved is not encrypted", Remedy: "plan again"}
		}
	}
	if codepatch.HashText(string(plain)) != p.Hash {
		return &penumbra.Error{Kind: penumbra.Stale, What: "what another machine has saved is not its plan", Remedy: "plan again"}
	}
	err = f.make()
	if err == nil {
		var made *os.File
		if made, err = os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600); err == nil { // no other plan is replaced
			err = made.Close()
		}
	}
	if err == nil {
		err = renameio.WriteFile(file, data, 0o600, renameio.IgnoreUmask())
	}
	if err != nil {
		return full("save a plan", err)
	}
	return nil
}

// Open is Read for a tool that needs a file: the path is of a copy that its owner alone
// can read, and close removes it.
func (f Folder) Open(p penumbra.Plan) (path string, close func(), err error) {
	data, err := f.Read(p)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp(f.Data, "open-")
	if err != nil {
		return "", nil, full("open a saved plan", err)
	}
	close = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, p.File)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		close()
		return "", nil, full("open a saved plan", err)
	}
	return path, close, nil
}

// Pathless drops the path from an error of a file that the user never named.
func Pathless(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}
