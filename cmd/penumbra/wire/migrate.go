package wire

import (
	"cmp"
	"context"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/migrate"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// MigrateOptions say what of the embedded store is done to which database.
type MigrateOptions struct {
	To       string // the database's URL, "" for the configured one
	Verify   bool   // change nothing
	Restart  bool   // take out what an earlier attempt has left
	Progress func(share float64)
}

// Migrate carries the data directory's embedded store over into a database, or holds
// the two against each other, see [migrate.Run] and [migrate.Verify]. Nobody works on
// either meanwhile.
func (c *Config) Migrate(ctx context.Context, o MigrateOptions) (migrate.Report, error) {
	to := *c
	to.Store = cmp.Or(o.To, c.Store)
	if to.Store == "" {
		return migrate.Report{}, &penumbra.Error{Kind: penumbra.Invalid, What: "no database to carry the store over into", Remedy: "name one with --to, or with store in penumbra.yaml"}
	}
	if what, remedy := to.checkStore(); what != "" {
		return migrate.Report{}, &penumbra.Error{Kind: penumbra.Invalid, What: what, Remedy: remedy}
	}
	from, err := sqlite.Open(c.EmbeddedStore(), sqlite.ReadOnly())
	if err != nil {
		return migrate.Report{}, err
	}
	defer from.Close()
	config, err := databaseAt(to.Store)
	if err != nil {
		return migrate.Report{}, err
	}
	config.Carrying, config.ReadOnly = true, o.Verify
	options := migrate.Options{Restart: o.Restart, Progress: o.Progress}
	if o.Verify {
		s, err := postgres.Open(ctx, config)
		if err != nil {
			return migrate.Report{}, err
		}
		defer s.Close()
		return migrate.Verify(ctx, from, s, options)
	}
	lock, err := LockData(c.DataDir())
	if err != nil {
		return migrate.Report{}, err
	}
	defer func() { _ = lock.Unlock() }() // the process ends
	s, err := postgres.Open(ctx, config)
	if err != nil {
		return migrate.Report{}, err
	}
	defer s.Close()
	alone, err := s.Alone(ctx)
	if err != nil {
		return migrate.Report{}, err
	}
	defer alone.Release(ctx)
	return migrate.Run(ctx, from, s, options)
}
