package tofu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
)

// lockFile pins the providers' versions; both tools use the name.
const lockFile = ".terraform.lock.hcl"

// schemas returns the shapes of the resource types of the stack's providers.
// Asking for them starts each provider and may print hundreds of megabytes, so
// they are kept in the data folder under a digest of the lock file and the
// binary's version; without a lock file they are asked for each time.
func (w *Workspace) schemas(ctx context.Context) (shapes, error) {
	version, err := w.checkVersion(ctx)
	if err != nil {
		return nil, err
	}
	lock, err := os.ReadFile(filepath.Join(w.dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return w.askSchemas(ctx)
	} else if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read " + lockFile, Err: err, Remedy: "check the file's permissions"}
	}
	digest := sha256.Sum256(append([]byte(version+"\x00"), lock...))
	name := hex.EncodeToString(digest[:16])

	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lock == name {
		return w.known, nil
	}
	file := filepath.Join(w.data, "shapes-"+name+".json")
	if data, err := os.ReadFile(file); err == nil {
		var known shapes
		if json.Unmarshal(data, &known) == nil && known != nil {
			w.known, w.lock = known, name
			return known, nil
		}
	}
	known, err := w.askSchemas(ctx)
	if err != nil {
		return nil, err
	}
	w.known, w.lock = known, name
	if data, err := json.Marshal(known); err == nil {
		// A cache that cannot be written costs time and nothing else.
		_ = renameio.WriteFile(file, data, 0o600)
	}
	return known, nil
}

func (w *Workspace) askSchemas(ctx context.Context) (shapes, error) {
	const what = "ask the providers for their schemas"
	out, err := w.run(ctx, "providers", "schema", "-json")
	if err != nil {
		return nil, w.failure(what, out, err)
	}
	known, err := parseShapes(out.stdout.Bytes())
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: what, Err: err, Remedy: "update Penumbra"}
	}
	return known, nil
}
