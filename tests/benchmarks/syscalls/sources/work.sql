-- A little of all that SQLite asks of the kernel.
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 20000)
INSERT INTO t SELECT x, hex(randomblob(50)) FROM c;
CREATE INDEX i ON t(b);
PRAGMA journal_mode=WAL;
UPDATE t SET b='x' WHERE a<100;
PRAGMA wal_checkpoint(TRUNCATE);
PRAGMA mmap_size=100000000;
SELECT count(*), max(b) FROM t;
BEGIN;
DELETE FROM t;
ROLLBACK;
VACUUM;
PRAGMA journal_mode=TRUNCATE;
INSERT INTO t VALUES(99999, datetime('now','localtime'));
PRAGMA journal_mode=PERSIST;
DELETE FROM t WHERE a=1;
PRAGMA cache_size=10;
PRAGMA temp_store=FILE;
SELECT b FROM t ORDER BY b DESC LIMIT 1;
ATTACH 'other.db' AS o;
CREATE TABLE o.x AS SELECT * FROM t;
ANALYZE;
PRAGMA locking_mode=EXCLUSIVE;
INSERT INTO t VALUES(100000, load_extension('nothing'));
