-- The role that Penumbra reads a PostgreSQL server with. Run this as a superuser in the database
-- that Penumbra connects to: the grants on pg_file_settings hold in that database alone.
--
-- It sets no password. Use \password in psql, which never shows it to the server's log, or a
-- certificate or peer rule in pg_hba.conf.
CREATE ROLE {{role}} LOGIN
    NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
    CONNECTION LIMIT 2; -- one that reads, and one that takes its place when it was cut off

-- The values that are otherwise shown to superusers alone, such as data_directory.
GRANT pg_read_all_settings TO {{role}};

-- What the configuration files hold: what waits for a restart or a reload, and their errors.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings() TO {{role}};
GRANT SELECT ON pg_catalog.pg_file_settings TO {{role}};

-- Every role has what PUBLIC has. By PostgreSQL's defaults that is temporary tables and large
-- objects. Where nobody relies on them in this database, take them away too:
--   REVOKE TEMPORARY ON DATABASE <this database> FROM PUBLIC;
--   REVOKE EXECUTE ON FUNCTION pg_catalog.lo_create(oid), pg_catalog.lo_creat(integer),
--       pg_catalog.lo_from_bytea(oid, bytea) FROM PUBLIC;
