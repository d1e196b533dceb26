package wire

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/anomaly"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/events"
)

// Config is what penumbra.yaml and the environment say. Environment variables
// are the keys in capitals behind PENUMBRA_, with two underscores for a dot:
// PENUMBRA_LISTEN, PENUMBRA_SCHEDULE__EVERY.
type Config struct {
	Data   string `koanf:"data"`
	Listen string `koanf:"listen"`
	// Store is the URL of the PostgreSQL database in which everything is kept, "" for the
	// embedded store in the data directory. KeepTimelines is how old observations in it
	// become, 0 for any age.
	Store         string        `koanf:"store"`
	KeepTimelines time.Duration `koanf:"keep_timelines"`
	// Hosts are the names that the daemon is reached by beside those of this machine.
	Hosts      []string       `koanf:"hosts"`
	TLS        tlsConfig      `koanf:"tls"`
	Client     clientConfig   `koanf:"client"`
	Confidence float64        `koanf:"confidence"`
	Model      string         `koanf:"model"`
	Schedule   ScheduleConfig `koanf:"schedule"`
	Impending  []float64      `koanf:"impending"`
	// WatchRuns is for how long the metrics of what a run changed are watched.
	WatchRuns time.Duration `koanf:"watch_runs"`
	Stacks    []StackConfig `koanf:"stacks"`
	// Knowledge are folders of knowledge entries, each over those before it.
	Knowledge []string `koanf:"knowledge"`
	// Ignore is a file of ignore rules beside those that decisions add.
	Ignore string        `koanf:"ignore"`
	Inputs []inputConfig `koanf:"inputs"`
	// Events are rules of log records, Metrics of series.
	Events  events.Rules         `koanf:"events"`
	Metrics []anomaly.MetricRule `koanf:"metrics"`
	Ranking rankingConfig        `koanf:"ranking"`
	// Limits are bounds of settings that the code does not declare.
	Limits []limitConfig `koanf:"limits"`

	// Access says who may come in beside those that the store keeps.
	Access accessConfig `koanf:"access"`

	// Policy are files of Cedar policies, or folders of them.
	Policy []string `koanf:"policy"`
	// AccessPolicy are files of Cedar policies over those of the roles, or folders.
	AccessPolicy []string       `koanf:"access_policy"`
	People       []personConfig `koanf:"people"`
	TimeZone     string         `koanf:"time_zone"`
	// Windows are when runs may start, OutsideWindow says what becomes of what is
	// approved at another time: it waits or is refused.
	Windows       []windowConfig `koanf:"windows"`
	OutsideWindow string         `koanf:"outside_window"`
	Freezes       []freezeConfig `koanf:"freezes"`
	Audit         auditConfig    `koanf:"audit"`

	Notify notifyConfig `koanf:"notify"`
	// Log says how the daemon logs, Metrics of the daemon itself who may read them.
	Log       logConfig       `koanf:"log"`
	Telemetry telemetryConfig `koanf:"telemetry"`

	Outbound outboundConfig `koanf:"outbound"`
	Secrets  secretsConfig  `koanf:"secrets"`

	// Node makes the daemon one of several that share the store.
	Node nodeConfig `koanf:"node"`

	Folder string `koanf:"-"` // that relative paths start from
	file   string // the file read, "" if there is none
}

// ScheduleConfig says how often stacks are read.
type ScheduleConfig struct {
	Every   time.Duration `koanf:"every"`
	Jitter  float64       `koanf:"jitter"`
	Gap     time.Duration `koanf:"gap"`
	Burst   int           `koanf:"burst"`
	Timeout time.Duration `koanf:"timeout"`
}

