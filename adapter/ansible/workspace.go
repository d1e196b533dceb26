// Package ansible answers: what does a playbook declare, and what is really on
// its hosts? It runs Ansible's own check mode with diff and turns each result
// into a template and a snapshot of one resource; [Parse] does the same with an
// output that was recorded.
//
// Use it where Ansible is the code. It guarantees that a task which would run
// for real in check mode ends the run before it starts, unless the
// configuration allows it; that the content of files leaves the package only
// as keyed digests; and that what check mode could not see is not checked or
// left out, never taken for in sync.
package ansible

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// Config says where a playbook is and how to run it.
type Config struct {
	Stack     string   // the name that addresses start with
	Dir       string   // the folder that Ansible runs in, with its ansible.cfg
	Playbook  string   // relative to Dir
	Inventory []string // files, folders or host lists, relative to Dir
	Limit     string   // as --limit
	Tags      []string
	SkipTags  []string
	// Binary is the folder of Ansible's programs, or the path of
	// ansible-playbook; "" looks on the PATH.
	Binary            string
	VaultPasswordFile string // relative to Dir
	// ReadEnv and ApplyEnv are files of credentials, lines NAME=value: Ansible gets
	// the first when it reads and plans, the second when it runs a play for real and
	// at no other time. Without the second it does so with the first. See
	// [envfile.Read].
	ReadEnv, ApplyEnv string
	ExtraVars         []string // files of variables, relative to Dir
	// Become makes the second look at files as the user that the hosts'
	// variables name, root by default. The plays' own become does not reach it.
	Become bool
	// AllowCheckModeFalse lets tasks with `check_mode: false` run, which is
	// for real: Penumbra then cannot promise that nothing is written.
	AllowCheckModeFalse bool
	Key                 penumbra.Key // seals secrets; required
	// DataDir keeps plans and what their way back needs, readable by its owner
	// only. It is made if it is not there. Without one nothing can be planned.
	DataDir string
	// Cipher encrypts saved plans, logs and copies of files; nil leaves them readable by
	// their owner.
	Cipher  savedplan.Cipher
	Timeout time.Duration // of one read; 0 is 10 minutes
	Now     func() time.Time
}

// Workspace is one playbook and its hosts. Its methods may be called by
// several goroutines.
type Workspace struct {
	config   Config
	dir      string // absolute, without symbolic links
	data     string // the same, "" if there is none
	programs string // the folder of Ansible's programs

	mu     sync.Mutex
	known  map[penumbra.Address]seen
	survey *survey // of the last look at everything
}

// seen is what is remembered of a resource: its type, and the settings of its
// last snapshot that could be read.
type seen struct {
	typ   string
	paths []string
}

// New checks the configuration. It runs nothing yet. It returns an error of
// kind Missing if there is no Ansible, folder or playbook, and of kind Invalid
// for a bad name, no inventory or no key.
func New(c Config) (*Workspace, error) {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "stack " + c.Stack + ": " + what, Remedy: remedy}
	}
	switch {
	case !penumbra.ValidStackName(c.Stack):
		return nil, invalid("not a name", "use letters, digits, '.', '_' and '-'")
	case len(c.Key) == 0:
		return nil, invalid("no key to seal secrets with", "give the workspace a key")
	case len(c.Inventory) == 0 || slices.Contains(c.Inventory, ""):
		return nil, invalid("no inventory", "name an inventory file or a list of hosts such as \"db1,\"")
	case c.Playbook == "":
		return nil, invalid("no playbook", "name a playbook, relative to the stack's folder")
	}
	dir, err := filepath.Abs(c.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "open stack " + c.Stack, Err: err, Remedy: "correct the stack's folder"}
	}
	w := &Workspace{config: c, dir: dir, known: map[penumbra.Address]seen{}}
	if info, err := os.Stat(w.abs(c.Playbook)); err != nil || info.IsDir() {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: fmt.Sprintf("stack %s: no playbook %s in %s", c.Stack, c.Playbook, dir), Remedy: "correct the folder or the playbook's name"}
	}
	if w.programs, err = findPrograms(c.Binary); err != nil {
		return nil, err
	}
	if c.DataDir != "" {
		err := os.MkdirAll(c.DataDir, 0o700)
		if err == nil {
			w.data, err = filepath.Abs(c.DataDir)
		}
		if err == nil {
			w.data, err = filepath.EvalSymlinks(w.data)
		}
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "make the data folder of stack " + c.Stack, Err: err, Remedy: "check the folder's permissions"}
		}
	}
	if w.config.Timeout <= 0 {
		w.config.Timeout = 10 * time.Minute
	}
	if w.config.Now == nil {
		w.config.Now = time.Now
	}
	return w, nil
}

