package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// AddVersion stores a version of the model under the next number and returns
// it. Bodies of versions that nobody goes back to are given up.
func (s *Store) AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (number int, err error) {
	err = s.write(ctx, "add a version of the model", func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM versions`).Scan(&number); err != nil {
			return err
		}
		v.Number = number
		if err := putVersion(ctx, tx, v); err != nil {
			return err
		}
		if body != nil {
			sum := sha256.Sum256(body)
			if _, err := tx.ExecContext(ctx, `UPDATE versions SET data = ?, checksum = ? WHERE id = ?`, body, sum[:], number); err != nil {
				return err
			}
		}
		return thinVersions(ctx, tx)
	})
	return number, err
}

func putVersion(ctx context.Context, tx *sql.Tx, v penumbra.ModelVersion) error {
	v.Kept, v.Size = false, 0
	return put(ctx, tx, "versions", "id, state, before", v, v.Number, v.State.String(), v.Before)
}

// thinVersions gives up the bodies that need not be kept.
func thinVersions(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE versions SET data = NULL, checksum = NULL
		WHERE data IS NOT NULL AND state <> ?
		AND id NOT IN (SELECT before FROM versions WHERE state = ?)
		AND id NOT IN (SELECT id FROM versions WHERE data IS NOT NULL ORDER BY id DESC LIMIT ?)`,
		penumbra.ActiveVersion.String(), penumbra.ActiveVersion.String(), penumbra.KeptVersions)
	return err
}

// SaveVersions stores new states of stored versions, all or none. It returns an
// error of kind NotFound if one of them is not stored.
func (s *Store) SaveVersions(ctx context.Context, versions []penumbra.ModelVersion) error {
	return s.write(ctx, "save versions of the model", func(tx *sql.Tx) error {
		for _, v := range versions {
			var n int
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM versions WHERE id = ?`, v.Number).Scan(&n); err != nil {
				return err
			}
			if n == 0 {
				return stored.NoVersion(v.Number)
			}
			if err := putVersion(ctx, tx, v); err != nil {
				return err
			}
		}
		return thinVersions(ctx, tx)
	})
}

// Versions returns all versions of the model, the newest first.
func (s *Store) Versions(ctx context.Context) ([]penumbra.ModelVersion, error) {
	out, err := s.versions(ctx)
	if err != nil {
		return nil, s.fault("read versions of the model", err)
	}
	return out, nil
}

func (s *Store) versions(ctx context.Context) ([]penumbra.ModelVersion, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT body, data IS NOT NULL, coalesce(length(data), 0) FROM versions ORDER BY id DESC`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []penumbra.ModelVersion
	var body sql.RawBytes
	for rows.Next() {
		var v penumbra.ModelVersion
		var kept bool
		var size int64
		if err := rows.Scan(&body, &kept, &size); err != nil {
			return nil, err
		}
		if err := stored.Decode(body, &v); err != nil {
			return nil, fmt.Errorf("versions: %w", err)
		}
		v.Kept, v.Size = kept, size
		out = append(out, v)
	}
	return out, rows.Err()
}

// VersionBody returns what a version starts from. It returns an error of kind
// NotFound if there is no such version or its body is no longer kept, and of
// kind Damaged if what is stored does not match its checksum.
func (s *Store) VersionBody(ctx context.Context, number int) ([]byte, error) {
	what := fmt.Sprintf("read version %d of the model", number)
	var data, sum []byte
	err := s.reader.QueryRowContext(ctx, `SELECT data, checksum FROM versions WHERE id = ?`, number).Scan(&data, &sum)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, stored.NoVersion(number)
	case err != nil:
		return nil, s.fault(what, err)
	case sum == nil:
		return nil, stored.VersionNotKept(what)
	}
	if got := sha256.Sum256(data); !bytes.Equal(got[:], sum) {
		return nil, &penumbra.Error{Kind: penumbra.Damaged, What: what + " in store " + s.path + ": it does not match its checksum",
			Remedy: "go back to another version, or train it again"}
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}
