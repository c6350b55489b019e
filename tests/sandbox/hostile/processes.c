/* Other programs and processes: starting, reaching and outliving them; what was inherited. */
#define SURFACE "processes"
#include "hostile.h"
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/auxv.h>
#include <time.h>
#include <dirent.h>
#include <pthread.h>

extern char **environ;
static char *const nothing[] = {"x", 0};

ATTEMPT(execute_shell) { execve("/bin/sh", nothing, nothing + 1); return 0; }
ATTEMPT(execute_granted_by_nobody) { execve("/usr/bin/true", nothing, nothing + 1); return 0; }
ATTEMPT(execute_itself) { char *const again[] = {"x", "executed", 0}; execve("/proc/self/exe", again, nothing + 1); execve("/bin/hostile", again, nothing + 1); return 0; }
ATTEMPT(execute_loader) { execve("/lib64/ld-linux-x86-64.so.2", nothing, nothing + 1); return 0; }
ATTEMPT(execute_dropped) {
    int file = open("/tmp/dropped", O_WRONLY | O_CREAT | O_TRUNC, 0755);
    if (file >= 0) { if (write(file, "#!/bin/sh\n", 10) != 10) return 0; close(file); }
    execve("/tmp/dropped", nothing, nothing + 1);
    return 0;
}
ATTEMPT(execute_at) { syscall(SYS_execveat, AT_FDCWD, "/bin/sh", nothing, nothing + 1, 0); return 0; }
ATTEMPT(execute_descriptor) {
    int file = open("/bin/hostile", O_RDONLY);
    char *const again[] = {"x", "executed", 0};
    syscall(SYS_execveat, file, "", again, nothing + 1, AT_EMPTY_PATH);
    return 0;
}
ATTEMPT(execute_memory) { return reached(syscall(SYS_memfd_create, "x", 0)); }
ATTEMPT(execute_secret_memory) { return reached(syscall(SYS_memfd_secret, 0)); }
ATTEMPT(spawn) { pid_t child; errno = posix_spawn(&child, "/bin/sh", 0, 0, nothing, nothing + 1); return errno == 0; }
ATTEMPT(command) { return system("true") == 0; }
ATTEMPT(map_code_of_a_dropped_file) {
    int file = open("/tmp/code", O_RDWR | O_CREAT | O_TRUNC, 0755);
    if (file < 0 || ftruncate(file, 4096)) return 0;
    return mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) != MAP_FAILED;
}
ATTEMPT(code_in_memory) { return mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }
ATTEMPT(code_by_protection) {
    void *memory = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0;
}
ATTEMPT(code_by_shared_memory) { int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700); return id >= 0 && shmat(id, 0, SHM_EXEC) != (void *)-1; }
ATTEMPT(kill_victim) { return kill(number("victim"), 0) == 0; }
ATTEMPT(kill_all) { return kill(-1, 0) == 0 && number("shares-processes"); }
ATTEMPT(kill_group) { return kill(-number("victim"), 0) == 0; }
ATTEMPT(kill_thread) { return syscall(SYS_tkill, number("victim"), 0) == 0; }
ATTEMPT(kill_thread_of_group) { return syscall(SYS_tgkill, number("victim"), number("victim"), 0) == 0; }
ATTEMPT(kill_first) { return kill(1, SIGKILL) == 0 && number("shares-processes"); }
ATTEMPT(queue_signal) { union sigval value = {0}; return sigqueue(number("victim"), 0, value) == 0; }
ATTEMPT(signal_by_descriptor) { int process = syscall(SYS_pidfd_open, number("victim"), 0); return process >= 0; }
ATTEMPT(signal_by_owner) { /* F_SETOWN: the kernel signals for us */
    return fcntl(0, F_SETOWN, number("victim")) == 0 && number("shares-processes");
}
ATTEMPT(signal_by_ioctl) { return ioctl(0, 0x8901, &(int){number("victim")}) == 0; }
ATTEMPT(steal_descriptor) { return reached(syscall(SYS_pidfd_getfd, 0, 0, 0)); }
ATTEMPT(trace_victim) { return reached(ptrace(PTRACE_ATTACH, number("victim"), 0, 0)); }
ATTEMPT(trace_me) { return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0; }
ATTEMPT(read_victim) {
    char byte; struct iovec own = {&byte, 1}, other = {environ, 1};
    return reached(process_vm_readv(number("victim"), &own, 1, &other, 1, 0));
}
ATTEMPT(write_victim) { return reached(syscall(SYS_process_vm_writev, number("victim"), 0, 0, 0, 0, 0)); }
ATTEMPT(advise_victim) { return reached(syscall(SYS_process_madvise, 0, 0, 0, 0, 0)); }
ATTEMPT(compare_victim) { return reached(syscall(SYS_kcmp, getpid(), number("victim"), 0, 0, 0)); }
ATTEMPT(priority_of_victim) { return setpriority(PRIO_PROCESS, number("victim"), 19) == 0; }
ATTEMPT(affinity_of_victim) { cpu_set_t all; memset(&all, 255, sizeof all); return sched_setaffinity(number("victim"), sizeof all, &all) == 0; }
ATTEMPT(limit_of_victim) { struct rlimit64 limit; return syscall(SYS_prlimit64, number("victim"), 7, 0, &limit) == 0; }
ATTEMPT(robust_list_of_victim) { void *list; size_t size; return syscall(SYS_get_robust_list, number("victim"), &list, &size) == 0; }
ATTEMPT(scheduler) { struct sched_param how = {1}; return sched_setscheduler(0, SCHED_FIFO, &how) == 0; }
ATTEMPT(input_priority) { return reached(syscall(SYS_ioprio_set, 1, 0, 0)); }
ATTEMPT(negative_priority) { return setpriority(PRIO_PROCESS, 0, -5) == 0; }

