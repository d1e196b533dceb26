package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra"
)

// Node is a process that shares the database with others.
type Node struct {
	Name    string
	Address string // the URL at which the others reach it
	Version string // of the program
}

// Term is a time for which one node leads: it alone works on the database.
type Term struct {
	Number int64 // counts the leaders there were, from 1
	Node   Node  // without its version
}

// How long a leader is one that is not heard of, how often it says that it is, and how
// often the others look. All times are the server's, so that clocks need not agree.
const (
	termLasts  = 4 * time.Second
	keepEvery  = time.Second
	standEvery = 500 * time.Millisecond
)

// Election decides which of the nodes that share a database leads.
//
// A node leads for a term of a few seconds, which it prolongs. One that was paused or
// cut off for longer has lost it, and need not know: whoever leads next first ends all
// connections of earlier terms, and a connection of a term that is over is refused
// ([Config.Term]). So two nodes may both believe that they lead, and one alone can read
// or write (a fenced lease: M. Kleppmann, Designing Data-Intensive Applications, 2017,
// p. 303).
type Election struct {
	store *Store // of no term
	node  Node
}

// Election makes the process a node. The store is of no term, and is open for longer
// than the election.
func (s *Store) Election(node Node) *Election { return &Election{store: s, node: node} }

// Leader returns the term that lasts. It returns an error of kind NotFound if no node leads.
func (e *Election) Leader(ctx context.Context) (t Term, err error) {
	err = e.store.pool.QueryRow(ctx, `SELECT term, node, address FROM leadership WHERE until > clock_timestamp()`).Scan(&t.Number, &t.Node.Name, &t.Node.Address)
	if errors.Is(err, pgx.ErrNoRows) {
		return Term{}, &penumbra.Error{Kind: penumbra.NotFound, What: "no node leads", Remedy: "try again in a few seconds"}
	}
	if err != nil {
		return Term{}, e.store.fault("ask who leads", err)
	}
	return t, nil
}

// Stand tries once to lead. If it does, no connection of an earlier term is left. It
// returns an error of kind Locked if another node leads.
func (e *Election) Stand(ctx context.Context) (Term, error) {
	t := Term{Node: Node{Name: e.node.Name, Address: e.node.Address}}
	err := e.store.pool.QueryRow(ctx, `INSERT INTO leadership AS l (one, term, node, address, until) VALUES (1, 1, $1, $2, clock_timestamp() + $3)
		ON CONFLICT (one) DO UPDATE SET term = l.term + 1, node = excluded.node, address = excluded.address, until = excluded.until
		WHERE l.until < clock_timestamp() RETURNING term`, e.node.Name, e.node.Address, termLasts).Scan(&t.Number)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, &penumbra.Error{Kind: penumbra.Locked, What: "another node leads", Remedy: "wait until its term is over"}
	}
	if err == nil {
		err = e.endOthers(ctx, t)
	}
	if err != nil {
		return t, e.store.fault("lead", err)
	}
	return t, nil
}

