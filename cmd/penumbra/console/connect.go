package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// daemonFile is where a running daemon says how it is reached.
const daemonFile = "daemon.json"

// TokenVariable is the environment variable whose token is shown rather than that of
// the machine's owner.
const TokenVariable = "PENUMBRA_TOKEN"

type daemonInfo struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// Service is how a verb reaches the loop: the daemon's API, or the same API on
// an engine of the verb's own while no daemon runs.
type Service struct {
	*api.Client
	Daemon bool
	close  func(context.Context) error
}

// connect returns the service on the configured data directory.
func (a *Console) connect(ctx context.Context) (*Service, error) {
	c, err := a.Config()
	if err != nil {
		return nil, err
	}
	if c.Client.Server != "" {
		return elsewhere(c)
	}
	if client := Running(ctx, c); client != nil {
		return &Service{Client: client, Daemon: true, close: func(context.Context) error { return nil }}, nil
	}
	loop, err := wire.Open(ctx, c, wire.Options{Log: a.Logger(), Version: a.Version})
	if err != nil {
		return nil, err
	}
	token, err := credential(c.DataDir())
	if err != nil {
		return nil, errors.Join(err, loop.Close(context.WithoutCancel(ctx)))
	}
	return &Service{
		Client: api.InProcess(api.Handler(loop.Service(), loop.Access, a.Version), token),
		close:  loop.Close,
	}, nil
}

// Daemon returns a client of the daemon that works on the data directory, or of the
// configured one elsewhere; nil if none runs. It is for verbs that can do without, and
// then need no data directory.
func (a *Console) Daemon(ctx context.Context) (*api.Client, error) {
	c, err := a.Config()
	if err != nil {
		return nil, err
	}
	if c.Client.Server != "" {
		s, err := elsewhere(c)
		if err != nil {
			return nil, err
		}
		return s.Client, nil
	}
	return Running(ctx, c), nil
}

// elsewhere returns the service of a daemon on another machine.
func elsewhere(c *wire.Config) (*Service, error) {
	token := os.Getenv(TokenVariable)
	if token == "" {
		var err error
		if token, err = LoginOf(c.Client.Server); err != nil {
			return nil, err
		}
	}
	if token == "" && c.Client.Cert == "" {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "nothing says who asks " + c.Client.Server, Remedy: "run `penumbra login`, give a token in " + TokenVariable + ", or a certificate under client in penumbra.yaml"}
	}
	h, err := c.HTTPClient(false)
	if err != nil {
		return nil, err
	}
	return &Service{
		Client: api.NewClient(c.Client.Server, token, api.WithHTTPClient(h)), Daemon: true,
		close: func(context.Context) error { return nil },
	}, nil
}

// Running returns a client of the daemon that works on the data directory, nil
// if none answers.
func Running(ctx context.Context, c *wire.Config) *api.Client {
	dir := c.DataDir()
	text, err := os.ReadFile(filepath.Join(dir, daemonFile))
	if err != nil {
		return nil
	}
	var info daemonInfo
	if json.Unmarshal(text, &info) != nil || info.URL == "" {
		return nil
	}
	token, err := wire.SecretFile(dir, wire.TokenFile)
	if err != nil {
		return nil
	}
	h, err := c.HTTPClient(true)
	if err != nil {
		return nil
	}
	client := api.NewClient(info.URL, token, api.WithHTTPClient(h))
	wait := 3 * time.Second
	if c.Shared() {
		wait = 20 * time.Second // it may have to wait for another node to lead
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// Another daemon may have the port by now: the owner's token tells.
	if _, err := client.Whoami(ctx); err != nil {
		return nil
	}
	if token := os.Getenv(TokenVariable); token != "" {
		return api.NewClient(info.URL, token, api.WithHTTPClient(h))
	}
	return client
}

// credential is what a verb shows: the token of the environment, or that of the
// machine's owner.
func credential(dir string) (string, error) {
	if token := os.Getenv(TokenVariable); token != "" {
		return token, nil
	}
	return wire.SecretFile(dir, wire.TokenFile)
}

// AnnounceDaemon writes how the daemon is reached, and returns what takes that
// back.
func AnnounceDaemon(dir, url string) (withdraw func(), err error) {
	path := filepath.Join(dir, daemonFile)
	text, err := json.Marshal(daemonInfo{URL: url, PID: os.Getpid()})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("say how the daemon is reached: %w", err)
	}
	return func() { _ = os.Remove(path) }, nil
}
