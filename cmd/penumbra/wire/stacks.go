package wire

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/ansible"
	"github.com/penumbra-iac/penumbra/adapter/files"
	"github.com/penumbra-iac/penumbra/adapter/postgres"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/remediation"
)

// The kinds of stack: by the technology of the code, or none.
const (
	tofuStack    = "tofu"
	ansibleStack = "ansible"
	serversStack = "servers"
)

var stackKinds = []string{tofuStack, ansibleStack, serversStack}

func (s *StackConfig) kind() string {
	if s.Kind == "" {
		return tofuStack
	}
	return s.Kind
}

// ansibleGap is how far apart two checks of a playbook are at least, ansibleEvery
// how far at most: each takes seconds, and works on the hosts.
const (
	ansibleGap   = time.Minute
	ansibleEvery = 15 * time.Minute
)

// serverGap is the same of a server, whose settings are read in milliseconds.
const serverGap = time.Second

// joinStack joins what watches, plans and applies one stack.
func joinStack(c *Config, s StackConfig, key penumbra.Key, m Manuals, o Options) (engine.Stack, error) {
	var out engine.Stack
	var err error
	switch s.kind() {
	case tofuStack:
		out, err = joinTofu(c, s, key, m, o)
	case ansibleStack:
		out, err = joinAnsible(c, s, key, m, o)
	}
	if err != nil {
		return out, err
	}
	out.Name, out.Dir = s.Name, c.path(s.Dir)
	for _, server := range s.Servers {
		source, err := postgres.New(postgres.Config{Stack: s.Name, Local: server.Address, Connection: server.Connection, Key: key, Now: o.Clock()})
		if err != nil {
			return out, err
		}
		gap, burst := cmp.Or(server.Gap, serverGap), server.Burst
		name := postgres.Source
		if len(s.Servers) > 1 {
			name += ":" + server.Address
		}
		rules := server.Cadence
		if len(rules) == 0 && server.Every == 0 {
			rules = s.Cadence
		}
		out.Readers = append(out.Readers, engine.Reader{Name: name, Source: source, Every: server.Every, Gap: gap, Burst: burst, Cadence: cadence(rules)})
	}
	return out, nil
}

func joinTofu(c *Config, s StackConfig, key penumbra.Key, m Manuals, o Options) (engine.Stack, error) {
	dir := c.path(s.Dir)
	w, err := tofu.New(tofu.Config{
		Stack: s.Name, Dir: dir, Binary: s.Binary, Key: key, Parallelism: s.Parallelism, VarFiles: s.VarFiles,
		DataDir: filepath.Join(c.DataDir(), "stacks", s.Name), Cipher: o.cipher,
		ReadEnv: c.path(s.ReadEnv), ApplyEnv: c.path(s.ApplyEnv),
	})
	if err != nil {
		return engine.Stack{}, err
	}
	code := workspace{Workspace: w, planner: c.planner(w, s, key, o), dir: dir, stack: s.Name, varFiles: s.VarFiles}
	way := s.Code.way()
	return engine.Stack{
		Readers:  []engine.Reader{{Name: tofuStack, Source: w, Every: s.Every, Gap: s.Gap, Burst: s.Burst, Cadence: cadence(s.Cadence), Watch: c.watch(s)}},
		Proposer: proposer{workspace: code, manuals: m, dir: dir, engine: filepath.Base(w.Binary()), way: way, ranking: &c.Ranking, laws: o.laws},
		Remediator: func(e *engine.Engine) decisions.Remediator {
			m := &remediation.Machine{Workspace: w, Journal: e, Rules: e, Attentions: e, Messenger: o.messenger, Policies: o.laws, Verify: e.Verify, Now: o.Clock(), Way: way, Watch: c.watchRuns(s)}
			if way.IsReviewed() {
				m.Publisher = newPublisher(c, s, e, o.Version)
			}
			return m
		},
	}, nil
}

// unreadable is the source of a stack that could not be opened: each read says
// why.
type unreadable struct{ err error }

func (u unreadable) Read(context.Context) ([]penumbra.Observation, error) { return nil, u.err }

func joinAnsible(c *Config, s StackConfig, key penumbra.Key, m Manuals, o Options) (engine.Stack, error) {
	dir := c.path(s.Dir)
	w, err := ansible.New(ansible.Config{
		Stack: s.Name, Dir: dir, Playbook: s.Playbook, Inventory: s.Inventory, Limit: s.Limit, Tags: s.Tags, SkipTags: s.SkipTags,
		Binary: s.Binary, VaultPasswordFile: s.VaultPasswordFile, ExtraVars: s.ExtraVars,
		Become: s.Become, AllowCheckModeFalse: s.AllowCheckModeFalse, Key: key,
		DataDir: filepath.Join(c.DataDir(), "stacks", s.Name), Cipher: o.cipher,
		ReadEnv: c.path(s.ReadEnv), ApplyEnv: c.path(s.ApplyEnv),
	})
	if err != nil {
		return engine.Stack{}, err
	}
	every, gap := cmp.Or(s.Every, ansibleEvery), cmp.Or(s.Gap, ansibleGap)
	source := engine.Source(w)
	if s.ByHost {
		source = byHost{w}
	}
	return engine.Stack{
		Readers:  []engine.Reader{{Name: ansibleStack, Source: source, Every: every, Gap: gap, Burst: s.Burst, Cadence: cadence(s.Cadence), Watch: c.watch(s)}},
		Proposer: proposer{workspace: w, manuals: m, dir: dir, engine: ansibleStack, ranking: &c.Ranking, laws: o.laws},
		Remediator: func(e *engine.Engine) decisions.Remediator {
			return &remediation.Machine{Workspace: w, Journal: e, Rules: e, Attentions: e, Messenger: o.messenger, Policies: o.laws, Verify: e.Verify, Now: o.Clock(), Watch: c.watchRuns(s)}
		},
	}, nil
}

// watched are a stack's folder and what else it names.
func (c *Config) watched(s StackConfig) []string {
	out := []string{c.path(s.Dir)}
	for _, p := range s.Watch {
		out = append(out, c.path(p))
	}
	return out
}

// watch reports changes in what is watched of a stack.
func (c *Config) watch(s StackConfig) func(context.Context, func()) error {
	watched := c.watched(s)
	return func(ctx context.Context, changed func()) error { return files.Watch(ctx, watched, changed) }
}
