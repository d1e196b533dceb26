package wire

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/engine"
)

// auditConfig says what the audit log is hashed with and where its heads are kept.
type auditConfig struct {
	// KeyFile holds the keys, one a line, the one in use first; audit.key of the data
	// directory without it.
	KeyFile string `koanf:"key_file"`
	// Heads is the file that heads are kept in; audit.heads of the data directory
	// without it.
	Heads string `koanf:"heads"`
}

// auditKeyFile is the data directory's own file of keys.
const auditKeyFile = "audit.key"

// auditKeyVariable takes the place of the file of keys.
const auditKeyVariable = "PENUMBRA_AUDIT_KEY"

// AuditKeys returns the keys of the audit log, and makes one on first use if make
// is set; nil if there are none.
func (c *Config) AuditKeys(make bool) (*audit.Keyring, error) {
	if key := os.Getenv(auditKeyVariable); key != "" {
		return audit.ReadKeys(key, auditKeyVariable)
	}
	name := auditKeyFile
	path := filepath.Join(c.DataDir(), name)
	if c.Audit.KeyFile != "" {
		path = c.path(c.Audit.KeyFile)
	} else if _, err := os.Stat(path); err != nil && !make {
		return nil, nil
	} else if _, err := SecretFile(c.DataDir(), name); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read the keys of the audit log in " + path, Remedy: "correct `audit.key_file` in penumbra.yaml, and make the file readable for who runs Penumbra", Err: err}
	}
	return audit.ReadKeys(string(text), path)
}

// AuditHeads is where heads of the audit log are kept.
func (c *Config) AuditHeads() audit.Heads {
	if c.Audit.Heads != "" {
		return audit.Heads(c.path(c.Audit.Heads))
	}
	return audit.Heads(filepath.Join(c.DataDir(), "audit.heads"))
}

// digests returns a digest of each file that says what people may do, by its name.
func (c *Config) digests() (map[string]string, error) {
	out := map[string]string{}
	set, _, err := c.LoadPolicies()
	if err != nil {
		return nil, err
	}
	rights, _, err := c.LoadAccess()
	if err != nil {
		return nil, err
	}
	files := append(set.Names(), rights.Names()...)
	if c.file != "" {
		files = append(files, c.file)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read " + name, Err: err}
		}
		sum := sha256.Sum256(text)
		if short, err := filepath.Rel(c.Folder, name); err == nil && !strings.HasPrefix(short, "..") {
			name = short
		}
		out[name] = "sha256:" + hex.EncodeToString(sum[:])
	}
	return folded(out), nil
}

// mostDigests is how many files an entry names one by one.
const mostDigests = 50

// folded makes one digest of many.
func folded(all map[string]string) map[string]string {
	if len(all) <= mostDigests {
		return all
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(h, "%q %s\n", name, all[name])
	}
	return map[string]string{fmt.Sprintf("%d files", len(all)): "sha256:" + hex.EncodeToString(h.Sum(nil))}
}

const configAct = penumbra.Act("config.load")

// recordConfig records what configuration and which policies hold, if they are
// not those that were recorded last.
func (c *Config) recordConfig(ctx context.Context, log *audit.Log) error {
	now, err := c.digests()
	if err != nil {
		return err
	}
	last, err := log.AuditEntries(ctx, penumbra.AuditQuery{Act: configAct, Latest: true, Limit: 1})
	if err != nil || len(last) > 0 && maps.Equal(last[0].Details, now) || len(last) == 0 && len(now) == 0 {
		return err
	}
	e := penumbra.AuditEntry{Act: configAct, Details: now}
	by(ctx, "", &e)
	return log.Record(ctx, e)
}

// openAudit joins the audit log and the store that records into it.
func openAudit(ctx context.Context, c *Config, store engine.Store, to audit.Store, o Options) (*audit.Log, engine.Store, error) {
	keys, err := c.AuditKeys(true)
	if err != nil {
		return nil, nil, err
	}
	log := audit.New(to, keys, o.Clock(), o.Log)
	if err := c.recordConfig(ctx, log); err != nil {
		return nil, nil, fmt.Errorf("record the configuration: %w", err)
	}
	return log, &auditedStore{store, log, o.Log}, nil
}

// RecordDaemon records that the daemon starts or stops.
func (l *Loop) RecordDaemon(ctx context.Context, what, version string) error {
	e := penumbra.AuditEntry{Act: penumbra.Act("daemon." + what), Details: map[string]string{"version": version}}
	by(ctx, "", &e)
	return l.Audit.Record(ctx, e)
}
