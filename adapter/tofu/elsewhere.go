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

// This file has what makes a plan on one machine applicable on another.

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

// PlanDigest is of what has to be the same on two machines, beside code and configuration,
// for one to apply what the other has planned: the tools apply a plan only with the version
// and the providers that made it, in the place that its backend's settings name, and paths
// of the folder may be values in it. It returns an error of kind Missing if there is no such
// tool, and Invalid if something cannot be read.
func (w *Workspace) PlanDigest(ctx context.Context) (string, error) {
	version, err := w.checkVersion(ctx)
	if err != nil {
		return "", err
	}
	h := hmac.New(sha256.New, w.config.Key) // variables and a backend's settings may be secret
	fmt.Fprintf(h, "%q %q %q\n", filepath.Base(w.binary), version, w.dir)
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
	if err := w.digestInit(h, selected); err != nil {
		return "", &penumbra.Error{Kind: penumbra.Invalid, What: "read what `init` left in stack " + w.config.Stack, Err: err, Remedy: "run `tofu init` again"}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digestInit adds what `init` and `workspace select` left: providers, workspace, backend,
// modules. What differs each time, such as a lineage, is left out.
func (w *Workspace) digestInit(h hash.Hash, selected string) error {
	lock, err := w.left(lockFile)
	if err != nil {
		return err
	}
	at, err := w.left(filepath.Join(w.toolData(), "environment"))
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %q\n", lock, cmp.Or(selected, strings.TrimSpace(string(at)), "default"))
	var backend struct {
		Backend struct {
			Type   string `json:"type"`
			Config any    `json:"config"`
		} `json:"backend"`
	}
	var modules struct {
		Modules []struct{ Key, Source, Version, Dir string }
	}
	for name, into := range map[string]any{"terraform.tfstate": &backend, "modules/modules.json": &modules} {
		data, err := w.left(filepath.Join(w.toolData(), filepath.FromSlash(name)))
		if err == nil && len(data) > 0 {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			return err
		}
	}
	settings, err := json.Marshal(backend.Backend)
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q\n", settings)
	slices.SortFunc(modules.Modules, func(a, b struct{ Key, Source, Version, Dir string }) int { return cmp.Compare(a.Key, b.Key) })
	for _, m := range modules.Modules {
		fmt.Fprintf(h, "%q %q %q %q\n", m.Key, m.Source, m.Version, m.Dir)
	}
	return nil
}

// left returns what a file holds, nothing if there is none.
func (w *Workspace) left(name string) ([]byte, error) {
	data, err := os.ReadFile(w.abs(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
