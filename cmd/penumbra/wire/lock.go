package wire

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/penumbra-iac/penumbra"
)

// LockData makes this process the only one that works on the data directory.
func LockData(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "make the data directory " + dir, Remedy: "choose another with --data", Err: err}
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	got, err := lock.TryLock()
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "lock the data directory " + dir, Remedy: "check its permissions", Err: err}
	}
	if !got {
		return nil, &penumbra.Error{Kind: penumbra.Locked, What: "another penumbra works on " + dir, Remedy: "wait until it has ended, or start `penumbra serve`, which many can ask at once"}
	}
	return lock, nil
}
