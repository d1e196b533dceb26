package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
)

// daemonFile is where a running daemon says how it is reached.
const daemonFile = "daemon.json"

// tokenFile holds what the daemon asks of who calls it.
const tokenFile = "token"

type daemonInfo struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

// service is how a verb reaches the loop: the daemon's API, or the same API on
// an engine of the verb's own while no daemon runs.
type service struct {
	*api.Client
	daemon bool
	close  func(context.Context) error
}

// connect returns the service on the configured data directory.
func (a *app) connect(ctx context.Context) (*service, error) {
	c, err := a.config()
	if err != nil {
		return nil, err
	}
	if client := running(ctx, c.dataDir()); client != nil {
		return &service{Client: client, daemon: true, close: func(context.Context) error { return nil }}, nil
	}
	loop, err := a.open(ctx, c, openOptions{log: a.logger()})
	if err != nil {
		return nil, err
	}
	const token = "in process"
	return &service{
		Client: api.InProcess(api.Handler(loop.engine, token, buildVersion()), token),
		close:  loop.close,
	}, nil
}

// running returns a client of the daemon that works on the data directory, nil
// if none answers.
func running(ctx context.Context, dir string) *api.Client {
	text, err := os.ReadFile(filepath.Join(dir, daemonFile))
	if err != nil {
		return nil
	}
	var info daemonInfo
	if json.Unmarshal(text, &info) != nil || info.URL == "" {
		return nil
	}
	token, err := secretFile(dir, tokenFile)
	if err != nil {
		return nil
	}
	client := api.NewClient(info.URL, token)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := client.Status(ctx); err != nil {
		return nil
	}
	return client
}

// announceDaemon writes how the daemon is reached, and returns what takes that
// back.
func announceDaemon(dir, url string) (withdraw func(), err error) {
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

// lockData makes this process the only one that works on the data directory.
func lockData(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "make the data directory " + dir, Remedy: "choose another with --data", Err: err}
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	got, err := lock.TryLock()
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "lock the data directory " + dir, Remedy: "check its permissions", Err: err}
	}
	if !got {
		return nil, &penumbra.Error{Kind: penumbra.Locked, What: "another penumbra works on " + dir, Remedy: "wait until it has ended, or start `penumbra serve`, which many can ask at once"}
	}
	return lock, nil
}

func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	return abs, nil
}