// endOthers ends the connections of earlier terms, and waits until they are gone. What
// one of them had not committed is rolled back.
func (e *Election) endOthers(ctx context.Context, t Term) error {
	ctx, cancel := context.WithTimeout(ctx, termLasts)
	defer cancel()
	for {
		if held, err := e.prolong(ctx, t); err != nil || !held {
			return errors.Join(err, ctx.Err())
		}
		var left int
		if err := e.store.pool.QueryRow(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name LIKE $1 AND application_name <> $2`, termPrefix+"%", t.name()).Scan(&left); err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d connections of an earlier leader have not ended", left)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// prolong has the term last from now on. It reports false once it is over.
func (e *Election) prolong(ctx context.Context, t Term) (bool, error) {
	tag, err := e.store.pool.Exec(ctx, `UPDATE leadership SET until = clock_timestamp() + $2 WHERE term = $1 AND until > clock_timestamp()`, t.Number, termLasts)
	return err == nil && tag.RowsAffected() == 1, err
}

// Keep prolongs a term until ctx ends. It returns an error of kind Locked once the term
// is over, or may be: whoever leads must stop then.
func (e *Election) Keep(ctx context.Context, t Term) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		asked := time.Now()
		asking, cancel := context.WithTimeout(ctx, keepEvery)
		held, err := e.prolong(asking, t)
		cancel()
		switch {
		case held:
			last = asked
		case ctx.Err() != nil:
			return nil
		case err == nil || time.Since(last) > termLasts:
			return &penumbra.Error{Kind: penumbra.Locked, What: fmt.Sprintf("term %d of node %s is over", t.Number, t.Node.Name), Remedy: "the node stands by until it leads again", Err: err}
		}
	}
}

// Resign ends a term at once, so that the others need not wait.
func (e *Election) Resign(ctx context.Context, t Term) error {
	_, err := e.store.pool.Exec(ctx, `UPDATE leadership SET until = '-infinity' WHERE term = $1`, t.Number)
	if err != nil {
		return e.store.fault("resign", err)
	}
	return nil
}

// Follow tells of who leads whenever that has changed, no term while nobody does, and
// says to the others that this node is there, until ctx ends.
func (e *Election) Follow(ctx context.Context, leads func(Term)) {
	tick := time.NewTicker(standEvery)
	defer tick.Stop()
	var told Term
	for first := true; ; first = false {
		asking, cancel := context.WithTimeout(ctx, keepEvery)
		t, err := e.Leader(asking)
		if err == nil {
			err = e.greet(asking)
		}
		cancel()
		known := err == nil || penumbra.KindOf(err) == penumbra.NotFound // what cannot be asked is as it was
		if known && (first || t != told) {
			told = t
			leads(t)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// greet says that the node is there.
func (e *Election) greet(ctx context.Context) error {
	_, err := e.store.pool.Exec(ctx, `INSERT INTO nodes AS n (name, address, version, seen) VALUES ($1, $2, $3, clock_timestamp())
		ON CONFLICT (name) DO UPDATE SET address = excluded.address, version = excluded.version, seen = excluded.seen
		WHERE n.seen < excluded.seen - interval '2 seconds' OR n.address <> excluded.address OR n.version <> excluded.version`, e.node.Name, e.node.Address, e.node.Version)
	return err
}

// Nodes returns the nodes that were heard of within a day, by name.
func (e *Election) Nodes(ctx context.Context) (penumbra.Nodes, error) {
	var out penumbra.Nodes
	rows, err := e.store.pool.Query(ctx, `SELECT n.name, n.address, n.version, n.seen, coalesce(l.until > clock_timestamp(), false), clock_timestamp()
		FROM nodes n LEFT JOIN leadership l ON l.node = n.name WHERE n.seen > clock_timestamp() - interval '1 day' ORDER BY n.name`)
	if err == nil {
		out.Nodes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (n penumbra.Node, err error) {
			err = row.Scan(&n.Name, &n.Address, &n.Version, &n.Seen, &n.Leads, &out.Time)
			n.Seen, out.Time = n.Seen.UTC(), out.Time.UTC()
			return n, err
		})
	}
	if err != nil {
		return penumbra.Nodes{}, e.store.fault("ask for the nodes", err)
	}
	return out, nil
}

// termPrefix begins the name of the connections of a term, which the server knows before they can
// do anything.
const termPrefix = "penumbra term "

func (t Term) name() string { return termPrefix + strconv.FormatInt(t.Number, 10) }

// fence refuses a connection whose term is over.
func fence(ctx context.Context, conn *pgx.Conn, t Term) error {
	var now int64
	if err := conn.QueryRow(ctx, `SELECT term FROM leadership`).Scan(&now); err != nil {
		return err
	}
	if now != t.Number {
		return &penumbra.Error{Kind: penumbra.Locked, What: fmt.Sprintf("term %d of node %s is over", t.Number, t.Node.Name), Remedy: "ask the node that leads now"}
	}
	return nil
}

// NodeName is what a node may be called.
var NodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// SaveFile keeps a file that every node needs. What is given is encrypted already.
func (s *Store) SaveFile(ctx context.Context, path string, body []byte) error {
	return s.exec(ctx, "keep a file for all nodes", `INSERT INTO shared_files (path, body) VALUES ($1, $2)
		ON CONFLICT (path) DO UPDATE SET body = excluded.body, changed = now()`, path, body)
}

// AddFile keeps a file unless there is one at its path, and returns the one that is
// there then.
func (s *Store) AddFile(ctx context.Context, path string, body []byte) (is []byte, err error) {
	err = s.write(ctx, "keep a file for all nodes", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO shared_files (path, body) VALUES ($1, $2) ON CONFLICT (path) DO NOTHING`, path, body); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT body FROM shared_files WHERE path = $1`, path).Scan(&is)
	})
	return is, err
}

// Files calls each with the files that every node needs, by path.
func (s *Store) Files(ctx context.Context, each func(path string, body []byte, changed time.Time) error) error {
	rows, err := s.pool.Query(ctx, `SELECT path, body, changed FROM shared_files ORDER BY path`)
	if err != nil {
		return s.fault("read the files of all nodes", err)
	}
	var path string
	var body []byte
	var changed time.Time
	if _, err := pgx.ForEachRow(rows, []any{&path, &body, &changed}, func() error { return each(path, body, changed) }); err != nil {
		return s.fault("read the files of all nodes", err)
	}
	return nil
}

// DropFiles drops the files below a folder that have not changed since a time.
func (s *Store) DropFiles(ctx context.Context, folder string, before time.Time) error {
	return s.exec(ctx, "drop old files of all nodes", `DELETE FROM shared_files WHERE starts_with(path, $1) AND changed < $2`, folder+"/", before)
}
