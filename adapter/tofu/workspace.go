package tofu

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/savedplan"
)

// Config says where a stack is and how to run the tools on it.
type Config struct {
	Stack  string       // the name that addresses start with
	Dir    string       // the working directory, where `tofu init` was run
	Binary string       // see [FindBinary]; "" looks for one
	Key    penumbra.Key // seals sensitive values; required
	// DataDir keeps plans, schemas and what the code was last seen to declare,
	// readable by its owner only. It is made if it is not there. It may lie
	// inside Dir, as ".penumbra" does: nothing in it is taken for code.
	DataDir string
	// Cipher encrypts saved plans and logs; nil leaves them readable by their owner.
	Cipher savedplan.Cipher
	// Quick makes a read that remembers nothing cheap: see [Workspace.Read].
	Quick bool
	// Env is added to the environment of the tools: TF_VAR_name, TF_WORKSPACE,
	// credentials of this stack.
	Env map[string]string
	// ReadEnv and ApplyEnv are files of credentials, lines NAME=value: the tools get
	// the first when they read and plan, the second when they apply and at no other
	// time. Without the second they apply with the first. See [envfile.Read].
	ReadEnv, ApplyEnv string
	// VarFiles are passed as -var-file, relative to Dir.
	VarFiles []string
	// Parallelism is how many resources are read at once; 0 is the tools' own
	// default of 10.
	Parallelism int
	// Now tells the time; nil is time.Now.
	Now func() time.Time
}

// Workspace is one stack. Its methods may be called by several goroutines; the
// tools' own lock of the state keeps applies apart.
type Workspace struct {
	config  Config
	dir     string // absolute
	data    string // absolute
	binary  string
	mu      sync.Mutex
	version string // of the binary, once it was asked
	known   shapes // and with which lock file, below
	lock    string
}

// New checks the configuration and returns the stack's workspace. It runs
// nothing yet. It returns an error of kind Missing if there is no binary or no
// folder, and of kind Invalid for a bad name or without a key.
func New(c Config) (*Workspace, error) {
	if err := checkInput(c.Stack, c.Key); err != nil {
		return nil, err
	}
	binary, err := FindBinary(c.Binary)
	if err != nil {
		return nil, err
	}
	w := &Workspace{config: c, binary: binary}
	if w.dir, err = existingFolder(c.Dir); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "open stack " + c.Stack, Err: err, Remedy: "correct the stack's folder"}
	}
	if c.DataDir == "" {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "stack " + c.Stack + " has no data folder", Remedy: "set one outside the stack's folder"}
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "make the data folder of stack " + c.Stack, Err: err, Remedy: "check the folder's permissions"}
	}
	if w.data, err = existingFolder(c.DataDir); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "open the data folder of stack " + c.Stack, Err: err, Remedy: "check the folder's permissions"}
	}
	if w.config.Now == nil {
		w.config.Now = time.Now
	}
	return w, nil
}

// Binary returns the path of the binary that is run.
func (w *Workspace) Binary() string { return w.binary }

// existingFolder returns the folder's absolute path without symbolic links.
func existingFolder(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", path)
	}
	return path, nil
}

// planFlags are those of each plan. They come after TF_CLI_ARGS_plan, so that
// nobody's defaults can make a read skip the refresh or take a lock.
func (w *Workspace) planFlags(file string) []string {
	args := []string{"plan", "-json", "-input=false", "-lock=false", "-refresh=true", "-out=" + file}
	if w.config.Parallelism > 0 {
		args = append(args, fmt.Sprintf("-parallelism=%d", w.config.Parallelism))
	}
	for _, f := range w.config.VarFiles {
		args = append(args, "-var-file="+f)
	}
	return args
}
