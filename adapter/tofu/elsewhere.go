package tofu

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// This file has what makes two machines read the same, and a plan of one applicable on the other.

// TakePlan returns the file of a plan that was made here for another machine, encrypted as
// it lies, and removes it. It returns an error of kind Stale if it is gone or another, and
// Full if it cannot be removed.
func (w *Workspace) TakePlan(plan penumbra.Plan) ([]byte, error) { return w.plans().Take(plan) }

// KeepPlan saves here what [Workspace.TakePlan] returned on another machine that has the same
// keys, and returns the plan, dated by this machine's clock. It returns an error of kind Stale
// if it is not the plan's file, Damaged if it was not encrypted under these keys, and Full
// if it cannot be saved.
func (w *Workspace) KeepPlan(plan penumbra.Plan, saved []byte) (penumbra.Plan, error) {
	plan.Created = w.config.Now().UTC()
	return plan, w.plans().Keep(plan, saved)
}

// PlanDigest is of what has to be the same on two machines, beside what has to be for both to
// read the same, for one to apply what the other has planned: the tools apply a plan only with the version
// and the providers that made it, in the place that its backend's settings name, and paths
// of the folder may be values in it. It returns an error of kind Missing if there is no such
// tool, and Invalid if something cannot be read.
func (w *Workspace) PlanDigest(ctx context.Context) (string, error) {
	version, err := w.checkVersion(ctx)
	if err != nil {
		return "", err
	}
	return w.digest(func(h hash.Hash) error {
		fmt.Fprintf(h, "%q %q %q\n", filepath.Base(w.binary), version, w.dir)
		return w.digestTool(h)
	})
}

// ReadDigest is of what has to be the same on two machines, beside code and configuration,
// for both to read the same: the state that the code is held against, and variables. It
// returns an error of kind Invalid if something cannot be read.
func (w *Workspace) ReadDigest() (string, error) { return w.digest(w.digestState) }

func (w *Workspace) digest(add func(hash.Hash) error) (string, error) {
	h := hmac.New(sha256.New, w.config.Key) // variables and a backend's settings may be secret
	if err := add(h); err != nil {
		return "", &penumbra.Error{Kind: penumbra.Invalid, What: "read what `init` left in stack " + w.config.Stack, Err: err, Remedy: "run `tofu init` again"}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digestState adds variables, and which state `init` and `workspace select` chose. What
// differs each time, such as a lineage, is left out.
func (w *Workspace) digestState(h hash.Hash) error {
	selected := ""
	for _, setting := range slices.Sorted(slices.Values(w.environment())) {
		name, value, _ := strings.Cut(setting, "=")
		switch {
		case name == "TF_WORKSPACE":
			selected = value
		case strings.HasPrefix(name, "TF_VAR_"), name == "TF_CLI_ARGS", name == "TF_CLI_ARGS_plan":
			fmt.Fprintf(h, "%q\n", setting)
		}
	}
	at, err := w.left(filepath.Join(w.toolData(), "environment"))
	if err != nil {
		return err
	}
	var backend struct {
		Backend struct {
			Type   string `json:"type"`
			Config any    `json:"config"`
		} `json:"backend"`
	}
	if err := w.leftJSON("terraform.tfstate", &backend); err != nil {
		return err
	}
	settings, err := json.Marshal(backend.Backend)
	fmt.Fprintf(h, "%q %q\n", cmp.Or(selected, strings.TrimSpace(string(at)), "default"), settings)
	return err
}

// digestTool adds the providers and the modules that `init` installed.
func (w *Workspace) digestTool(h hash.Hash) error {
	lock, err := w.left(lockFile)
	if err != nil {
		return err
	}
	var modules struct {
		Modules []struct{ Key, Source, Version, Dir string }
	}
	if err := w.leftJSON("modules/modules.json", &modules); err != nil {
		return err
	}
	fmt.Fprintf(h, "%q\n", lock)
	slices.SortFunc(modules.Modules, func(a, b struct{ Key, Source, Version, Dir string }) int { return cmp.Compare(a.Key, b.Key) })
	for _, m := range modules.Modules {
		fmt.Fprintf(h, "%q %q %q %q\n", m.Key, m.Source, m.Version, m.Dir)
	}
	return nil
}

// leftJSON reads a file that the tool left in its own folder; if there is none it does nothing.
func (w *Workspace) leftJSON(name string, into any) error {
	data, err := w.left(filepath.Join(w.toolData(), filepath.FromSlash(name)))
	if err != nil || len(data) == 0 {
		return err
	}
	return json.Unmarshal(data, into)
}

// left returns what a file holds, nothing if there is none.
func (w *Workspace) left(name string) ([]byte, error) {
	data, err := os.ReadFile(w.abs(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