// StackConfig is a stack that is watched.
type StackConfig struct {
	Name string `koanf:"name"`
	// Kind is tofu, ansible, or servers: nothing but the servers listed.
	Kind   string        `koanf:"kind"`
	Dir    string        `koanf:"dir"`
	Binary string        `koanf:"binary"`
	Watch  []string      `koanf:"watch"`
	Every  time.Duration `koanf:"every"`
	Gap    time.Duration `koanf:"gap"`
	Burst  int           `koanf:"burst"`
	// Environment is what the stack is of, and grants are bounded to, such as prod.
	Environment string `koanf:"environment"`
	// ReadEnv and ApplyEnv are files of credentials, lines NAME=value, for reading and
	// for applying.
	ReadEnv  string `koanf:"read_env"`
	ApplyEnv string `koanf:"apply_env"`
	// Cadence gives resources another period than Every; the first rule that
	// matches counts.
	Cadence []cadenceConfig `koanf:"cadence"`
	// WatchRuns takes the place of the one for all stacks; nil if it does not.
	WatchRuns *time.Duration `koanf:"watch_runs"`

	// Of OpenTofu and Terraform.
	Parallelism int      `koanf:"parallelism"`
	VarFiles    []string `koanf:"var_files"`

	// Of Ansible.
	Playbook            string   `koanf:"playbook"`
	Inventory           []string `koanf:"inventory"`
	Limit               string   `koanf:"limit"`
	Tags                []string `koanf:"tags"`
	SkipTags            []string `koanf:"skip_tags"`
	VaultPasswordFile   string   `koanf:"vault_password_file"`
	ExtraVars           []string `koanf:"extra_vars"`
	Become              bool     `koanf:"become"`
	AllowCheckModeFalse bool     `koanf:"allow_check_mode_false"`
	// ByHost lets hosts be read by themselves when only they are due.
	ByHost bool `koanf:"by_host"`

	Servers []serverConfig `koanf:"servers"`

	// Code is how patches get into the code.
	Code codeConfig `koanf:"code"`
}

// serverConfig is a PostgreSQL server that is read beside the code.
type serverConfig struct {
	// Address is within the stack: "db1/postgresql".
	Address    string        `koanf:"address"`
	Connection string        `koanf:"connection"`
	Every      time.Duration `koanf:"every"`
	Gap        time.Duration `koanf:"gap"`
	Burst      int           `koanf:"burst"`
	// Cadence is the stack's if there is neither this nor Every.
	Cadence []cadenceConfig `koanf:"cadence"`
}

// ConfigFile is the name looked for in the working directory and above it.
const ConfigFile = "penumbra.yaml"

