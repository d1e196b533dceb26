package console

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/penumbra-iac/penumbra"
)

// loginsFile holds the tokens that `penumbra login` got, by the daemon's address.
func loginsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", &penumbra.Error{Kind: penumbra.Missing, What: "find the folder for your settings", Remedy: "set HOME or XDG_CONFIG_HOME", Err: err}
	}
	return filepath.Join(dir, "penumbra", "logins.json"), nil
}

// Server is a daemon's address as logins are kept by.
func Server(address string) string { return strings.TrimRight(address, "/") }

// LoginOf returns the token kept for a daemon, "" if there is none.
func LoginOf(server string) (string, error) {
	logins, _, err := readLogins()
	return logins[Server(server)], err
}

func readLogins() (map[string]string, string, error) {
	path, err := loginsFile()
	if err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, path, nil
	}
	logins := map[string]string{}
	if err == nil {
		err = json.Unmarshal(text, &logins)
	}
	if err != nil {
		return nil, "", &penumbra.Error{Kind: penumbra.Damaged, What: "read " + path, Remedy: "remove it and log in again", Err: err}
	}
	return logins, path, nil
}

// KeepLogin keeps a token for a daemon, for its owner's eyes alone; "" forgets it.
func KeepLogin(server, token string) (path string, err error) {
	logins, path, err := readLogins()
	if err != nil {
		return "", err
	}
	if token == "" {
		delete(logins, Server(server))
	} else {
		logins[Server(server)] = token
	}
	text, err := json.MarshalIndent(logins, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "keep the token in " + path, Remedy: "make the folder writable", Err: err}
	}
	if err := renameio.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "keep the token in " + path, Remedy: "make the folder writable", Err: err}
	}
	return path, nil
}
