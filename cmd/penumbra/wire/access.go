package wire

import (
	"os/user"
	"time"

	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/guard"
	"github.com/penumbra-iac/penumbra/notify"
	"github.com/penumbra-iac/penumbra/web"
)

// TokenFile holds, in the data directory, what the machine's owner shows: whoever
// can read it works on the data as they like anyway.
const TokenFile = "token"

// Unguarded is all that the API and the pages show, to nobody in particular: the loop,
// what was done, and who may ask.
type Unguarded struct {
	*engine.Engine
	api.Auditor
	*access.Keeper
	*notify.Teller
	Library
	*Mover
	api.Tasker
	Roster
}

var (
	_ guard.Inner       = Unguarded{}
	_ api.Service       = (*guard.Service)(nil)
	_ api.Authenticator = (*access.Keeper)(nil)
	_ web.Service       = (*guard.Service)(nil)
	_ web.Door          = (*access.Keeper)(nil)
	_ web.Founder       = (*access.Keeper)(nil)
)

// openAccess returns who may ask on a data directory, beside its owner those that a
// store keeps.
//
// Its times are the machine's: a rehearsal's clock does not end anybody's session.
func openAccess(c *Config, store access.Store, log access.Recorder) (*access.Keeper, error) {
	secret, err := SecretFile(c.DataDir(), TokenFile)
	if err != nil {
		return nil, err
	}
	return access.New(access.Config{Store: store, Now: time.Now, Audit: log, Local: access.Owner(ownerName()), LocalSecret: secret}), nil
}

// ownerName is the user of this machine whose process it is.
func ownerName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}
