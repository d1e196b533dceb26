package wire

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
)

// The data directory's keyring, and its own master key where none is given.
const (
	keyringFile = "keyring.age"
	masterFile  = "master.key"
)

// MasterKey returns what opens the keyring: from the environment, from the file that
// it names, or the data directory's own, which is made on first use. One that is lost
// is not made anew: what is encrypted could not be read with it.
func (c *Config) MasterKey() (atrest.Master, error) {
	if text := os.Getenv("PENUMBRA_MASTER_KEY"); text != "" {
		return atrest.MasterFrom(text, "PENUMBRA_MASTER_KEY")
	}
	if path := os.Getenv("PENUMBRA_MASTER_KEY_FILE"); path != "" {
		return atrest.MasterFile(path, false)
	}
	dir := c.DataDir()
	_, err := os.Stat(filepath.Join(dir, keyringFile))
	return atrest.MasterFile(filepath.Join(dir, masterFile), os.IsNotExist(err))
}

// Keyring returns the keys that plans and logs of runs are encrypted with.
func (c *Config) Keyring(now func() time.Time) (*atrest.Keyring, error) {
	master, err := c.MasterKey()
	if err != nil {
		return nil, err
	}
	return c.KeyringOf(master, now)
}

// KeyringOf returns the keyring that a master key opens.
func (c *Config) KeyringOf(master atrest.Master, now func() time.Time) (*atrest.Keyring, error) {
	return atrest.Open(filepath.Join(c.DataDir(), keyringFile), master, now)
}

// sealedStore keeps logs of runs and printed plans encrypted, in any store.
type sealedStore struct {
	engine.Store
	keys *atrest.Keyring
}

func (s sealedStore) hideRun(r penumbra.Run) (penumbra.Run, error) {
	var err error
	r.Log, err = s.keys.EncryptText("run "+r.ID, r.Log)
	return r, err
}

func (s sealedStore) hideProposal(p penumbra.Proposal) (penumbra.Proposal, error) {
	if p.Plan == nil || p.Plan.Text == "" {
		return p, nil
	}
	plan := *p.Plan // the caller's stays
	var err error
	plan.Text, err = s.keys.EncryptText("proposal "+p.ID, plan.Text)
	p.Plan = &plan
	return p, err
}

func (s sealedStore) SaveRun(ctx context.Context, r penumbra.Run) error {
	r, err := s.hideRun(r)
	if err != nil {
		return err
	}
	return s.Store.SaveRun(ctx, r)
}

func (s sealedStore) Runs(ctx context.Context, q penumbra.RunQuery) ([]penumbra.Run, error) {
	runs, err := s.Store.Runs(ctx, q)
	for i := range runs {
		if err != nil {
			return nil, err
		}
		runs[i].Log, err = s.keys.DecryptText("run "+runs[i].ID, runs[i].Log)
	}
	return runs, err
}

func (s sealedStore) SaveProposals(ctx context.Context, proposals []penumbra.Proposal) error {
	hidden := make([]penumbra.Proposal, len(proposals))
	for i, p := range proposals {
		var err error
		if hidden[i], err = s.hideProposal(p); err != nil {
			return err
		}
	}
	return s.Store.SaveProposals(ctx, hidden)
}

func (s sealedStore) Proposals(ctx context.Context, q penumbra.ProposalQuery) ([]penumbra.Proposal, error) {
	proposals, err := s.Store.Proposals(ctx, q)
	for i := range proposals {
		if err != nil {
			return nil, err
		}
		if p := proposals[i].Plan; p != nil {
			p.Text, err = s.keys.DecryptText("proposal "+proposals[i].ID, p.Text)
		}
	}
	return proposals, err
}

func (s sealedStore) Decide(ctx context.Context, d penumbra.Decision, p penumbra.Proposal, run *penumbra.Run) error {
	p, err := s.hideProposal(p)
	if err != nil {
		return err
	}
	if run != nil {
		hidden, err := s.hideRun(*run)
		if err != nil {
			return err
		}
		run = &hidden
	}
	return s.Store.Decide(ctx, d, p, run)
}

func (s sealedStore) Start(ctx context.Context, p penumbra.Proposal, run penumbra.Run) error {
	p, err := s.hideProposal(p)
	if err != nil {
		return err
	}
	if run, err = s.hideRun(run); err != nil {
		return err
	}
	return s.Store.Start(ctx, p, run)
}