static int namespace(long flag) { return reached(unshare(flag)); }
ATTEMPT(namespace_user) { return namespace(CLONE_NEWUSER); }
ATTEMPT(namespace_network) { return namespace(CLONE_NEWNET); }
ATTEMPT(namespace_mounts) { return namespace(CLONE_NEWNS); }
ATTEMPT(namespace_processes) { return namespace(CLONE_NEWPID); }
ATTEMPT(namespace_ipc) { return namespace(CLONE_NEWIPC); }
ATTEMPT(namespace_host) { return namespace(CLONE_NEWUTS); }
ATTEMPT(namespace_cgroup) { return namespace(0x02000000); }
ATTEMPT(namespace_time) { return namespace(0x80); }
ATTEMPT(namespace_entered) { return reached(setns(0, 0)); }
ATTEMPT(namespace_by_clone) {
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    return child > 0;
}
ATTEMPT(namespace_by_clone3) {
    struct clone_args how = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long child = syscall(SYS_clone3, &how, sizeof how);
    if (child == 0) _exit(0);
    return child > 0;
}

ATTEMPT(inherited_descriptor) { struct stat status; return number("inherited") > 2 && fstat(number("inherited"), &status) == 0; }
ATTEMPT(any_descriptor) { /* above the standard ones: our own attempts close what they open, or open it low */
    struct stat status;
    for (int fd = 200; fd < 1024; fd++) if (fstat(fd, &status) == 0) return 1;
    return 0;
}
ATTEMPT(environment) { for (char **each = environ; *each; each++) if (strstr(*each, "SECRET")) return 1; return 0; }
ATTEMPT(environment_at_all) { int count = 0; for (char **each = environ; *each; each++) count += strncmp(*each, "PATH=", 5) && strncmp(*each, "TMPDIR=", 7); return count; }
ATTEMPT(controlling_terminal) { return open("/dev/tty", O_RDWR) >= 0; }
ATTEMPT(type_into_terminal) { return reached(ioctl(0, TIOCSTI, "x")); }
ATTEMPT(console_selection) { return reached(ioctl(0, 0x541C, "\2")); }
ATTEMPT(take_terminal) { return reached(ioctl(0, TIOCSCTTY, 1)); }
ATTEMPT(session_of_others) { return getsid(0) != 0 && getsid(0) != getpid() && number("shares-processes"); }
ATTEMPT(root_inside) { return getuid() == 0 || geteuid() == 0 || getgid() == 0; }
ATTEMPT(become_root) { return setuid(0) == 0; }
ATTEMPT(become_root_again) { return setresuid(0, 0, 0) == 0; }
ATTEMPT(join_groups) { gid_t root = 0; return reached(syscall(SYS_setgroups, 1, &root)); }
ATTEMPT(have_groups) { gid_t groups[64]; int count = getgroups(64, groups); for (int i = 0; i < count; i++) if (groups[i] == 0) return 1; return 0; }
ATTEMPT(have_privileges) { struct { uint32_t v; int p; } header = {0x20080522, 0}; uint32_t data[6] = {0}; return syscall(SYS_capget, &header, data) == 0 && (data[0] | data[1] | data[3] | data[4]); }
ATTEMPT(may_gain_privileges) { int got = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); return got == 0; }
ATTEMPT(bounding_set) { for (int i = 0; i < 41; i++) if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1) return number("is-root"); return 0; }
ATTEMPT(set_privileges) { return reached(syscall(SYS_capset, 0, 0)); }
ATTEMPT(keep_privileges) { return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0; }
ATTEMPT(securebits) { return prctl(PR_SET_SECUREBITS, 1, 0, 0, 0) == 0; }
ATTEMPT(subreaper) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 && number("shares-processes"); }
ATTEMPT(allow_tracers) { return prctl(0x59616d61, -1, 0, 0, 0) == 0; }
ATTEMPT(outlive_supervisor) { return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0 && number("shares-processes"); } /* elsewhere it goes with its namespace */
ATTEMPT(core_dumps) { struct rlimit limit; return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max > 1; }
ATTEMPT(raise_files) { struct rlimit limit = {1 << 20, 1 << 20}; return setrlimit(RLIMIT_NOFILE, &limit) == 0; }
ATTEMPT(raise_processes) { struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY}; return setrlimit(RLIMIT_NPROC, &limit) == 0; }
ATTEMPT(files_without_end) { int last = -1, fd; while ((fd = dup(0)) >= 0 && fd < 70000) last = fd; for (int i = 3; i <= last; i++) close(i); return last > 65536; }
ATTEMPT(one_huge_file) {
    signal(SIGXFSZ, SIG_IGN);
    int file = open("/tmp/huge", O_WRONLY | O_CREAT, 0600);
    return file >= 0 && ftruncate(file, 1L << 40) == 0;
}
ATTEMPT(queue_of_messages) { return msgget(number("ipc-key"), 0600) >= 0; }
ATTEMPT(segment_of_another) { return shmget(number("ipc-key"), 1, 0) >= 0; }
ATTEMPT(semaphores) { return semget(number("ipc-key"), 1, 0) >= 0; }
ATTEMPT(posix_queue) { return reached(mq_open("/binsafe-hostile", O_RDONLY)); }
ATTEMPT(posix_memory) { return shm_open(given("shared"), O_RDONLY, 0) >= 0; }

