.tables
.schema
.output dump.sql
.dump
.output
.backup copy.db
.import --csv numbers.csv numbers
.shell true
.system date
.mode json
.once |cat
SELECT 1;
.excel
.timer on
SELECT readfile('numbers.csv'), writefile('w.txt', 'x'), edit('x', 'true');
.archive --create tree
.ar -tv
.archive -x
.log log.txt
.read dump.sql
.open other.db
.clone clone.db
.recover
.cd /
.load ./nothing
.save /nowhere/x
.dbinfo
.stats on
.vfslist
.timeout 100
.nonsense
SELECT * FROM fsdir('.') LIMIT 4;
.quit
