package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// AddVersion stores a version of the model under the next number and returns it.
// Bodies of versions that nobody goes back to are given up.
func (s *Store) AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (number int, err error) {
	err = s.writeLarge(ctx, "add a version of the model", func(tx pgx.Tx) error {
		if err := hold(ctx, tx, "versions"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(id), 0) + 1 FROM versions`).Scan(&number); err != nil {
			return err
		}
		v.Number = number
		if err := putVersion(ctx, tx, v); err != nil {
			return err
		}
		if body != nil {
			sum := sha256.Sum256(body)
			if _, err := tx.Exec(ctx, `UPDATE versions SET data = $1, checksum = $2 WHERE id = $3`, body, sum[:], number); err != nil {
				return err
			}
		}
		return thinVersions(ctx, tx)
	})
	return number, err
}

func putVersion(ctx context.Context, tx pgx.Tx, v penumbra.ModelVersion) error {
	v.Kept, v.Size = false, 0
	return put(ctx, tx, "versions", "id, state, before", v, v.Number, v.State.String(), v.Before)
}

// thinVersions gives up the bodies that need not be kept.
func thinVersions(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		UPDATE versions SET data = NULL, checksum = NULL
		WHERE data IS NOT NULL AND state <> $1
		AND id NOT IN (SELECT before FROM versions WHERE state = $1)
		AND id NOT IN (SELECT id FROM versions WHERE data IS NOT NULL ORDER BY id DESC LIMIT $2)`,
		penumbra.ActiveVersion.String(), penumbra.KeptVersions)
	return err
}

// SaveVersions stores new states of stored versions, all or none. It returns an error
// of kind NotFound if one of them is not stored.
func (s *Store) SaveVersions(ctx context.Context, versions []penumbra.ModelVersion) error {
	return s.write(ctx, "save versions of the model", func(tx pgx.Tx) error {
		if err := hold(ctx, tx, "versions"); err != nil {
			return err
		}
		for _, v := range versions {
			var there bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM versions WHERE id = $1)`, v.Number).Scan(&there); err != nil {
				return err
			}
			if !there {
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
	rows, err := s.pool.Query(ctx, `SELECT body, data IS NOT NULL, coalesce(octet_length(data), 0) FROM versions ORDER BY id DESC`)
	if err != nil {
		return nil, s.fault("read versions of the model", err)
	}
	out, err := pgx.AppendRows([]penumbra.ModelVersion(nil), rows, func(row pgx.CollectableRow) (v penumbra.ModelVersion, err error) {
		var body []byte
		var kept bool
		var size int64
		if err := row.Scan(&body, &kept, &size); err != nil {
			return v, err
		}
		if err := stored.Decode(body, &v); err != nil {
			return v, fmt.Errorf("versions: %w", err)
		}
		v.Kept, v.Size = kept, size
		return v, nil
	})
	if err != nil {
		return nil, s.fault("read versions of the model", err)
	}
	return out, nil
}

// VersionBody returns what a version starts from. It returns an error of kind NotFound
// if there is no such version or its body is no longer kept, and of kind Damaged if
// what is stored does not match its checksum.
func (s *Store) VersionBody(ctx context.Context, number int) ([]byte, error) {
	what := fmt.Sprintf("read version %d of the model", number)
	var data, sum []byte
	err := s.pool.QueryRow(ctx, `SELECT data, checksum FROM versions WHERE id = $1`, number).Scan(&data, &sum)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, stored.NoVersion(number)
	case err != nil:
		return nil, s.fault(what, err)
	case sum == nil:
		return nil, stored.VersionNotKept(what)
	}
	if got := sha256.Sum256(data); !bytes.Equal(got[:], sum) {
		return nil, &penumbra.Error{Kind: penumbra.Damaged, What: what + " in store " + s.where + ": it does not match its checksum",
			Remedy: "go back to another version, or train it again"}
	}
	return some(data), nil
}