/* More of the same: others by number, itself, and what it may take. */
ATTEMPT(getpriority_victim) { errno = 0; int r = getpriority(PRIO_PROCESS, number("victim")); return errno == 0; }
ATTEMPT(getaffinity_victim) { cpu_set_t s; return sched_getaffinity(number("victim"), sizeof s, &s) == 0; }
ATTEMPT(getscheduler_victim) { return sched_getscheduler(number("victim")) >= 0; }
ATTEMPT(getparam_victim) { struct sched_param p; return sched_getparam(number("victim"), &p) == 0; }
ATTEMPT(getattr_victim) { return reached(syscall(SYS_sched_getattr, number("victim"), environ, 48, 0)); }
ATTEMPT(rr_interval_victim) { struct timespec t; return sched_rr_get_interval(number("victim"), &t) == 0; }
ATTEMPT(getpgid_victim) { return getpgid(number("victim")) >= 0; }
ATTEMPT(getsid_victim) { return getsid(number("victim")) >= 0; }
ATTEMPT(ioprio_get_victim) { return syscall(SYS_ioprio_get, 1, number("victim")) >= 0; }
ATTEMPT(prlimit_first) { struct rlimit l; return syscall(SYS_prlimit64, 1, 7, 0, &l) == 0; }
ATTEMPT(prlimit_parent) { struct rlimit l; return syscall(SYS_prlimit64, getppid(), 7, 0, &l) == 0; }
ATTEMPT(kill_parent) { return kill(getppid(), 0) == 0 && number("shares-processes"); }
ATTEMPT(setpriority_group) { return setpriority(PRIO_PGRP, number("victim"), 10) == 0; }
ATTEMPT(setaffinity_parent) { cpu_set_t all; memset(&all, 255, sizeof all); return sched_setaffinity(getppid(), sizeof all, &all) == 0 && getppid(); }
ATTEMPT(setown_ex) { int o[2] = {1, number("victim")}; return fcntl(0, 15, o) == 0; }
ATTEMPT(setsig) { return fcntl(0, 10, SIGKILL) == 0; }
ATTEMPT(tgkill_first) { return syscall(SYS_tgkill, 1, 1, 0) == 0 && number("shares-processes"); }
ATTEMPT(rt_tgsigqueue) { siginfo_t i = {.si_code = -1}; return syscall(SYS_rt_tgsigqueueinfo, number("victim"), number("victim"), SIGUSR1, &i) == 0; }
ATTEMPT(mrelease) { return reached(syscall(448, 0, 0)); }
ATTEMPT(core_sched) { return prctl(62, 0, number("victim"), 0, 0) == 0; }
ATTEMPT(io_flusher) { return prctl(57, 1, 0, 0, 0) == 0; }
ATTEMPT(drop_bounding) { return prctl(24, 0, 0, 0, 0) == 0; }
ATTEMPT(ambient) { return prctl(47, 2, 0, 0, 0) == 0; }
ATTEMPT(perf_events_off) { return prctl(31, 0, 0, 0, 0) == 0; }
ATTEMPT(mce_kill) { return prctl(33, 1, 1, 0, 0) == 0; }
ATTEMPT(dumpable_two) { return prctl(4, 2, 0, 0, 0) == 0; }
ATTEMPT(thp) { return prctl(41, 1, 0, 0, 0) == 0; }
ATTEMPT(unalign) { return prctl(6, 1, 0, 0, 0) == 0; }
ATTEMPT(arch_cpuid) { return syscall(SYS_arch_prctl, 0x1012, 0) == 0; }
ATTEMPT(arch_gs) { return syscall(SYS_arch_prctl, 0x1001, 0) == 0; }
ATTEMPT(arch_map_vdso) { return reached(syscall(SYS_arch_prctl, 0x2002, 0)); }
ATTEMPT(arch_xcomp_perm) { return syscall(SYS_arch_prctl, 0x1023, 18) == 0; }
ATTEMPT(grow_exec) { void *p = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); return mprotect(p, 4096, PROT_EXEC) == 0; }
ATTEMPT(pkey_exec) { void *p = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); return syscall(SYS_pkey_mprotect, p, 4096, PROT_EXEC, -1) == 0; }
ATTEMPT(shadow_stack) { return reached(syscall(453, 0, 4096, 0)); }
ATTEMPT(lsm_attr) { return reached(syscall(459, 100, environ, environ, 0)) || reached(syscall(461, 0, 0, 0)); }
ATTEMPT(lsm_set) { return reached(syscall(460, 100, environ, 0, 0)); }
ATTEMPT(landlock_more) { return reached(syscall(444, 0, 0, 1)); }
ATTEMPT(mlock_much) { size_t n = 256 << 20; void *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); int r = mlock(p, n) == 0; munmap(p, n); return r; }
ATTEMPT(merged_pages) { void *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); return madvise(p, 1 << 20, MADV_MERGEABLE) == 0; }
#define CLOCK_OF(process) ((~(clockid_t)(process) << 3) | 2)
ATTEMPT(clock_of_victim) { struct timespec t; return syscall(SYS_clock_gettime, CLOCK_OF(number("victim")), &t) == 0; }
ATTEMPT(resolution_of_victim) { struct timespec t; return syscall(SYS_clock_getres, CLOCK_OF(number("victim")), &t) == 0; }
ATTEMPT(sleep_of_victim) { struct timespec t = {0, 1}; return syscall(SYS_clock_nanosleep, CLOCK_OF(number("victim")), 0, &t, 0) == 0; }
ATTEMPT(timer_of_victim) { int timer; return syscall(SYS_timer_create, CLOCK_OF(number("victim")), 0, &timer) == 0; }
ATTEMPT(mlock_all) { return mlockall(MCL_CURRENT) == 0; }
ATTEMPT(hugetlb) { void *p = mmap(0, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0); return p != MAP_FAILED; }
ATTEMPT(sysv_sem) { return semget(0, 1, 01600) >= 0; }
ATTEMPT(nproc_limit) { struct rlimit l; return getrlimit(RLIMIT_NPROC, &l) == 0 && l.rlim_max > 100000; }
ATTEMPT(fsize_limit) { struct rlimit l; return getrlimit(RLIMIT_FSIZE, &l) == 0 && l.rlim_max == RLIM_INFINITY; }
ATTEMPT(nofile_limit) { struct rlimit l; return getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_max > 65536; }
ATTEMPT(memlock_limit) { struct rlimit l; return getrlimit(RLIMIT_MEMLOCK, &l) == 0 && l.rlim_max > (64 << 20); }
ATTEMPT(nice_limit) { struct rlimit l; return getrlimit(RLIMIT_NICE, &l) == 0 && l.rlim_max > 0; }
ATTEMPT(rtprio_limit) { struct rlimit l; return getrlimit(RLIMIT_RTPRIO, &l) == 0 && l.rlim_max > 0; }
ATTEMPT(sigpending_limit) { struct rlimit l; return getrlimit(RLIMIT_SIGPENDING, &l) == 0 && l.rlim_max > 4096; }
ATTEMPT(raise_soft_core) { struct rlimit l = {1, RLIM_INFINITY}; return syscall(SYS_prlimit64, 0, RLIMIT_CORE, &l, 0) == 0; }
ATTEMPT(raise_fsize) { struct rlimit l = {RLIM_INFINITY, RLIM_INFINITY}; return syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &l, 0) == 0; }
ATTEMPT(raise_nofile_by_one) { struct rlimit l; getrlimit(RLIMIT_NOFILE, &l); l.rlim_max++; return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &l, 0) == 0; }
ATTEMPT(descriptor_high) { /* a thousand by each call: the supervisor looks at every fstat, for minutes */
    struct pollfd some[1000];
    for (int first = 1024; first < 70000; first += 1000) {
        for (int i = 0; i < 1000; i++) some[i] = (struct pollfd){.fd = first + i};
        if (poll(some, 1000, 0) != 1000) return 1; /* a closed one is told of, as POLLNVAL */
        for (int i = 0; i < 1000; i++) if (some[i].revents != POLLNVAL) return 1;
    }
    return 0;
}
ATTEMPT(auxv_path) { const char *p = (const char *)getauxval(AT_EXECFN); return p && (strstr(p, "/var/tmp") || strstr(p, "/home") || strstr(p, "/root")); }
ATTEMPT(auxv_uid) { return getauxval(AT_UID) == 0 || getauxval(AT_EUID) == 0; }
ATTEMPT(seccomp_off) { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0; }
ATTEMPT(cwd_of_host) { char b[4096]; return getcwd(b, sizeof b) && (strstr(b, "/work") || strstr(b, "/home")); }
ATTEMPT(pid_of_host) { return getpid() > 100 && !number("shares-processes"); }
ATTEMPT(tty_stdin) { return isatty(0) || isatty(1) || isatty(2); }
ATTEMPT(pgrp_tty) { return tcgetpgrp(0) >= 0; }
ATTEMPT(egroup) { gid_t g[64]; return getgroups(64, g) > 0 && number("is-root"); }
ATTEMPT(io_uring_flag) { return reached(syscall(425, 1, environ)); }
ATTEMPT(vmsplice_out) { return reached(syscall(SYS_vmsplice, 1, 0, 0, 0)); }
ATTEMPT(set_thread_area) { return reached(syscall(205, environ)); }
ATTEMPT(pid_namespace_children) { return reached(syscall(SYS_ioctl, 0, 0xb704, 0)); }

#undef SURFACE
#define SURFACE "lasting"
ATTEMPT(double_fork) { /* a child of init's, in a session of its own, that ignores what it can */
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() == 0) {
            for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
            for (;;) pause();
        }
        _exit(0);
    }
    return child > 0 && waitpid(child, 0, 0) == child;
}
ATTEMPT(deafness) { for (int number = 1; number < 32; number++) signal(number, SIG_IGN); return 1; }
