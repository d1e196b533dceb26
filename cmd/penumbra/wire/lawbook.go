package wire

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/policy"
	"github.com/penumbra-iac/penumbra/proposal"
	"github.com/penumbra-iac/penumbra/remediation"
)

// lawbook puts policies that were proposed into the configured folder, and takes them
// away again.
type lawbook struct {
	*rereading
	audit *audit.Log
}

var (
	_ proposal.Policies      = lawbook{}
	_ remediation.PolicyBook = lawbook{}
)

// policyFolder returns a folder of policies as it is configured, the first if no name
// is asked for, and as an absolute path.
func (c *Config) policyFolder(asked string) (name, path string, err error) {
	for _, name := range c.Policy {
		if info, err := os.Stat(c.path(name)); err == nil && info.IsDir() && (asked == "" || asked == name) {
			return name, c.path(name), nil
		}
	}
	if asked != "" {
		return "", "", &penumbra.Error{Kind: penumbra.Stale, What: asked + " is no folder of policies any more", Remedy: "name it under `policy` in penumbra.yaml again, or look at the new proposals"}
	}
	return "", "", &penumbra.Error{Kind: penumbra.Missing, What: "no folder of policies is configured that one could be put into", Remedy: "name one under `policy` in penumbra.yaml"}
}

// Guarding implements [proposal.Policies].
func (l lawbook) Guarding(d *penumbra.Drift, paths []string) (penumbra.PolicyFile, error) {
	f := penumbra.PolicyFile{Name: policy.GuardFile(d.ID), Resource: d.Resource, Paths: paths}
	name, dir, err := l.c.policyFolder("")
	if err != nil {
		return f, err
	}
	f.Folder = name
	if _, err := os.Lstat(filepath.Join(dir, f.Name)); err == nil {
		return f, &penumbra.Error{Kind: penumbra.Refused, What: f.Path() + " is there already", Remedy: "look at it, and take it away if it is not needed"}
	}
	if err := l.settled(); err != nil {
		return f, err
	}
	f.Text, err = l.guard.Load().Guarding(d, paths, l.clock())
	return f, err
}

// settled returns an error of kind Invalid while the files of policies have a mistake:
// those in use are then not those that are there.
func (l lawbook) settled() error {
	for _, x := range l.status() {
		if x.Name == PolicyFiles && x.Error != "" {
			return &penumbra.Error{Kind: penumbra.Invalid, What: "the policies have a mistake, and nothing is added to them: " + x.Error, Remedy: "correct it; `penumbra policy check` lists all"}
		}
	}
	return nil
}

// at returns where a file is. It returns an error of kind Stale if its folder is not
// configured any more, and of kind Refused if it is no file of policies in there.
func (l lawbook) at(f *penumbra.PolicyFile) (string, error) {
	if f.Folder == "" || f.Name != filepath.Base(f.Name) || filepath.Ext(f.Name) != policy.Extension {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s is no file in a folder of policies", f.Path())}
	}
	_, dir, err := l.c.policyFolder(f.Folder)
	return filepath.Join(dir, f.Name), err
}

// CheckPolicies implements [remediation.PolicyBook].
func (l lawbook) CheckPolicies(ctx context.Context, f penumbra.PolicyFile, there bool) error {
	path, err := l.at(&f)
	if err != nil {
		return err
	}
	l.again(ctx) // what was written just now counts
	if err := l.settled(); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	switch {
	case !there && (err != nil || string(text) != f.Text):
		return &penumbra.Error{Kind: penumbra.Stale, What: f.Path() + " is no longer as it was written", Remedy: "take away what is not needed of it by hand"}
	case !there:
		return nil
	case err == nil:
		return &penumbra.Error{Kind: penumbra.Stale, What: f.Path() + " is there already", Remedy: "look at it, and at the new proposals"}
	}
	_, err = l.guard.Load().With(f.Name, f.Text)
	return err
}

const policyChangeAct = penumbra.Act("policy.change")

// SetPolicies implements [remediation.PolicyBook]. What cannot be recorded is not done.
func (l lawbook) SetPolicies(ctx context.Context, f penumbra.PolicyFile, there bool) error {
	path, err := l.at(&f)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(f.Text))
	e := penumbra.AuditEntry{Act: policyChangeAct, Target: penumbra.Target{ID: f.Path()}, Details: map[string]string{
		"policies": "sha256:" + hex.EncodeToString(sum[:]), "change": "added", "resource": string(f.Resource),
	}}
	change := policy.WriteFile
	if !there {
		e.Details["change"], change = "taken away", policy.RemoveFile
	}
	by(ctx, f.By, &e)
	if err := l.audit.Record(ctx, e); err != nil {
		return err
	}
	if err := change(path, f.Text); err != nil {
		e.Outcome, e.Details["error"] = penumbra.AuditFailed, err.Error()
		if recorded := l.audit.Record(ctx, e); recorded != nil {
			l.log.Error("that policies could not be changed is not in the audit log", "file", f.Path(), "error", recorded)
		}
		return err
	}
	l.again(ctx)
	return nil
}

// PoliciesHold implements [remediation.PolicyBook].
func (l lawbook) PoliciesHold(_ context.Context, f penumbra.PolicyFile, there bool) error {
	all, some := l.guard.Load().Set.Has(f.Text)
	if there && all || !there && !some {
		return nil
	}
	if err := l.settled(); err != nil {
		return err
	}
	what := "the policies of " + f.Path() + " are not in use"
	if !there {
		what = "policies of " + f.Path() + " are still in use"
	}
	return &penumbra.Error{Kind: penumbra.Stale, What: what, Remedy: "see `penumbra status` and `penumbra policy check`"}
}
