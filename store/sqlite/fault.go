package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// fault gives an error its kind and its remedy. Errors of Penumbra that come
// from within stay as they are.
func (s *Store) fault(what string, err error) error {
	if errors.As(err, new(*penumbra.Error)) {
		return err
	}
	e := &penumbra.Error{Kind: penumbra.Internal, What: fmt.Sprintf("%s in store %s", what, s.path), Err: err}
	var sqliteErr *driver.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Kind = penumbra.Unavailable
	case errors.Is(err, stored.ErrDamaged):
		e.Kind = penumbra.Damaged
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		e.Kind = penumbra.Full
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Kind = penumbra.Refused
	case errors.As(err, &sqliteErr):
		e.Kind = kindOf(sqliteErr.Code())
	}
	e.Remedy = remedies[e.Kind]
	return e
}

// kindOf maps SQLite's extended result codes.
func kindOf(code int) penumbra.ErrorKind {
	switch code {
	case lib.SQLITE_IOERR_WRITE, lib.SQLITE_IOERR_SHMSIZE, lib.SQLITE_IOERR_TRUNCATE:
		// SQLite reports a full disk as SQLITE_FULL only where the system says
		// ENOSPC; a quota or a limit of the file size arrives like this.
		return penumbra.Full
	case lib.SQLITE_IOERR_SHORT_READ, lib.SQLITE_IOERR_CORRUPTFS, lib.SQLITE_IOERR_DATA:
		return penumbra.Damaged
	}
	switch code & 0xff {
	case lib.SQLITE_FULL:
		return penumbra.Full
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return penumbra.Locked
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return penumbra.Damaged
	case lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_CANTOPEN:
		return penumbra.Refused
	case lib.SQLITE_INTERRUPT:
		return penumbra.Unavailable
	default:
		return penumbra.Internal
	}
}

var remedies = map[penumbra.ErrorKind]string{
	penumbra.Full:    "make room on its disk, or raise the quota or the limit of file sizes, and try again: nothing of this was stored",
	penumbra.Locked:  "another process is writing to it: wait for it, or stop it",
	penumbra.Damaged: "stop every process that uses it, then restore the file from a backup; `sqlite3 FILE .recover` saves what can still be read",
	penumbra.Refused: "give the user that runs Penumbra the right to read and write the file and its folder; one that was opened to read takes nothing",
}
