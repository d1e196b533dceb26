//go:build unix

package postgres_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/contract"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// open opens a database that has Penumbra's schema from the start.
func open(tb testing.TB, connection string) *postgres.Store {
	tb.Helper()
	s, err := postgres.Open(context.Background(), postgres.Config{Connection: connection})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// free are databases that tests are done with: to make one takes longer than most tests.
var free = make(chan string, 64)

// empty makes a store as it was made.
const empty = `
ALTER TABLE audit DISABLE TRIGGER audit_stay;
DO $$ DECLARE t text; BEGIN
  FOR t IN SELECT name FROM periods LOOP EXECUTE 'DROP TABLE ' || t; END LOOP;
  FOR t IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'goose_db_version' LOOP
    EXECUTE 'TRUNCATE ' || t || ' RESTART IDENTITY CASCADE';
  END LOOP;
END $$;
INSERT INTO timelines DEFAULT VALUES;
ALTER TABLE audit ENABLE TRIGGER audit_stay;`

// database returns how to connect to a store that is empty.
func database(tb testing.TB) string {
	tb.Helper()
	server := pgtest.Shared(tb, pgtest.Options{})
	var connection string
	select {
	case connection = <-free:
	default:
		connection = server.Connection("postgres", server.Create(tb))
	}
	tb.Cleanup(func() {
		if exec(tb, connection, empty); !tb.Failed() {
			free <- connection
		}
	})
	return connection
}

// exec runs statements beside the store.
func exec(tb testing.TB, connection, statements string) {
	tb.Helper()
	conn, err := pgx.Connect(context.Background(), connection)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		tb.Errorf("%s: %v", statements, err)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	pgtest.Shared(t, pgtest.Options{})
	var places sync.Map // by the test's name
	storetest.Run(t, func(t *testing.T) contract.Store {
		place, there := places.Load(t.Name())
		if !there {
			place = database(t)
			places.Store(t.Name(), place)
		}
		return open(t, place.(string))
	})
}
