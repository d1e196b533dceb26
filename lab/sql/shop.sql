-- What the application asks for, in the database shop.
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION pgaudit;
SET ROLE app;

-- 20,000 invoices of 32 bytes each in a hashed sub-plan: it fits where 2 x work_mem (hash_mem_multiplier)
-- is above 640 kB. Below that PostgreSQL scans all of them for each of the 100 recent customers.
CREATE TABLE invoices (id int PRIMARY KEY, customer int NOT NULL);
INSERT INTO invoices SELECT n, n FROM generate_series(1, 20000) n;
CREATE TABLE recent (customer int NOT NULL);
INSERT INTO recent SELECT 20000 + n FROM generate_series(1, 100) n;

CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, total numeric NOT NULL, note text NOT NULL);
INSERT INTO orders SELECT n, n % 5000, n % 97, repeat('x', 100) FROM generate_series(1, 20000) n;

CREATE TABLE pages (id int PRIMARY KEY, visits bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO pages SELECT n, 0 FROM generate_series(1, 50) n;
RESET ROLE;
VACUUM ANALYZE;
SELECT pg_stat_statements_reset();