// LoadConfig reads the named file, or the one found in the working directory or
// above it; without any the defaults hold.
func LoadConfig(name string) (*Config, error) {
	c := &Config{Data: ".penumbra", Listen: "127.0.0.1:7676", Confidence: 0.95, Model: DefaultModel, WatchRuns: 10 * time.Minute}
	path, err := findConfig(name)
	if err != nil {
		return nil, err
	}
	k := koanf.New(".")
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read " + path, Remedy: "correct the YAML; `penumbra init --help` shows an example", Err: err}
		}
		c.file, c.Folder = path, filepath.Dir(path)
	}
	if c.Folder == "" {
		if c.Folder, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	fromEnv := env.Provider(".", env.Opt{Prefix: "PENUMBRA_", TransformFunc: func(key, value string) (string, any) {
		if value == "" {
			return "", nil // as good as not set
		}
		key = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(key, "PENUMBRA_"), "__", "."))
		switch key {
		case "tofu", "store_password", "store_password_file", "key", "key_file", "master_key", "master_key_file", "config", "token", "audit_key":
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
	"data", "listen", "store", "keep_timelines", "node.name", "node.address", "node.reads", "confidence", "model", "impending", "ignore", "knowledge", "stacks", "inputs", "metrics", "events", "limits",
	"ranking.likelihood", "ranking.risk", "ranking.complexity", "ranking.criticality",
	"policy", "access_policy", "people", "time_zone", "windows", "outside_window", "freezes", "watch_runs", "outbound.allow",
	"access.url", "access.oidc",
	"hosts", "tls.cert", "tls.key", "tls.client_ca", "tls.require_client", "tls.clients", "tls.behind_proxy",
	"client.server", "client.ca", "client.cert", "client.key",
	"secrets.names", "secrets.patterns", "secrets.except_names", "secrets.except_values",
	"log.format", "log.level", "telemetry.open_metrics",
	"notify.url", "notify.gather", "notify.stale", "notify.keep", "notify.retries", "notify.channels", "notify.routes",
	"schedule.every", "schedule.jitter", "schedule.gap", "schedule.burst", "schedule.timeout",
}

// knownOfStack are the keys that may stand in a stack.
var knownOfStack = keysOf[StackConfig]()

// keysOf returns the keys of a part of the configuration.
func keysOf[T any]() []string {
	var out []string
	t := reflect.TypeFor[T]()
	for i := range t.NumField() {
		out = append(out, t.Field(i).Tag.Get("koanf"))
	}
	return out
}

// unknownKey returns the first key of a list's items that has no meaning: a
// misspelt one would otherwise be passed over in silence.
func unknownKey(items any, list string, known []string) (string, bool) {
	of, _ := items.([]any)
	for i, s := range of {
		keys, _ := s.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if !slices.Contains(known, key) {
				return fmt.Sprintf("%s[%d].%s", list, i, key), true
			}
		}
	}
	return "", false
}

func (c *Config) check(k *koanf.Koanf) error {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: orDefaults(c.file) + ": " + what, Remedy: remedy}
	}
	if c.file != "" {
		for _, key := range k.Keys() {
			if !slices.Contains(known, key) && !strings.HasPrefix(key, "events.") {
				return invalid(fmt.Sprintf("unknown key %q", key), "known keys are "+strings.Join(known, ", "))
			}
		}
	}
	if what, remedy := c.checkStore(); what != "" {
		return invalid(what, remedy)
	}
	if what, remedy := c.checkNode(); what != "" {
		return invalid(what, remedy)
	}
	if c.Confidence <= 0 || c.Confidence >= 1 {
		return invalid(fmt.Sprintf("confidence %v", c.Confidence), "give a share between 0 and 1, such as 0.95")
	}
	if Families[c.Model] == nil && c.Model != engine.AutoModel {
		return invalid(fmt.Sprintf("model %q", c.Model), "use auto, or fix one of "+strings.Join(FamilyNames(), ", ")+" (docs/model-versions.md)")
	}
	if c.Schedule.Jitter < 0 || c.Schedule.Jitter >= 1 {
		return invalid(fmt.Sprintf("schedule.jitter %v", c.Schedule.Jitter), "give a share from 0 to below 1")
	}
	if n := len(c.Impending); n != 0 && n != len(penumbra.Horizons) {
		return invalid(fmt.Sprintf("impending has %d thresholds", n), fmt.Sprintf("give one for each horizon: %s", strings.Join(penumbra.HorizonNames[:], ", ")))
	}
	if key, ok := unknownKey(k.Get("stacks"), "stacks", knownOfStack); ok {
		return invalid("unknown key "+key, "the keys of a stack are "+strings.Join(knownOfStack, ", "))
	}
	if key, ok := unknownCodeKey(k.Get("stacks")); ok {
		return invalid("unknown key "+key, "the keys of a stack's code are "+strings.Join(knownOfCode, ", "))
	}
	if key, ok := unknownCadenceKey(k.Get("stacks")); ok {
		return invalid("unknown key "+key, "the keys of a cadence rule are "+strings.Join(knownOfCadence, ", "))
	}
	if key, ok := unknownKey(k.Get("inputs"), "inputs", knownOfInput); ok {
		return invalid("unknown key "+key, "the keys of an input are "+strings.Join(knownOfInput, ", "))
	}
	if key, ok := unknownKey(k.Get("limits"), "limits", knownOfLimit); ok {
		return invalid("unknown key "+key, "the keys of a limit are "+strings.Join(knownOfLimit, ", "))
	}
	if _, err := c.newLimits(nil); err != nil {
		return err
	}
	if key, ok := unknownKey(k.Get("ranking.criticality"), "ranking.criticality", keysOf[criticalityConfig]()); ok {
		return invalid("unknown key "+key, "the keys of a criticality are match and level")
	}
	if c.WatchRuns < 0 {
		return invalid(fmt.Sprintf("watch_runs is %s", c.WatchRuns), watchRunsRemedy)
	}
	if _, err := c.OutboundGuard(); err != nil {
		return err
	}
	if what, remedy := c.TLS.check(); what != "" {
		return invalid(what, remedy)
	}
	if key, ok := unknownKey(k.Get("tls.clients"), "tls.clients", keysOf[certificateConfig]()); ok {
		return invalid("unknown key "+key, "the keys of a client are name, subject, kind and grants")
	}
	if (c.Client.Cert == "") != (c.Client.Key == "") {
		return invalid("client has one of cert and key", "give both, or neither")
	}
	if err := c.Secrets.use(); err != nil {
		return err
	}
	if err := c.Ranking.check(); err != nil {
		return err
	}
	if err := c.checkGoverning(k); err != nil {
		return err
	}
	if err := c.checkNotify(k); err != nil {
		return err
	}
	if err := c.Log.check(); err != nil {
		return c.invalid("log", "", err)
	}
	if err := c.checkAccess(k); err != nil {
		return err
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
		if what, remedy := s.check(); what != "" {
			return invalid(fmt.Sprintf("stack %s %s", s.Name, what), remedy)
		}
	}
	for i, in := range c.Inputs {
		if what, remedy := in.check(); what != "" {
			return invalid(fmt.Sprintf("inputs[%d] (%s) %s", i, in.Name, what), remedy)
		}
	}
	return nil
}

