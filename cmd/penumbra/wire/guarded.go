package wire

import (
	"context"

	"github.com/penumbra-iac/penumbra/guard"
)

// Open joins all parts on the configured data directory, which is this process's alone
// until it is closed, behind what says who may do what.
func Open(ctx context.Context, c *Config, o Options) (*Loop, error) {
	rights, err := c.rights()
	if err != nil {
		return nil, err
	}
	opened := open
	if c.Shared() && o.Turn == nil {
		opened = openBriefly
	}
	l, err := opened(ctx, c, o)
	if err != nil {
		return nil, err
	}
	l.rights = rights
	return l, nil
}

// Service is what the loop shows to who may see it.
func (l *Loop) Service() *guard.Service { return guard.New(l.Unguarded(), l.rights, l.Audit) }

// Unguarded is what it shows to Penumbra itself.
func (l *Loop) Unguarded() Unguarded {
	return Unguarded{l.Engine, l.Audit, l.Access, l.Teller, Library{l.Manuals}, l.mover, l.Tasks, l.roster}
}
