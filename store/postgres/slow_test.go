package postgres_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/pgtest"
	"github.com/penumbra-iac/penumbra/store/postgres"
)

// slowly is a place behind a network that passes some bytes a second on to the server.
func slowly(t *testing.T, place string, perSecond int) string {
	t.Helper()
	folder := t.TempDir()
	server := pgtest.Shared(t, pgtest.Options{}).Folder
	socket := fmt.Sprint(".s.PGSQL.", pgtest.Port)
	listener, err := net.Listen("unix", filepath.Join(folder, socket))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", filepath.Join(server, socket))
			if err != nil {
				near.Close()
				return
			}
			end := sync.OnceFunc(func() { near.Close(); far.Close() })
			go func() {
				defer end()
				for piece := make([]byte, 1<<16); ; {
					n, err := near.Read(piece)
					if err != nil {
						return
					}
					if _, err := far.Write(piece[:n]); err != nil {
						return
					}
					time.Sleep(time.Duration(n) * time.Second / time.Duration(perSecond))
				}
			}()
			go func() { defer end(); _, _ = io.Copy(near, far) }()
		}
	}()
	return strings.Replace(place, server, folder, 1)
}

// TestLargeModelOnItsWay stores a model that takes longer to reach the server than a
// transaction may hang: a million resources' is some 450 MB.
func TestLargeModelOnItsWay(t *testing.T) {
	t.Parallel()
	place := slowly(t, database(t), 2<<20) + "&idle_in_transaction_session_timeout=300"
	s, err := postgres.Open(t.Context(), postgres.Config{Connection: place})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, s)
	model := bytes.Repeat([]byte("model of everything "), 1<<17) // 2.5 MB
	c := penumbra.Checkpoint{Name: "shadow/pooled", Sequence: 7, Data: model}
	if err := s.SaveCheckpoint(t.Context(), c); err != nil {
		t.Errorf("save a checkpoint: %v", err)
	}
	if got, err := s.Checkpoint(t.Context(), c.Name); err != nil || !bytes.Equal(got.Data, model) {
		t.Errorf("the checkpoint: %d bytes, %v", len(got.Data), err)
	}
	if _, err := s.AddVersion(t.Context(), penumbra.ModelVersion{Family: "pooled", State: penumbra.CandidateVersion}, model); err != nil {
		t.Errorf("add a version: %v", err)
	}

	// A transaction that hangs is still ended.
	err = s.Pool().AcquireFunc(t.Context(), func(c *pgxpool.Conn) error {
		if _, err := c.Exec(t.Context(), "BEGIN"); err != nil {
			return err
		}
		time.Sleep(time.Second)
		_, err := c.Exec(t.Context(), "COMMIT")
		return err
	})
	if err == nil {
		t.Error("a transaction that hung was not ended, so that this test shows nothing")
	}
}