// check returns what is wrong with a stack and what to do about it, "" if nothing.
func (s *StackConfig) check() (what, remedy string) {
	switch {
	case s.Kind != "" && !slices.Contains(stackKinds, s.Kind):
		return fmt.Sprintf("is of kind %q", s.Kind), "use " + strings.Join(stackKinds, ", ")
	case s.Kind == serversStack && len(s.Servers) == 0:
		return "has no servers", "list one with its address and connection"
	case s.Kind != serversStack && s.Dir == "":
		return "has no dir", "name the folder with its code"
	case s.Kind == ansibleStack && s.Playbook == "":
		return "has no playbook", "name the playbook that configures the hosts, such as site.yml"
	}
	if s.ByHost && s.Kind != ansibleStack {
		return "has by_host", "only hosts of an Ansible inventory are read by themselves; leave it out"
	}
	if what, remedy := checkCadence("cadence", s.Cadence); what != "" {
		return what, remedy
	}
	if s.WatchRuns != nil && *s.WatchRuns < 0 {
		return fmt.Sprintf("has watch_runs %s", *s.WatchRuns), watchRunsRemedy
	}
	for i, server := range s.Servers {
		if server.Address == "" || strings.HasPrefix(server.Address, "/") {
			return fmt.Sprintf("servers[%d] has address %q", i, server.Address), "write it as host/postgresql: the host as the inventory names it"
		}
		if what, remedy := checkCadence(fmt.Sprintf("servers[%d].cadence", i), server.Cadence); what != "" {
			return what, remedy
		}
	}
	return s.Code.check(s.kind())
}

// path makes a path of the configuration absolute.
func (c *Config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.Folder, p)
}

// DataDir is the data directory as an absolute path.
func (c *Config) DataDir() string { return c.path(c.Data) }

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
		path := filepath.Join(dir, ConfigFile)
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

// Absolute makes a path of the command line absolute.
func Absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	return abs, nil
}

// StackOf returns the name of the stack whose folder dir is, or dir's own name.
func (c *Config) StackOf(dir string) string {
	abs, err := Absolute(dir)
	if err != nil {
		return "stack"
	}
	for _, s := range c.Stacks {
		if c.path(s.Dir) == abs || filepath.Clean(c.path(s.Dir)) == abs {
			return s.Name
		}
	}
	if name := filepath.Base(abs); penumbra.ValidStackName(name) {
		return name
	}
	return "stack"
}
