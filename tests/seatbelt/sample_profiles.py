"""Profiles in the manner of those that are shipped: each uses its model's constructs, in words of our own."""

BROWSER = """
(version 1)
(define (given? name) (string? (param name)))
(define (on? name) (string=? (param name) "TRUE"))
(define release (string->number (param "OS")))
(define home "HOME_FOLDER")
(if (not (defined? 'iokit-registry-entry-class))
  (define iokit-registry-entry-class iokit-user-client-class))
(if (on? "QUIET") (deny default (with no-log)) (deny default))
(if (on? "LOUD") (debug deny))
(define (in-home rest) (string-append (param home) rest))
(define (read-fonts)
  (begin
    (allow file-read-data (subpath "/Library/Fonts") (subpath (in-home "/Library/Fonts")))
    (if (< release 1012) (allow mach-lookup (global-name "com.example.FontServer")))))
(read-fonts)
(allow file-write* (require-all (path (param "LOG")) (vnode-type REGULAR-FILE)))
(if (given? "COMPONENT") (allow file-read* (subpath (param "COMPONENT"))))
(define (service-name rest) (global-name (string-append (param "BUNDLE") "." rest)))
(allow mach-lookup (service-name "rendezvous"))
(define (starts-with? text beginning)
  (let ((length (string-length beginning)))
    (if (< (string-length text) length) #f (equal? (substring text 0 length) beginning))))
(define volume "/System/Volumes/Data/")
(when (starts-with? (param "BUNDLE_PATH") volume)
  (define (without text count) (substring text count (string-length text)))
  (allow file-read* (subpath (without (param "BUNDLE_PATH") (- (string-length volume) 1)))))
(allow file-read-data
  (path "/private/etc/passwd")
  (regex #"^/Library/Managed/.*/\\.Global\\.plist")
  (regex (string-append #"^/Library/Managed/.*/" (regex-quote (param "BUNDLE")) #"\\.plist")))
(if (>= release 1013)
  (begin (allow file-read* (subpath "/private/var/db/timezone"))
         (allow file-read-data (subpath "/usr/share/zoneinfo.default"))))
(allow network-outbound (literal "/private/var/run/syslog"))
(if (on? "FILTER") (when (defined? 'syscall-unix)
  (allow syscall-unix (syscall-number SYS_access) (syscall-number SYS_close SYS_exit))))
(let ((count (string->number (param "COUNT"))))
  (let loop ((i 0))
    (if (< i count)
      (begin (allow file-read* (subpath (param (string-append "STORE_" (number->string i))))) (loop (+ i 1))))))
(allow iokit-open (iokit-connection "Accelerator") (iokit-user-client-class "Client"))
(allow iokit-set-properties (require-all (iokit-connection "Display") (require-any (iokit-property "a"))))
(allow system-socket (require-all (socket-domain AF_SYSTEM) (socket-protocol 2)) (socket-domain AF_ROUTE))
(allow network-outbound (control-name "com.example.netsrc") (remote udp))
(if (and (>= release 1400) (given? "HELPER"))
  (let ((folder (in-home (string-append "/Caches/" (param "HELPER"))))) (allow file-write-data (subpath folder))))
"""

AGENT = """
(version 1)
; closed by default
(deny default)
(allow process-exec)
(allow process-fork)
(allow signal (target same-sandbox))
(allow user-preference-read)
(allow process-info* (target same-sandbox))
(allow mach-host*)
(allow file-write-data (require-all (path "/dev/null") (vnode-type CHARACTER-DEVICE)))
(allow sysctl-read (sysctl-name "hw.ncpu") (sysctl-name-prefix "hw.perflevel"))
(allow sysctl-write (sysctl-name "kern.grade_cputype"))
(allow iokit-open (iokit-registry-entry-class "RootDomain"))
(allow ipc-posix-sem)
(allow pseudo-tty)
(allow file-read* file-write* file-ioctl (literal "/dev/ptmx"))
(allow file-read* file-write* (require-all (regex #"^/dev/ttys[0-9]+") (extension "com.example.pty")))
"""

BUILDER = """
(version 1)
(define TMP (param "_TMP"))
(deny default)
(deny file-write-setugid)
(allow process-fork)
(allow ipc-posix*)
(allow system-socket)
(allow file* process-exec network-outbound network-inbound (literal "/tmp") (subpath TMP))
(if (param "_LOCAL")
    (begin
      (allow network* (local ip) (local tcp) (local udp))
      (allow network-outbound (remote unix-socket (path-literal "/private/var/run/mDNSResponder")))))
(allow file* (literal "/dev/ptmx") (regex #"^/dev/pty[a-z]+") (regex #"^/dev/ttys[0-9]+"))
"""

PACKAGER = """
(version 1)
(debug deny) ; tell all
(allow file-write* (subpath "/opt/cellar"))
(deny file-write* (subpath "/opt/library"))
(allow file-write* (literal "/dev/null") (regex #"^/dev/fd/[0-9]+$"))
(deny file-write*)
(deny file-write-setugid)
(allow process-exec (literal "/bin/ps") (with no-sandbox))
(allow default)
"""

COMPILER = """
(version 1)
(debug deny)
(allow default)
(deny network*)
(allow network* (local ip "localhost:*"))
(allow network* (remote ip "localhost:*"))
(allow network* (remote unix-socket))
(deny file-write*)
(allow file-write*
    (subpath "/dev")
    (subpath "/private/tmp/sandbox/7/execroot/main")
    (subpath "/private/var/folders/zz/abc/T")
    (literal "/private/tmp/sandbox/7/stats.out")
)
(deny file-read*
    (subpath "/Users/me/hidden")
)
"""

RUNTIME = """
(version 1)
(deny default (with message "TAG_7"))
(allow process-exec)
(allow mach-lookup (global-name "com.example.logd") (global-name-regex #"^com[.]example[.].*"))
(allow network-bind (local ip "*:*"))
(allow network-outbound (remote ip "localhost:8123"))
(deny file-read* (subpath "/Users/me/.ssh") (with message "TAG_7"))
(allow file-read-metadata (require-all (subpath "/Users") (vnode-type DIRECTORY)))
"""

LIBRARY = """
(version 1)
(import "system.sb")
(define quiet (param "QUIET"))
(define (deny-feature feature) (if (string=? quiet "TRUE") (deny feature (with no-log)) (deny feature)))
(deny-feature default)
(define home-folder (param "HOME"))
(define (home-pattern rest) (regex (string-append "^" (regex-quote home-folder) rest)))
(system-network)
(allow (with report) mach-lookup (global-name "com.example.a"))
(allow file-read* (require-any (home-pattern #"/Library/[^/]+$") (mount-relative-regex #"^/\\.Trashes(/|$)")))
(allow file-read* (require-all (require-not (vnode-type SYMLINK)) (file-mode #o0004) (subpath "/opt")))
(allow signal (target self) (target children))
(allow sysctl-read (sysctl-name-regex #"^net.routetable"))
(allow file-issue-extension (require-all (extension-class "com.example.read") (subpath "/opt")))
"""

LOOSE = "(version 1)(allow default)(deny network-outbound)(allow network-outbound (local ip))"
"""The profile that the original project ran its servers under."""

ALL = {
    "browser": BROWSER,
    "agent": AGENT,
    "builder": BUILDER,
    "packager": PACKAGER,
    "compiler": COMPILER,
    "runtime": RUNTIME,
    "library": LIBRARY,
    "loose": LOOSE,
}
