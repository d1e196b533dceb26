package wire

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/store/contract"
)

// RotateHashKey makes a new key of hashes, unless one was given above the one in use,
// and hashes what is stored under it. It returns the key's name and in how many documents
// there were hashes. The error is of kind Locked while another process works on the data
// directory, and of kind Refused, with nothing changed, where the key is not the data
// directory's own and no new one is given, or what is stored was made with another.
func RotateHashKey(ctx context.Context, c *Config, given bool, o Options) (id string, changed int, err error) {
	dir := c.DataDir()
	lock, err := LockData(dir)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	store, err := c.openStore(ctx, o)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, store.close(context.WithoutCancel(ctx))) }()
	log, _, err := openAudit(ctx, c, store, store, o)
	if err != nil {
		return "", 0, err
	}
	if changed, err = bringUp(ctx, c, store, log); err == nil && !given {
		if err = addSealing(dir); err == nil {
			changed, err = bringUp(ctx, c, store, log)
		}
	}
	if err != nil {
		return "", changed, err
	}
	if id, err = store.HashKey(ctx); err == nil {
		err = log.Checkpoint(ctx, c.AuditHeads())
	}
	return id, changed, err
}

// addSealing puts a new key above those of the data directory's own file. It returns
// an error of kind Refused if the key is given otherwise.
func addSealing(dir string) error {
	_, from, err := sealingKey(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, sealingFile)
	if from != path {
		return &penumbra.Error{Kind: penumbra.Refused, What: "the key of hashes is given by " + from + ", which is yours to renew", Remedy: "put the new key in a line above the old one, and run `penumbra key rotate --hash --given`"}
	}
	text, err := os.ReadFile(path)
	if err == nil {
		fresh := base64.RawURLEncoding.EncodeToString(random(32)) + "\n"
		err = renameio.WriteFile(path, append([]byte(fresh), text...), 0o600, renameio.IgnoreUmask())
	}
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Full, What: "write " + path, Err: err, Remedy: "make room in the data directory; the key was left as it is"}
	}
	return nil
}

// bringUp hashes what is stored under the newest key, if it is not yet, and returns in
// how many documents there were hashes. It returns an error of kind Refused, having
// changed nothing, if what is stored was made with a key that is not given.
func bringUp(ctx context.Context, c *Config, store contract.Hashes, log *audit.Log) (changed int, err error) {
	id, err := store.HashKey(ctx)
	if err != nil {
		return 0, err
	}
	if path := filepath.Join(c.DataDir(), sealingFile); id != "" && os.Getenv("PENUMBRA_KEY") == "" && os.Getenv("PENUMBRA_KEY_FILE") == "" {
		if _, err := os.Stat(path); err != nil { // and not made anew over what it is for
			return 0, &penumbra.Error{Kind: penumbra.Missing, What: "read the key of hashes " + path, Err: err, Remedy: "restore the file; without it no sensitive value can be compared with what is stored"}
		}
	}
	key, err := SealingKey(c.DataDir())
	if err != nil {
		return 0, err
	}
	if id == "" { // of before keys were rotated
		id = key.Oldest()
		if err := store.SetHashKey(ctx, id); err != nil {
			return 0, err
		}
	}
	later, err := keysSince(key, id)
	if err != nil || len(later) == 0 {
		return 0, err
	}
	e := penumbra.AuditEntry{Act: "key.rotate", Target: penumbra.Target{ID: key.ID()}, Details: map[string]string{"of": "hashes", "before": id}}
	by(ctx, "", &e)
	if err := log.Record(ctx, e); err != nil {
		return 0, err
	}
	changed, err = store.Reseal(ctx, key.ID(), func(data []byte) bool {
		found := false
		for _, k := range later {
			found = k.Reseal(data) || found
		}
		return found
	})
	if err == nil {
		err = forgetTemplates(c.DataDir())
	}
	if err != nil {
		e.Outcome, e.Details["error"] = penumbra.AuditFailed, err.Error()
		err = errors.Join(err, log.Record(ctx, e))
	}
	return changed, err
}

// forgetTemplates removes what stacks remember with hashes in it.
func forgetTemplates(dir string) error {
	folders, err := filepath.Glob(filepath.Join(dir, "stacks", "*"))
	for _, folder := range folders {
		err = errors.Join(err, tofu.Forget(folder))
	}
	return err
}

// keysSince returns the keys of which the store knows nothing yet, the oldest first.
func keysSince(key penumbra.Key, id string) ([]penumbra.Key, error) {
	later, ok := key.Since(id)
	if !ok {
		return nil, &penumbra.Error{
			Kind: penumbra.Refused, What: "sensitive values are stored as hashes under the key " + id + ", and the key of hashes that is given is " + key.ID() + ": they could not be compared",
			Remedy: "restore the key; or write it in a line below the new one. Nothing was changed",
		}
	}
	return later, nil
}

// canBeCompared returns an error of kind Refused unless what is stored can be compared with
// what is hashed under the key that is given: reading alone brings nothing up to date.
func canBeCompared(ctx context.Context, c *Config, store contract.Hashes) error {
	id, err := store.HashKey(ctx)
	if err != nil || id == "" {
		return err
	}
	key, err := LookKey(c.DataDir())
	if err != nil {
		return err
	}
	later, err := keysSince(key, id)
	if err == nil && len(later) > 0 {
		err = &penumbra.Error{Kind: penumbra.Refused, What: "sensitive values are stored as hashes under the key before", Remedy: "start `penumbra serve`, or run `penumbra key rotate --hash --given`"}
	}
	return err
}
