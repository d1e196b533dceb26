package postgres_test

import (
	"testing"

	"github.com/penumbra-iac/penumbra/adapter/postgres"
)

// TestRelevance holds the order that the ranking of causes rests on.
func TestRelevance(t *testing.T) {
	order := []string{"work_mem", "shared_buffers", "autovacuum_naptime", "some_extension.knob", "log_min_messages", "pending_restart.shared_buffers"}
	for i := 1; i < len(order); i++ {
		if more, less := postgres.Relevance(order[i-1]), postgres.Relevance(order[i]); more <= less {
			t.Errorf("%s has %v, %s %v", order[i-1], more, order[i], less)
		}
	}
	for _, path := range []string{"role.app.work_mem", "role.app@shop.work_mem", "database.shop.work_mem"} {
		if got, want := postgres.Relevance(path), postgres.Relevance("work_mem"); got != want {
			t.Errorf("%s has %v, want %v", path, got, want)
		}
	}
}
