package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
)

// config is what penumbra.yaml and the environment say. Environment variables
// are the keys in capitals behind PENUMBRA_, with two underscores for a dot:
// PENUMBRA_LISTEN, PENUMBRA_SCHEDULE__EVERY.
type config struct {
	Data       string        `koanf:"data"`
	Listen     string        `koanf:"listen"`
	Confidence float64       `koanf:"confidence"`
	Model      string        `koanf:"model"`
	Schedule   scheduleConf  `koanf:"schedule"`
	Impending  []float64     `koanf:"impending"`
	Stacks     []stackConfig `koanf:"stacks"`
	// Ignore is a file of ignore rules beside those that decisions add.
	Ignore string `koanf:"ignore"`

	folder string // that relative paths start from
	file   string // the file read, "" if there is none
}

type scheduleConf struct {
	Every   time.Duration `koanf:"every"`
	Jitter  float64       `koanf:"jitter"`
	Gap     time.Duration `koanf:"gap"`
	Burst   int           `koanf:"burst"`
	Timeout time.Duration `koanf:"timeout"`
}

type stackConfig struct {
	Name        string        `koanf:"name"`
	Dir         string        `koanf:"dir"`
	Binary      string        `koanf:"binary"`
	Parallelism int           `koanf:"parallelism"`
	VarFiles    []string      `koanf:"var_files"`
	Watch       []string      `koanf:"watch"`
	Every       time.Duration `koanf:"every"`
}

// configFile is the name looked for in the working directory and above it.
const configFile = "penumbra.yaml"

// loadConfig reads the named file, or the one found in the working directory or
// above it; without any the defaults hold.
func loadConfig(name string) (*config, error) {
	c := &config{Data: ".penumbra", Listen: "127.0.0.1:7676", Confidence: 0.95, Model: defaultModel}
	path, err := findConfig(name)
	if err != nil {
		return nil, err
	}
	k := koanf.New(".")
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read " + path, Remedy: "correct the YAML; `penumbra init --help` shows an example", Err: err}
		}
		c.file, c.folder = path, filepath.Dir(path)
	}
	if c.folder == "" {
		if c.folder, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	fromEnv := env.Provider(".", env.Opt{Prefix: "PENUMBRA_", TransformFunc: func(key, value string) (string, any) {
		if value == "" {
			return "", nil // as good as not set
		}
		key = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(key, "PENUMBRA_"), "__", "."))
		switch key {
		case "tofu", "key", "config", "token":
			return "", nil // read elsewhere
		}
		return key, value
	}})
	if err := k.Load(fromEnv, nil); err != nil {
		return nil, err
	}
	if err := k.UnmarshalWithConf("", c, koanf.UnmarshalConf{Tag: "koanf"}); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read " + orDefaults(path), Remedy: "correct the type of the value named", Err: err}
	}
	return c, c.check(k)
}

func orDefaults(path string) string {
	if path == "" {
		return "the environment's PENUMBRA_ variables"
	}
	return path
}

// known are the keys that may stand in the file.
var known = []string{
	"data", "listen", "confidence", "model", "impending", "ignore", "stacks",
	"schedule.every", "schedule.jitter", "schedule.gap", "schedule.burst", "schedule.timeout",
}

// knownOfStack are the keys that may stand in a stack.
var knownOfStack = []string{"name", "dir", "binary", "parallelism", "var_files", "watch", "every"}

// unknownStackKey returns the first key of a stack that has no meaning: a
// misspelt one would otherwise be passed over in silence.
func unknownStackKey(k *koanf.Koanf) (string, bool) {
	stacks, _ := k.Get("stacks").([]any)
	for i, s := range stacks {
		keys, _ := s.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if !slices.Contains(knownOfStack, key) {
				return fmt.Sprintf("stacks[%d].%s", i, key), true
			}
		}
	}
	return "", false
}

func (c *config) check(k *koanf.Koanf) error {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: orDefaults(c.file) + ": " + what, Remedy: remedy}
	}
	if c.file != "" {
		for _, key := range k.Keys() {
			if !slices.Contains(known, key) && !strings.HasPrefix(key, "stacks.") {
				return invalid(fmt.Sprintf("unknown key %q", key), "known keys are "+strings.Join(known, ", "))
			}
		}
	}
	if c.Confidence <= 0 || c.Confidence >= 1 {
		return invalid(fmt.Sprintf("confidence %v", c.Confidence), "give a share between 0 and 1, such as 0.95")
	}
	if families[c.Model] == nil && c.Model != engine.AutoModel {
		return invalid(fmt.Sprintf("model %q", c.Model), "use auto, or fix one of "+strings.Join(familyNames(), ", ")+" (docs/model-versions.md)")
	}
	if c.Schedule.Jitter < 0 || c.Schedule.Jitter >= 1 {
		return invalid(fmt.Sprintf("schedule.jitter %v", c.Schedule.Jitter), "give a share from 0 to below 1")
	}
	if n := len(c.Impending); n != 0 && n != len(penumbra.Horizons) {
		return invalid(fmt.Sprintf("impending has %d thresholds", n), fmt.Sprintf("give one for each horizon: %s", strings.Join(penumbra.HorizonNames[:], ", ")))
	}
	if key, ok := unknownStackKey(k); ok {
		return invalid("unknown key "+key, "the keys of a stack are "+strings.Join(knownOfStack, ", "))
	}
	named := map[string]bool{}
	for i, s := range c.Stacks {
		if named[s.Name] {
			return invalid(fmt.Sprintf("two stacks are named %q", s.Name), "give each a name of its own")
		}
		named[s.Name] = true
		if !penumbra.ValidStackName(s.Name) {
			return invalid(fmt.Sprintf("stacks[%d] is named %q", i, s.Name), "use letters, digits, '.', '_' and '-'")
		}
		if s.Dir == "" {
			return invalid(fmt.Sprintf("stack %s has no dir", s.Name), "name the folder with its code")
		}
	}
	return nil
}

// path makes a path of the configuration absolute.
func (c *config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.folder, p)
}

func (c *config) dataDir() string { return c.path(c.Data) }

// findConfig returns the configuration file to read, "" if there is none.
func findConfig(name string) (string, error) {
	if name == "" {
		name = os.Getenv("PENUMBRA_CONFIG")
	}
	if name != "" {
		path, err := filepath.Abs(name)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return "", &penumbra.Error{Kind: penumbra.Missing, What: "read the configuration " + name, Remedy: "make one with `penumbra init`", Err: err}
		}
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, configFile)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", nil
		}
		dir = parent
	}
}

// secretFile returns the content of a file of the data directory that holds
// random bytes as text, making it on first use.
func secretFile(dir, name string) (string, error) {
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
		return secretFile(dir, name) // another process was first
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

// sealingKey returns the key that sensitive values are hashed with: from the
// environment, or the data directory's own.
func sealingKey(dir string) (penumbra.Key, error) {
	if key := os.Getenv("PENUMBRA_KEY"); key != "" {
		if len(key) < 16 {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "PENUMBRA_KEY is shorter than 16 characters", Remedy: "give a long random text, the same on every machine that shares timelines"}
		}
		return penumbra.Key(key), nil
	}
	key, err := secretFile(dir, "sealing.key")
	return penumbra.Key(key), err
}
