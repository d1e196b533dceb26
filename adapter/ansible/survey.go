package ansible

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// survey is what a look at everything found of how things are declared: it leads
// from a resource to its tasks, and from there to the code. It may hold secrets
// and stays in memory.
type survey struct {
	inventory *inventory
	tasks     map[string]*declared
	items     map[penumbra.Address]*item
	code      map[string]string // see codeFiles
}

// declared is a task as it stands in the code: its expressions are not evaluated.
type declared struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Path     string `json:"path"` // file:line
	Handler  bool   `json:"handler"`
	Role     string `json:"role"`
	RolePath string `json:"role_path"`
	Action   string `json:"action"`
	// ModulePath is the file of the module that it calls, "" if Ansible does not say.
	ModulePath string         `json:"module_path"`
	Args       map[string]any `json:"args"`
	Loop       any            `json:"loop"`
	LoopWith   string         `json:"loop_with"`
	Tags       []string       `json:"tags"`
	Notify     any            `json:"notify"`

	Become         any `json:"become"`
	BecomeUser     any `json:"become_user"`
	BecomeMethod   any `json:"become_method"`
	Environment    any `json:"environment"`
	RemoteUser     any `json:"remote_user"`
	Connection     any `json:"connection"`
	DelegateTo     any `json:"delegate_to"`
	ModuleDefaults any `json:"module_defaults"`
	Vars           any `json:"vars"`
}

// file returns where the task stands.
func (t *declared) file() (path string, line int) {
	i := strings.LastIndexByte(t.Path, ':')
	if i < 0 {
		return t.Path, 0
	}
	line, _ = strconv.Atoi(t.Path[i+1:])
	return t.Path[:i], line
}

func (t *declared) module() string { return t.Action[strings.LastIndexByte(t.Action, '.')+1:] }

// mostDeclared bounds a line of the plugin: a task with a long text in it.
const mostDeclared = 16 << 20

// readDeclared reads what the plugin wrote. root is the folder that a copy of
// the code lies below, which the paths are freed of.
func readDeclared(path, root string) map[string]*declared {
	out := map[string]*declared{}
	f, err := os.Open(path)
	if err != nil {
		return out
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, mostDeclared)
	for lines.Scan() {
		var t declared
		if json.Unmarshal(lines.Bytes(), &t) == nil {
			t.Path, t.RolePath, t.ModulePath = strings.TrimPrefix(t.Path, root), strings.TrimPrefix(t.RolePath, root), strings.TrimPrefix(t.ModulePath, root)
			out[t.ID] = &t
		}
	}
	return out
}

// tagged counts the tasks with a tag.
func (s *survey) tagged(tag string) int {
	n := 0
	for _, t := range s.tasks {
		if !t.Handler && slices.Contains(t.Tags, tag) {
			n++
		}
	}
	return n
}

// surveyed returns the survey of the code as it is now, looking again if the
// code has changed since.
func (w *Workspace) surveyed(ctx context.Context) (*survey, error) {
	w.mu.Lock()
	s := w.survey
	w.mu.Unlock()
	if s != nil && changedFile(s.code, w.codeFiles(nil)) == "" {
		return s, nil
	}
	_, s, err := w.look(ctx, w.config.Limit)
	return s, err
}

// origin is the task, and the item of its loop, that told of something.
type origin struct {
	task  string // its identifier
	host  string // that it ran on
	index int    // of the loop's item, -1 without a loop
	item  any
	args  map[string]any // as Ansible evaluated them; what has no_log is hidden
}

// ranOn returns the hosts that the resource's tasks ran on.
func (it *item) ranOn() []string {
	var out []string
	for _, o := range it.origins {
		if !slices.Contains(out, o.host) {
			out = append(out, o.host)
		}
	}
	slices.Sort(out)
	return out
}
