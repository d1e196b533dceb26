package wire

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// secretsConfig adds to what is held to be a secret, and takes from it.
type secretsConfig struct {
	Names        []string `koanf:"names"`
	Patterns     []string `koanf:"patterns"`
	ExceptNames  []string `koanf:"except_names"`
	ExceptValues []string `koanf:"except_values"`
}

// use has the process keep to them, and to the credentials of its environment.
func (s secretsConfig) use() error {
	err := penumbra.UseSecretRules(penumbra.SecretRules(s))
	penumbra.ConcealNamed(credentials(os.Environ()))
	return err
}

// credentials are the variables that may hold one. A folder or a file is none, whatever
// its variable is called: PWD is not a password, and what lies below it would not be
// told from anything else.
func credentials(environ []string) []string {
	return slices.DeleteFunc(environ, func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		if name == "PWD" || name == "OLDPWD" {
			return true
		}
		_, err := os.Stat(value)
		return filepath.IsAbs(value) && err == nil
	})
}

// SecretFile returns the content of a file of the data directory that holds
// random bytes as text, making it on first use.
func SecretFile(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "read " + path, Remedy: "run as the user who owns the data directory", Err: err}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "make the data directory " + dir, Remedy: "choose another with --data", Err: err}
	}
	secret := base64.RawURLEncoding.EncodeToString(random(32))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return SecretFile(dir, name) // another process was first
	}
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "write " + path, Remedy: "choose another data directory with --data", Err: err}
	}
	_, err = f.WriteString(secret + "\n")
	return secret, errors.Join(err, f.Sync(), f.Close())
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// SealingKey returns the key that sensitive values are hashed with: from the
// environment, from the file that it names, or the data directory's own. A key that was
// rotated has a line for each key, the newest first.
func SealingKey(dir string) (penumbra.Key, error) {
	key, from, err := sealingKey(dir)
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(key) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(line) < 16 {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: from + " is shorter than 16 characters", Remedy: "give a long random text, the same on every machine that shares timelines"}
		}
		lines = append(lines, line)
	}
	return penumbra.Key(strings.Join(lines, "\n")), nil
}

// sealingKey returns the text of the key, and where it is from.
func sealingKey(dir string) (key, from string, err error) {
	from, key = "PENUMBRA_KEY", strings.TrimSpace(os.Getenv("PENUMBRA_KEY"))
	if path := os.Getenv("PENUMBRA_KEY_FILE"); key == "" && path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", from, &penumbra.Error{Kind: penumbra.Missing, What: "read PENUMBRA_KEY_FILE", Err: err, Remedy: "restore the file; with another key no sensitive value could be compared with what is stored"}
		}
		if from, key = "PENUMBRA_KEY_FILE "+path, strings.TrimSpace(string(text)); key == "" {
			return "", from, &penumbra.Error{Kind: penumbra.Invalid, What: from + " is empty", Remedy: "restore the file; with another key no sensitive value could be compared with what is stored"}
		}
	}
	if key == "" {
		from = filepath.Join(dir, sealingFile)
		key, err = SecretFile(dir, sealingFile)
	}
	return key, from, err
}

// sealingFile is the data directory's own key of hashes.
const sealingFile = "sealing.key"

// PassingKey returns a key for hashes that are compared with each other alone.
func PassingKey() penumbra.Key { return penumbra.Key(random(32)) }

// LookKey returns the data directory's sealing key, or one for this look only:
// a check writes nothing, and its hashes are compared with each other alone.
func LookKey(dir string) (penumbra.Key, error) {
	if _, err := os.Stat(filepath.Join(dir, sealingFile)); err != nil && os.Getenv("PENUMBRA_KEY") == "" && os.Getenv("PENUMBRA_KEY_FILE") == "" {
		return PassingKey(), nil
	}
	return SealingKey(dir)
}
