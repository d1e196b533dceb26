package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	adapter "github.com/penumbra-iac/penumbra/adapter/postgres"
	"github.com/penumbra-iac/penumbra/adapter/river"
	"github.com/penumbra-iac/penumbra/audit"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/reads"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/engine/decisions"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/store/contract"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/sqlite"
)

// storeFile is the embedded store in the data directory.
const storeFile = "penumbra.db"

// EmbeddedStore is the file of the embedded store, whether or not it is in use.
func (c *Config) EmbeddedStore() string { return filepath.Join(c.DataDir(), storeFile) }

// The variables that hold the store's password, or name the file that does.
const (
	storePassword     = "PENUMBRA_STORE_PASSWORD"
	storePasswordFile = "PENUMBRA_STORE_PASSWORD_FILE"
)

// checkStore returns what is wrong with where everything is to be kept.
func (c *Config) checkStore() (what, remedy string) {
	if c.KeepTimelines < 0 {
		return fmt.Sprintf("keep_timelines is %s", c.KeepTimelines), "give a time such as 9600h, or leave it out to keep all"
	}
	if c.Store == "" {
		if c.KeepTimelines > 0 {
			return "keep_timelines has no meaning for the embedded store, which keeps all", "leave it out, or name a PostgreSQL database with store (docs/storage.md)"
		}
		return "", ""
	}
	u, err := url.Parse(c.Store)
	switch {
	case adapter.HasPassword(c.Store):
		return "store holds a password", "put it in " + storePassword + ", in a file that " + storePasswordFile + " names, or in ~/.pgpass"
	case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql":
		return "store is not the URL of a PostgreSQL database", "write postgres://penumbra@db.example/penumbra, or leave it out for the embedded store"
	}
	return "", ""
}

// databaseAt says how the database at a URL is opened.
func databaseAt(url string) (postgres.Config, error) {
	config := postgres.Config{Connection: url, Password: os.Getenv(storePassword)}
	path := os.Getenv(storePasswordFile)
	if config.Password != "" || path == "" {
		return config, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return config, &penumbra.Error{Kind: penumbra.Missing, What: "read " + storePasswordFile, Remedy: "name a file that holds the password of the store's role", Err: err}
	}
	if config.Password = strings.TrimRight(string(text), "\r\n"); config.Password == "" {
		return config, &penumbra.Error{Kind: penumbra.Invalid, What: storePasswordFile + " " + path + " is empty", Remedy: "put the password of the store's role into it"}
	}
	return config, nil
}

// OpenToRead opens the configured store without writing to it. It returns an error of
// kind NotFound if there is none yet.
func (c *Config) OpenToRead(ctx context.Context) (contract.Store, error) {
	if c.Store == "" {
		s, err := sqlite.Open(c.EmbeddedStore(), sqlite.ReadOnly())
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	config, err := databaseAt(c.Store)
	if err != nil {
		return nil, err
	}
	config.ReadOnly = true
	s, err := postgres.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// keeping is the configured store with what depends on its kind.
type keeping struct {
	contract.Store
	queue decisions.Queue
	// upkeep sees, until its context ends, that this process has the store alone, and
	// drops what it need not keep any longer.
	upkeep func(ctx context.Context, log *audit.Log) error
	close  func(context.Context) error
	plans  *planSharer  // nil if no other node needs them
	asker  *reads.Asker // nil if this process reads alone
}

// sealed is the store as the engine has it: what may hold secrets lies encrypted, and
// other nodes get at the plans.
func (k *keeping) sealed(keys *atrest.Keyring) engine.Store {
	s := engine.Store(sealedStore{k, keys})
	if k.plans != nil {
		k.plans.Store = s
		s = k.plans
	}
	return s
}

// openStore opens the configured store, which is this process's alone until it is
// closed, and the queue of jobs in it.
func (c *Config) openStore(ctx context.Context, o Options) (*keeping, error) {
	queue := river.Options{Now: o.Now, Log: o.Log}
	if c.Store != "" {
		return c.openDatabase(ctx, o, queue)
	}
	s, err := sqlite.Open(c.EmbeddedStore())
	if err != nil {
		return nil, err
	}
	q, err := river.NewSQLite(ctx, s.Writer(), queue)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.WithJobs(q.AddTx)
	return &keeping{
		Store: s, queue: q, close: func(context.Context) error { return s.Close() },
		upkeep: func(ctx context.Context, _ *audit.Log) error { <-ctx.Done(); return nil },
	}, nil
}

func (c *Config) openDatabase(ctx context.Context, o Options, queue river.Options) (*keeping, error) {
	config, err := databaseAt(c.Store)
	if err != nil {
		return nil, err
	}
	if o.Turn != nil {
		config.Term = o.Turn.Term
	}
	s, err := postgres.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	alone, err := s.Alone(ctx)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	end := func(ctx context.Context) error {
		alone.Release(ctx)
		return s.Close()
	}
	q, err := river.NewPostgres(ctx, s.Pool(), queue)
	if err != nil {
		return nil, errors.Join(err, end(ctx))
	}
	s.WithJobs(q.AddTx)
	k := &keeping{Store: s, queue: q, close: end}
	if o.Turn != nil {
		k.plans = &planSharer{store: s, master: o.Turn.master, dir: c.DataDir(), sent: map[string]time.Time{}}
	}
	if o.Turn != nil && o.Turn.spread {
		if k.asker, err = c.newAsker(ctx, s, o); err != nil {
			return nil, errors.Join(err, end(ctx))
		}
	}
	k.upkeep = func(ctx context.Context, log *audit.Log) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return alone.Keep(ctx) })
		g.Go(func() error { return c.dropOld(ctx, s, log, o) })
		if k.plans != nil {
			g.Go(func() error { return k.plans.drop(ctx, o) })
		}
		if k.asker != nil {
			g.Go(func() error { return k.asker.Run(ctx) })
		}
		return g.Wait()
	}
	return k, nil
}

// dropEvery is how often it is looked for timelines that have become old.
const dropEvery = time.Hour

// dropOld drops, until ctx ends, what of the timelines is older than is configured.
func (c *Config) dropOld(ctx context.Context, s *postgres.Store, log *audit.Log, o Options) error {
	if c.KeepTimelines == 0 {
		return nil
	}
	tick := time.NewTicker(dropEvery)
	defer tick.Stop()
	for {
		before := o.Clock()().Add(-c.KeepTimelines)
		n, err := s.DropBefore(ctx, before)
		if n > 0 {
			e := penumbra.AuditEntry{Act: "timelines.drop", Details: map[string]string{"before": before.UTC().Format(time.RFC3339), "observations": fmt.Sprint(n)}}
			by(ctx, "", &e)
			err = errors.Join(err, log.Record(ctx, e))
		}
		if err != nil && ctx.Err() == nil {
			o.logger().Warn("old timelines were not dropped; that is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (o Options) logger() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}
