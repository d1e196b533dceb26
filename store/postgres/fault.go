package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// fault gives an error its kind and its remedy. Errors of Penumbra that come from
// within stay as they are.
func (s *Store) fault(what string, err error) error {
	if errors.As(err, new(*penumbra.Error)) {
		return err
	}
	e := &penumbra.Error{Kind: penumbra.Internal, What: fmt.Sprintf("%s in store %s", what, s.where), Err: err}
	var answered *pgconn.PgError
	var connecting *pgconn.ConnectError
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Kind = penumbra.Unavailable
	case errors.Is(err, stored.ErrDamaged):
		e.Kind = penumbra.Damaged
	case errors.As(err, &answered):
		e.Kind = kindOf(answered.Code)
	case errors.As(err, &connecting), errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, net.ErrClosed), strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "closed pool"):
		e.Kind = penumbra.Unavailable
	}
	e.Remedy = remedies[e.Kind]
	return e
}

// kindOf maps PostgreSQL's error codes (its documentation, appendix A).
func kindOf(code string) penumbra.ErrorKind {
	switch code {
	case "53100": // disk_full
		return penumbra.Full
	case "55P03": // lock_not_available
		return penumbra.Locked
	case "25006", "42501": // read_only_sql_transaction, insufficient_privilege
		return penumbra.Refused
	case "3D000", "3F000": // invalid_catalog_name, invalid_schema_name
		return penumbra.Invalid
	case "40001", "40P01": // serialization_failure, deadlock_detected: several times over
		return penumbra.Unavailable
	}
	if len(code) < 2 {
		return penumbra.Internal
	}
	switch code[:2] {
	case "08", "53", "57": // connection, resources, an operator's intervention
		return penumbra.Unavailable
	case "28": // authentication
		return penumbra.Refused
	case "58": // system error
		return penumbra.Unavailable
	case "XX":
		if code == "XX001" || code == "XX002" { // data_corrupted, index_corrupted
			return penumbra.Damaged
		}
	}
	return penumbra.Internal
}

var remedies = map[penumbra.ErrorKind]string{
	penumbra.Full:        "make room on the disk of the PostgreSQL server, and try again: nothing of this was stored",
	penumbra.Locked:      "another process holds what this needs: wait for it, or look for it in pg_stat_activity",
	penumbra.Damaged:     "stop every process that uses it, then restore the database from a backup",
	penumbra.Refused:     "give the role that Penumbra connects as its password (docs/storage.md), and the right to use and create in its schema; one that was opened to read takes nothing",
	penumbra.Unavailable: "see that the PostgreSQL server runs and can be reached; what was not acknowledged can be tried again",
	penumbra.Invalid:     "make the database that `store` names, as docs/storage.md says",
}

// again reports whether a transaction was rolled back for the sake of another one, and
// may do better the next time.
func again(err error) bool {
	var answered *pgconn.PgError
	return errors.As(err, &answered) && (answered.Code == "40001" || answered.Code == "40P01")
}
