-- Who there is. The people and the automation may change what they are granted here and nothing else.
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE autotune LOGIN;
CREATE ROLE ansible LOGIN SUPERUSER; -- postgresql_set asks for it
CREATE ROLE exporter LOGIN IN ROLE pg_monitor;
CREATE ROLE app LOGIN;

GRANT ALTER SYSTEM ON PARAMETER
    work_mem, maintenance_work_mem, random_page_cost, statement_timeout, effective_cache_size,
    shared_buffers, fsync, commit_delay, jit_above_cost, log_min_duration_statement, autovacuum_naptime,
    max_connections, log_autovacuum_min_duration, log_lock_waits, deadlock_timeout, checkpoint_warning,
    log_temp_files, log_checkpoints, vacuum_cost_limit, bgwriter_delay, wal_writer_delay,
    tcp_keepalives_idle, geqo_threshold, gin_fuzzy_search_limit, log_parameter_max_length,
    autovacuum_vacuum_cost_delay, track_io_timing, idle_in_transaction_session_timeout,
    logical_decoding_work_mem
    TO alice, bob, autotune;
CREATE DATABASE shop OWNER app;

-- A function of the catalogue is granted in one database at a time.
\connect shop
GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO alice, bob, autotune;
GRANT pg_read_all_settings TO alice, bob, autotune;
