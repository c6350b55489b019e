# A little of all that Ruby's standard library asks of the kernel: a list of calls, not code to learn from.

%w[bigdecimal cgi coverage csv date digest digest/sha2 drb erb etc fcntl fiddle fileutils find io/console io/nonblock io/wait
   json logger monitor net/http nkf objspace open3 openssl optparse pathname pstore psych pty racc/parser readline ripper
   securerandom socket stringio strscan syslog tempfile timeout tmpdir uri webrick yaml zlib dbm gdbm sdbm].each do |name|
  require name
rescue LoadError => error
  puts "#{name}: #{error.message}"
end

def attempt(what = nil)
  yield
rescue SystemExit
  raise
rescue Exception => error
  puts "#{error.class} #{error.message}"
end

Dir.mktmpdir do |folder|
  path = File.join(folder, "a")
  File.write(path, "x" * 100_000)
  File.chmod(0o600, path)
  File.utime(0, 0, path)
  File.rename(path, path + ".b")
  FileUtils.cp_r(folder, folder + "-copy")
  Find.find(folder) { |each| File.lstat(each) }
  Dir.glob(folder + "/**/*")
  File.symlink("x", folder + "/l")
  File.readlink(folder + "/l")
  File.link(path + ".b", folder + "/hard")
  File.truncate(path + ".b", 5)
  attempt { File.mkfifo(folder + "/f") }
  attempt { File.chown(0, 0, path + ".b") }
  attempt { File.lchown(0, 0, folder + "/l") }
  File.open(folder + "/m", "w+") do |file|
    file.flock(File::LOCK_EX)
    file.write("x" * 8192)
    file.fsync
    file.fdatasync
    file.truncate(10)
    file.pread(5, 0)
    file.pwrite("y", 0)
    file.advise(:willneed)
    IO.copy_stream(folder + "/hard", file)
    attempt { file.fcntl(Fcntl::F_GETFL) }
    attempt { file.ioctl(0x5401, "x" * 64) }
    file.close_on_exec = true
  end
  IO.copy_stream(folder + "/m", folder + "/n")
  Dir.chdir(folder) { Dir.pwd }
  attempt { File.umask(0o22) }
  attempt { Zlib::GzipWriter.open(folder + "/z") { |z| z.write("x" * 10_000) } }
  attempt { PStore.new(folder + "/p").transaction { |store| store[:a] = 1 } }
  attempt { SDBM.open(folder + "/s") { |db| db["a"] = "b" } }
  FileUtils.rm_rf(folder + "-copy")
end

system("true")
`echo hi | cat`
spawn("sleep 0.1", pgroup: true, umask: 0o77, chdir: "/", out: "/dev/null")
Process.waitall
Open3.capture3("cat", stdin_data: "x")
attempt { system("/nonexistent", exception: true) }
pid = fork { exit!(3) }
Process.wait(pid)
Process.detach(fork { Process.setsid; exit })
reader, writer = IO.pipe
writer.write_nonblock("x")
reader.read_nonblock(1)
IO.select([reader], [writer], nil, 0.01)
attempt { PTY.spawn("true") { |r, _, _| r.read } }
attempt do
  server = TCPServer.new("127.0.0.1", ENV.fetch("FIRST_PORT", "0").to_i)
  client = TCPSocket.new("127.0.0.1", server.addr[1])
  connection = server.accept
  connection.write("x" * 10)
  client.recv(10)
  client.setsockopt(Socket::SOL_SOCKET, Socket::SO_KEEPALIVE, true)
  client.getpeername
  client.shutdown
  client.close
end
a, b = UNIXSocket.pair
attempt { a.send_io($stdout) }
attempt { b.recv_io }
attempt { a.sendmsg("x") && b.recvmsg }
attempt do
  udp = UDPSocket.new
  udp.bind("127.0.0.1", 0)
  udp.send("x", 0, "127.0.0.1", udp.addr[1])
  udp.recvfrom(1)
end
attempt { Addrinfo.getaddrinfo("localhost", 80) }
attempt { Addrinfo.getaddrinfo("nowhere.invalid", 80) }
attempt { Socket.getifaddrs }
attempt { TCPSocket.new("127.0.0.1", 1) }
attempt { Net::HTTP.get(URI("http://127.0.0.1:1/")) }
attempt { OpenSSL::PKey::RSA.new(1024) && OpenSSL::SSL::SSLContext.new.set_params }
threads = 4.times.map { Thread.new { sleep 0.01 } }
threads.each(&:join)
Ractor.new { 1 }.take
attempt { Timeout.timeout(0.05) { sleep } }
trap("USR1") {}
Process.kill(:USR1, Process.pid)
Process.clock_gettime(Process::CLOCK_MONOTONIC)
Process.clock_getres(Process::CLOCK_REALTIME)
Process.getrlimit(:NOFILE)
attempt { Process.setrlimit(:CORE, 0) }
Process.times
attempt { Process.setpriority(Process::PRIO_PROCESS, 0, 1) }
Process.getpriority(Process::PRIO_PROCESS, 0)
[Process.uid, Process.gid, Process.ppid, Process.getpgid(0), Process.getsid, Process.groups, Process.maxgroups]
attempt { Etc.getpwnam("root") }
attempt { Etc.nprocessors && Etc.uname && Etc.sysconf(Etc::SC_PAGESIZE) }
attempt { Syslog.open("work") { |log| log.info("x") } }
attempt { $stdin.winsize }
attempt { IO.console&.raw {} }
attempt { Fiddle::Function.new(Fiddle.dlopen(nil)["getpid"], [], Fiddle::TYPE_INT).call }
SecureRandom.hex
Random.urandom(8)
GC.start
GC.compact rescue nil
"x".encode("UTF-16").encode("Shift_JIS") rescue nil
%w[EUC-JP Big5 GB18030 ISO-8859-2 KOI8-R Windows-1252].each { |name| "a".encode(name) }
YAML.load("a: 1")
attempt { Process::UID.change_privilege(65_534) }
attempt { Process.daemon(true, true) }
exit 3
