"""lighttpd: static files, listing, CGI, proxy, FastCGI that it starts, rewriting, logs through a pipe, reload, stop."""

import signal

from bench import Bench

CONFIGURATION = """
server.modules = ( "mod_access", "mod_accesslog", "mod_cgi", "mod_proxy", "mod_rewrite", "mod_redirect", "mod_setenv",
  "mod_status", "mod_dirlisting", "mod_expire", "mod_extforward", "mod_userdir", "mod_ssi", "mod_fastcgi", "mod_alias" )
server.document-root = "{folder}/www"
server.port = {port}
server.bind = "127.0.0.1"
server.username = "www-data"
server.groupname = "www-data"
server.errorlog = "{folder}/error.log"
server.pid-file = "{folder}/lighttpd.pid"
server.upload-dirs = ( "{folder}/up" )
server.max-worker = {workers}
server.max-connections = 100
server.network-backend = "{backend_kind}"
server.stat-cache-engine = "{stat}"
dir-listing.activate = "enable"
index-file.names = ( "index.html" )
accesslog.filename = {accesslog}
ssi.extension = ( ".shtml" )
cgi.assign = ( ".sh" => "/bin/sh" )
status.status-url = "/status"
alias.url = ( "/alias/" => "{folder}/www/" )
$HTTP["url"] =~ "^/proxy/" {{ proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => {backend} )) ) }}
$HTTP["url"] =~ "^/dead/" {{ proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => 1 )) ) }}
$SERVER["socket"] == "[::1]:{port}" {{ }}
"""
LOCAL = """
$HTTP["url"] =~ "^/fcgi/" {{ fastcgi.server = ( "" => (( "socket" => "{folder}/fcgi.sock", "bin-path" => "/bin/cat",
   "max-procs" => 1 )) ) }}
$SERVER["socket"] == "{folder}/lighttpd.sock" {{ }}
"""


def workload(bench: Bench) -> None:
    bench.write("www/index.html", "<p>hello</p>" * 100)
    bench.write("www/big.bin", b"x" * 2_000_000)
    bench.write("www/folder/a.txt", "a")
    bench.write("www/env.sh", "echo Content-Type: text/plain; echo; env; cat\n", 0o755)
    bench.write("www/page.shtml", '<!--#include virtual="/index.html" --><!--#exec cmd="id" -->')
    (bench.folder / "up").mkdir()
    (bench.folder / "up").chmod(0o777)
    bench.folder.chmod(0o777)
    values = {"folder": bench.folder, "port": bench.port(), "backend": bench.backend()}
    kinds = (
        {"workers": 0, "backend_kind": "sendfile", "stat": "simple", "accesslog": f'"{bench.folder}/access.log"'},
        {"workers": 2, "backend_kind": "writev", "stat": "disable", "accesslog": '"|/bin/cat > /dev/null"'},
    )
    bench.run("-V")
    bench.run("-h")
    bench.run("-t", "-f", bench.write("bad.conf", "server.nonsense = (\n"))
    for kind in kinds:
        text = CONFIGURATION if bench.confined else CONFIGURATION + LOCAL
        configuration = bench.write("lighttpd.conf", text.format(**values, **kind))
        bench.run("-tt", "-f", configuration)
        bench.run("-p", "-f", configuration)
        with bench.server("-D", "-f", configuration) as server:
            bench.ready(int(values["port"]))
            _load(bench, int(values["port"]))
            server.signal(signal.SIGHUP)
            bench.get(int(values["port"]))
            server.signal(signal.SIGUSR1, settle=1)
            bench.get(int(values["port"]))
            server.signal(signal.SIGINT)
    if bench.confined:  # the sandbox ends with the program that was started in it
        return
    with bench.server("-f", configuration) as server:
        bench.ready(int(values["port"]))
        _load(bench, int(values["port"]))
        bench.other("sh", "-c", f"kill -TERM $(cat {bench.folder}/lighttpd.pid)")
        server.wait(5)


def _load(bench: Bench, port: int) -> None:
    for path in (
        "/", "/big.bin", "/none", "/folder/", "/folder", "/env.sh?x=1", "/page.shtml", "/status", "/proxy/a",
        "/dead/", "/fcgi/", "/alias/index.html", "/~root/", "/../../etc/passwd",
    ):  # fmt: skip
        bench.get(port, path, Accept_Encoding="gzip")
    bench.get(port, "/big.bin", Range="bytes=5-10")
    bench.get(port, "/env.sh", method="POST", body=b"z" * 300_000)
    bench.get(port, "/proxy/up", method="POST", body=b"z" * 300_000)
    bench.get(port, "/index.html", If_Modified_Since="Mon, 01 Jan 2035 00:00:00 GMT")
    bench.talk(port, b"GET / HTTP/1.1\r\n", b"broken\r\n\r\n")
    bench.talk(port if bench.confined else bench.folder / "lighttpd.sock", b"GET / HTTP/1.0\r\n\r\n")
