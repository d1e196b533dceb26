package beam

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// A database that Penumbra keeps its timelines in can be named beside files, by its URL.
// Each stack of it is read by itself, so that workers share the reading, up to what was
// stored last when the job began: however often it is read, it is the same.

// The variables that hold the password of the database's role, or name the file that
// does: of this process, and of every worker.
const (
	passwordVariable     = "PENUMBRA_STORE_PASSWORD"
	passwordFileVariable = "PENUMBRA_STORE_PASSWORD_FILE"
)

// openDatabase opens a database to read it, or to write scores into it beside whatever
// works on it.
func openDatabase(ctx context.Context, address string, toWrite bool) (*postgres.Store, error) {
	c := postgres.Config{Connection: address, Password: os.Getenv(passwordVariable), ReadOnly: !toWrite, Unmigrated: true}
	if path := os.Getenv(passwordFileVariable); c.Password == "" && path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read " + passwordFileVariable, Remedy: "name a file that holds the password of the store's role", Err: err}
		}
		c.Password = strings.TrimRight(string(text), "\r\n")
	}
	return postgres.Open(ctx, c)
}

// spread returns the inputs that workers read: files as they are, and each stack of a
// database, named behind its URL. It returns an error of kind NotFound if a database has
// no timelines.
func spread(ctx context.Context, inputs []string) ([]string, error) {
	var out []string
	for _, input := range inputs {
		if !postgres.IsURL(input) {
			out = append(out, input)
			continue
		}
		if err := checkAddress("read", input); err != nil {
			return nil, err
		}
		s, err := openDatabase(ctx, input, false)
		if err != nil {
			return nil, err
		}
		last, err := s.Sequence(ctx)
		var stacks []string
		if err == nil && last > 0 {
			stacks, err = stacksOf(ctx, s)
		}
		s.Close()
		if err == nil && len(stacks) == 0 {
			err = &penumbra.Error{Kind: penumbra.NotFound, What: "read timelines of " + s.Where() + ": there are none", Remedy: "name a database that Penumbra has worked on"}
		}
		if err != nil {
			return nil, err
		}
		for _, stack := range stacks {
			out = append(out, fmt.Sprintf("%s#%d/%s", input, last, url.PathEscape(stack)))
		}
	}
	return out, nil
}

// checkAddress refuses what is no URL of a database, or has a password, and does not say it.
func checkAddress(what, address string) error {
	if u, err := url.Parse(address); err == nil && u.Fragment == "" && !hasPassword(u) {
		return nil
	}
	return invalid(what+" a database whose URL is none, or has a password",
		"write postgres://penumbra@db.example/penumbra, and put the password in "+passwordVariable+", or in a file that "+passwordFileVariable+" names")
}

// hasPassword reports whether a URL has one: runners show what a job reads and writes.
func hasPassword(u *url.URL) bool {
	_, set := u.User.Password()
	return set || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// stacksOf returns the stacks that a database has timelines of.
func stacksOf(ctx context.Context, s *postgres.Store) ([]string, error) {
	rows, err := s.Pool().Query(ctx, `SELECT DISTINCT stack FROM resources ORDER BY stack`)
	if err == nil {
		var stacks []string
		if stacks, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return stacks, nil
		}
	}
	return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "ask " + s.Where() + " for its stacks", Err: err}
}

// eachStored visits what a stack of a database says. Sensitive values are hashes there.
func eachStored(ctx context.Context, input string, visit func(*penumbra.Observation) error) error {
	address, part, _ := strings.Cut(input, "#")
	last, escaped, _ := strings.Cut(part, "/")
	q := penumbra.ObservationQuery{}
	var err error
	if q.UpTo, err = strconv.ParseInt(last, 10, 64); err == nil {
		q.Stack, err = url.PathUnescape(escaped)
	}
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "read a stack of a database", Err: err}
	}
	s, err := openDatabase(ctx, address, false)
	if err != nil {
		return err
	}
	defer s.Close()
	for o, err := range s.Observations(ctx, q) {
		if err == nil {
			err = visit(&o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
