package postgres

import "strings"

// relevance is how likely a setting is to move the performance of a server when it
// is changed, by the chapter of the manual that it stands in (PostgreSQL 15,
// chapter 20: resource consumption, write-ahead log, query planning and so on).
// The figures are judgement: only their order is meant.
var relevance = []struct {
	share    float64
	prefixes []string
}{
	// What single queries are planned and run with.
	{0.9, []string{"work_mem", "hash_mem_multiplier", "enable_", "random_page_cost", "seq_page_cost", "cpu_", "jit", "effective_cache_size",
		"geqo", "join_collapse_limit", "from_collapse_limit", "default_statistics_target", "plan_cache_mode", "parallel_", "max_parallel_", "min_parallel_"}},
	// Memory, connections, and what every commit waits for.
	{0.8, []string{"shared_buffers", "max_connections", "commit_delay", "commit_siblings", "synchronous_commit", "fsync", "full_page_writes",
		"wal_sync_method", "wal_buffers", "temp_buffers", "huge_pages", "effective_io_concurrency", "statement_timeout", "lock_timeout", "deadlock_timeout"}},
	// Work in the background.
	{0.5, []string{"autovacuum", "vacuum_", "bgwriter_", "checkpoint_", "max_wal_size", "min_wal_size", "wal_compression", "maintenance_work_mem",
		"maintenance_io_concurrency", "backend_flush_after", "old_snapshot_threshold", "max_worker_processes", "wal_level", "track_io_timing", "track_wal_io_timing"}},
	{0.1, []string{"log_", "debug_", "client_min_messages", "cluster_name", "update_process_title", "application_name", "event_source", "syslog_",
		"pgaudit.", "TimeZone", "DateStyle", "IntervalStyle", "lc_", "bytea_output", "xml", "listen_addresses", "search_path", "default_text_search_config",
		"ssl", "krb_", "password_encryption", "authentication_timeout", "unix_socket", "bonjour", "tcp_", "archive_", "restore_", "recovery_", "promote_", "primary_"}},
}

// Relevance returns how likely a change of the setting at path is to move the
// performance of its server, in (0, 1]; 0.3 of one that stands in no chapter that
// says so. The path may be of a setting of the server, of a role or a database;
// what waits for a restart or a reload has moved nothing yet.
func Relevance(path string) float64 {
	for _, prefix := range []string{"pending_restart.", "pending_reload.", "file_error."} {
		if strings.HasPrefix(path, prefix) {
			return 0.05
		}
	}
	name := path
	if scoped, ok := strings.CutPrefix(path, "role."); ok {
		_, name, _ = strings.Cut(scoped, ".")
	} else if scoped, ok := strings.CutPrefix(path, "database."); ok {
		_, name, _ = strings.Cut(scoped, ".")
	}
	for _, r := range relevance {
		for _, prefix := range r.prefixes {
			if strings.HasPrefix(name, prefix) {
				return r.share
			}
		}
	}
	return 0.3
}