func findPrograms(binary string) (string, error) {
	name := "ansible-playbook"
	if info, err := os.Stat(binary); binary != "" && err == nil && info.IsDir() {
		name = filepath.Join(binary, name)
	} else if binary != "" {
		name = binary
	}
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err == nil {
		_, err = exec.LookPath(filepath.Join(filepath.Dir(path), "ansible-inventory"))
	}
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Missing, What: "find ansible-playbook and ansible-inventory", Err: err, Remedy: "install Ansible (core 2.14 or later), or name the folder of its programs"}
	}
	return filepath.Dir(path), nil
}

func (w *Workspace) abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(w.dir, path)
}

// Read runs the playbook in check mode and looks a second time at the files
// that it names. It returns a template and a snapshot of each resource. Hosts
// that fail leave their resources not checked and no error. An error of kind
// Refused names a task that would have run for real; of kind Unavailable a run
// that could not be made.
func (w *Workspace) Read(ctx context.Context) ([]penumbra.Observation, error) {
	return w.read(ctx, w.config.Limit)
}

func (w *Workspace) read(ctx context.Context, limit string) ([]penumbra.Observation, error) {
	b, _, err := w.look(ctx, limit)
	if err != nil {
		return nil, err
	}
	w.remember(b)
	return b.observations(w.config.Now().UTC()), nil
}

// look checks everything, and keeps which task tells of what.
func (w *Workspace) look(ctx context.Context, limit string) (*book, *survey, error) {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	scratch, err := scratchFolder()
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(scratch)
	inv, err := w.inventory(ctx)
	if err != nil {
		return nil, nil, err
	}
	b := newBook(w.config.Stack, w.config.Key)
	b.names = inv.names
	code := w.codeFiles(nil)
	e := w.everything()
	e.Limit = limit
	tasks, err := w.check(ctx, w.dir, scratch, e, b)
	if err != nil {
		return nil, nil, err
	}
	w.secondLook(ctx, w.dir, scratch, b)
	found := &survey{inventory: inv, tasks: tasks, items: b.items, code: code}
	if limit == w.config.Limit { // of everything
		w.mu.Lock()
		w.survey = found
		w.mu.Unlock()
	}
	return b, found, nil
}

func scratchFolder() (string, error) {
	dir, err := os.MkdirTemp("", "penumbra-ansible-")
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Full, What: "make a scratch folder", Err: err, Remedy: "make room in the temporary folder"}
	}
	return dir, nil
}

// Parse reads the output of `ansible-playbook --check --diff` under the json
// callback. What only a second look would tell is left out of the snapshots.
func Parse(r io.Reader, stack string, key penumbra.Key, at time.Time) ([]penumbra.Observation, error) {
	b := newBook(stack, key)
	stats, err := readOutput(r, b.add)
	if err != nil {
		return nil, err
	}
	b.close(stats)
	return b.observations(at), nil
}

// close notes the hosts that did not reach their last task.
func (b *book) close(stats map[string]hostStats) {
	for host, s := range stats {
		if s.Failures > 0 && b.lost[host] == "" {
			b.lost[host] = "a task before it failed on this host" + b.ended[host]
		} else if s.Unreachable > 0 && b.lost[host] == "" {
			b.lost[host] = "host unreachable"
		}
	}
	for host, why := range b.lost {
		b.item(host, "host", "ansible_host").notChecked = why
	}
}

// remember marks what was seen earlier on a host that was left early, and adds
// this run's resources to what was seen. A setting of the last snapshot that no
// task speaks of any more, such as a difference that was put right, is removed:
// a partial snapshot would otherwise leave it standing.
func (w *Workspace) remember(b *book) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for address, last := range w.known {
		host, local, _ := strings.Cut(address.Local(), "/")
		if why := b.lost[host]; why != "" && b.items[address] == nil {
			b.item(host, local, last.typ).notChecked = why
		}
	}
	for address, it := range b.items {
		if it.notChecked != "" {
			w.known[address] = seen{it.typ, w.known[address].paths}
			continue
		}
		now := seen{typ: it.typ}
		for path, p := range it.pairs {
			if p.seen {
				now.paths = append(now.paths, path)
			}
		}
		for _, path := range w.known[address].paths {
			if _, ok := it.pairs[path]; !ok {
				it.pairs[path] = pair{seen: true}
			}
		}
		w.known[address] = now
	}
}
