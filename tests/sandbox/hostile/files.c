/* Files that were not granted: their content, their names, and marks left on the host. */
#define SURFACE "files"
#include "hostile.h"
#include <dirent.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <sys/inotify.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sendfile.h>
#include <sys/un.h>
#include <linux/openat2.h>
#include <linux/stat.h>

static int can_read(const char *path) {
    char byte;
    int file = open(path, O_RDONLY);
    if (file < 0) return 0;
    int got = read(file, &byte, 1) >= 0;
    close(file);
    return got;
}
static int can_list(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return 0;
    int entries = 0;
    for (struct dirent *entry; (entry = readdir(folder));) entries += entry->d_name[0] != '.';
    closedir(folder);
    return entries > 0;
}
static const char *in_drop(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", given("drop"), name);
    return path;
}
static int can_make(const char *path) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0777);
    if (file < 0) return 0;
    close(file);
    return 1;
}

#define READS(identifier, path) ATTEMPT(identifier) { return can_read(path); }
#define LISTS(identifier, path) ATTEMPT(identifier) { return can_list(path); }
READS(secret, given("secret"))
READS(shadow, "/etc/shadow")
READS(users, given("users")) /* the real one: a stand-in may be there */
READS(machine_id, "/etc/machine-id")
READS(host_key, "/etc/ssh/ssh_host_ed25519_key")
READS(own_environment, "/proc/self/environ")
READS(first_environment, "/proc/1/environ")
READS(own_memory, "/proc/self/mem")
READS(parent_maps, "/proc/1/maps")
READS(parent_by_own_folder, "/proc/self/../1/maps")
ATTEMPT(own_maps) { /* may be read, and name the program and what the kernel maps for it, not where its user keeps it */
    char line[8192];
    FILE *maps = fopen("/proc/self/maps", "r");
    int elsewhere = 0;
    while (maps && fgets(line, sizeof line, maps))
        elsewhere |= strchr(line, '/') && !strstr(line, " /bin/hostile\n") && !strstr(line, " /memfd:");
    if (maps) fclose(maps);
    return elsewhere;
}
READS(parent_memory, "/proc/1/mem")
READS(kernel_memory, "/proc/kcore")
READS(kernel_symbols, "/proc/kallsyms")
READS(kernel_messages, "/dev/kmsg")
READS(kernel_configuration, "/proc/config.gz")
READS(command_line_of_the_kernel, "/proc/cmdline")
READS(mounts, "/proc/self/mountinfo")
READS(network_connections, "/proc/self/net/tcp")
READS(system_control, "/proc/sys/kernel/core_pattern")
READS(physical_memory, "/dev/mem")
READS(terminal, "/dev/tty")
READS(pseudo_terminals, "/dev/ptmx")
READS(virtual_machines, "/dev/kvm")
READS(tunnel, "/dev/net/tun")
READS(fuse, "/dev/fuse")
READS(device_numbers, "/sys/class/net/lo/address")
READS(cgroups, "/sys/fs/cgroup/cgroup.procs")
READS(debug, "/sys/kernel/debug/sleep_time")
READS(through_own_root, "/proc/self/root/etc/passwd")
READS(through_parent, "/../../../../etc/hostname")
LISTS(root_folder_of_home, "/root")
LISTS(homes, "/home")
LISTS(temporary_files, given("tmp"))
LISTS(variable_files, "/var/tmp")
LISTS(running_files, "/run")
LISTS(shared_memory, "/dev/shm")
ATTEMPT(all_processes) { /* there is a folder of that name without Landlock, and no process in it */
    DIR *folder = opendir("/proc");
    int processes = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) processes += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
    if (folder) closedir(folder);
    return processes > 0;
}
LISTS(devices, "/dev/pts")
LISTS(programs, "/usr/bin")
LISTS(modules, "/lib/modules")
ATTEMPT(secret_mapped) {
    int file = open(given("secret"), O_RDONLY);
    return file >= 0 && mmap(0, 1, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED;
}
ATTEMPT(secret_by_handle) {
    struct { struct file_handle handle; char room[128]; } file = {.handle = {.handle_bytes = 128}};
    int mount;
    return reached(name_to_handle_at(AT_FDCWD, given("secret"), &file.handle, &mount, 0));
}
ATTEMPT(secret_as_a_path_only) { int file = open(given("secret"), O_PATH); return file >= 0; }
ATTEMPT(secret_linked) { return link(given("secret"), in_drop("linked")) == 0; }
ATTEMPT(secret_renamed) { return rename(given("secret"), in_drop("renamed")) == 0; }
ATTEMPT(secret_through_a_link) {
    return symlink(given("secret"), "/tmp/way") == 0 && can_read("/tmp/way");
}
ATTEMPT(secret_seen_through_a_link) { /* in a folder that it may write: the path is granted, where it leads is not */
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s/way", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return symlink(given("secret"), path) == 0 && stat(path, &status) == 0;
}
ATTEMPT(secret_truncated) { return truncate(given("writable"), 0) == 0; }
ATTEMPT(secret_truncated_by_opening) { return open(given("writable"), O_RDONLY | O_TRUNC) >= 0; }
ATTEMPT(secret_opened_for_no_access) { return open(given("writable"), 3) >= 0; }
ATTEMPT(secret_changed_mode) { return chmod(given("writable"), 0600) == 0; }
ATTEMPT(secret_changed_owner) { return chown(given("writable"), getuid(), getgid()) == 0; }
ATTEMPT(secret_changed_times) { struct timeval now[2] = {{0}}; return utimes(given("writable"), now) == 0; }
ATTEMPT(secret_attribute) { return setxattr(given("writable"), "user.x", "x", 1, 0) == 0; }
ATTEMPT(secret_removed) { return unlink(in_drop("removable")) == 0; }
ATTEMPT(secret_locked) {
    int file = open(given("writable"), O_RDWR);
    return file >= 0;
}
ATTEMPT(secret_watched) { int watch = inotify_init1(0); return watch >= 0 && inotify_add_watch(watch, given("drop"), IN_ALL_EVENTS) >= 0; }
ATTEMPT(all_watched) { return reached(syscall(SYS_fanotify_init, 0, 0)); }
ATTEMPT(drop_file) { return can_make(in_drop("dropped")); }
ATTEMPT(drop_folder) { return mkdir(in_drop("folder"), 0777) == 0; }
ATTEMPT(drop_link) { return symlink("/etc/passwd", in_drop("link")) == 0; }
ATTEMPT(drop_pipe) { return mknod(in_drop("pipe"), S_IFIFO | 0666, 0) == 0; }
ATTEMPT(drop_device) { return mknod(in_drop("device"), S_IFCHR | 0666, 0x103) == 0; }
ATTEMPT(drop_unnamed) { return open(given("drop"), O_TMPFILE | O_RDWR, 0600) >= 0; }
ATTEMPT(own_device) { return mknod("/tmp/null", S_IFCHR | 0666, 0x103) == 0 || mknod("/device", S_IFBLK | 0666, 0x800) == 0; }
ATTEMPT(host_temporary) { return can_make("/tmp/binsafe-hostile-was-here") && number("shares-files"); }
ATTEMPT(host_variable) { return can_make("/var/tmp/binsafe-hostile-was-here"); }
ATTEMPT(host_run) { return can_make("/run/binsafe-hostile-was-here"); }
ATTEMPT(host_shared_memory) { return can_make("/dev/shm/binsafe-hostile-was-here") && number("shares-files"); }
ATTEMPT(host_home) { return can_make("/root/binsafe-hostile-was-here"); }
ATTEMPT(host_schedule) { return can_make("/etc/cron.d/binsafe-hostile"); }
ATTEMPT(host_preload) { return can_make("/etc/ld.so.preload"); }
ATTEMPT(own_program) { return open("/proc/self/exe", O_WRONLY) >= 0 || can_make("/bin/hostile"); }
ATTEMPT(own_root) { return can_make("/hostile-was-here"); }
ATTEMPT(own_library_folder) { return can_make("/lib/hostile.so") || can_make("/usr/lib/hostile.so"); }
ATTEMPT(system_setting) { return open("/proc/sys/kernel/core_pattern", O_WRONLY) >= 0; }
ATTEMPT(out_of_memory_score) { return open("/proc/self/oom_score_adj", O_WRONLY) >= 0; }
ATTEMPT(identity_map) { return open("/proc/self/uid_map", O_WRONLY) >= 0; }

/* Looking without opening, other ways to open, and what the mounts allow. */
ATTEMPT(stat_secret) { struct stat s; return stat(given("secret"), &s) == 0; }
ATTEMPT(lstat_shadow) { struct stat s; return lstat("/etc/shadow", &s) == 0; }
ATTEMPT(statx_shadow) { struct statx s; return syscall(SYS_statx, AT_FDCWD, "/etc/shadow", 0, STATX_ALL, &s) == 0; }
ATTEMPT(access_secret) { return access(given("secret"), R_OK) == 0; }
ATTEMPT(faccessat_secret) { return syscall(SYS_faccessat2, AT_FDCWD, given("secret"), F_OK, AT_EACCESS) == 0; }
ATTEMPT(own_place) { char b[4096] = ""; return readlink("/proc/self/exe", b, sizeof b - 1) > 0 && strcmp(b, "/bin/hostile"); }
ATTEMPT(readlink_parent) { char b[4096]; return readlink("/proc/1/exe", b, sizeof b) > 0; }
ATTEMPT(readlink_localtime) { char b[4096]; return readlink("/etc/localtime", b, sizeof b) > 0; }
ATTEMPT(statfs_home) { struct statfs s; return statfs("/home", &s) == 0; }
ATTEMPT(chdir_etc) { if (chdir("/etc")) return 0; int r = can_list("."); chdir("/"); return r; }
ATTEMPT(chdir_parents) { for (int i = 0; i < 50; i++) if (chdir("..")) return 0; int r = can_list("home") || can_read("etc/shadow"); chdir("/"); return r; }
ATTEMPT(path_fd_then_open) { int d = open("/etc", O_PATH | O_DIRECTORY); if (d < 0) return 0; int f = openat(d, "shadow", O_RDONLY); return f >= 0; }
ATTEMPT(path_fd_folder) { return open("/etc", O_PATH | O_DIRECTORY) >= 0; }
ATTEMPT(path_fd_no_follow) { return open(given("secret"), O_PATH | O_NOFOLLOW | O_CLOEXEC) >= 0; }
ATTEMPT(openat2_path) { struct open_how how = {.flags = O_PATH}; return syscall(SYS_openat2, AT_FDCWD, given("secret"), &how, sizeof how) >= 0; }
ATTEMPT(openat2_read) { struct open_how how = {.flags = O_RDONLY}; return syscall(SYS_openat2, AT_FDCWD, given("secret"), &how, sizeof how) >= 0; }
ATTEMPT(openat2_mode_three) { struct open_how how = {.flags = 3}; return syscall(SYS_openat2, AT_FDCWD, given("writable"), &how, sizeof how) >= 0; }
ATTEMPT(old_open_path) { return syscall(SYS_open, given("secret"), O_PATH) >= 0; }
ATTEMPT(folder_listed) { return can_list(given("drop")); }
ATTEMPT(xattr_read) { char b[100]; return getxattr(given("secret"), "user.x", b, 100) >= 0 || errno == ENODATA; }
ATTEMPT(xattr_listed) { char b[100]; return listxattr("/etc", b, 100) >= 0; }
ATTEMPT(exchange) { char p[4096]; snprintf(p, sizeof p, "%s/removable", given("drop")); return syscall(SYS_renameat2, AT_FDCWD, given("writable"), AT_FDCWD, p, 2) == 0; }
ATTEMPT(whiteout) { char p[4096]; snprintf(p, sizeof p, "%s/w", given("drop")); return syscall(SYS_renameat2, AT_FDCWD, given("writable"), AT_FDCWD, p, 4) == 0; }
ATTEMPT(append_writable) { return open(given("writable"), O_WRONLY | O_APPEND) >= 0; }
ATTEMPT(old_creat) { char p[4096]; snprintf(p, sizeof p, "%s/c", given("drop")); return syscall(SYS_creat, p, 0666) >= 0; }
ATTEMPT(rmdir_folder) { return rmdir(given("drop")) == 0; }
ATTEMPT(unix_socket_file) { int s = socket(AF_UNIX, SOCK_STREAM, 0); struct sockaddr_un a = {.sun_family = AF_UNIX}; snprintf(a.sun_path, sizeof a.sun_path, "%s/s", given("drop")); return s >= 0 && bind(s, (void*)&a, sizeof a) == 0; }
ATTEMPT(execute_setuid) { char *const a[] = {"su", 0}; execve("/bin/su", a, a + 1); return 0; }
ATTEMPT(scratch_executable) { struct statvfs s; return statvfs("/tmp", &s) == 0 && !(s.f_flag & ST_NOEXEC) && !number("shares-files"); }
ATTEMPT(scratch_setuid) { struct statvfs s; return statvfs("/tmp", &s) == 0 && !(s.f_flag & ST_NOSUID) && !number("shares-files"); }
ATTEMPT(scratch_devices) { struct statvfs s; return statvfs("/tmp", &s) == 0 && !(s.f_flag & 4) && !number("shares-files"); }
ATTEMPT(scratch_without_end) { struct statvfs s; return statvfs("/tmp", &s) == 0 && (unsigned long)s.f_blocks * s.f_frsize > (1ul << 30) && !number("shares-files"); }
ATTEMPT(root_writable) { struct statvfs s; return statvfs("/", &s) == 0 && !(s.f_flag & ST_RDONLY) && !number("shares-files"); }
ATTEMPT(root_devices) { struct statvfs s; return statvfs("/", &s) == 0 && !(s.f_flag & 4) && !number("shares-files"); }
ATTEMPT(root_setuid) { struct statvfs s; return statvfs("/", &s) == 0 && !(s.f_flag & ST_NOSUID) && !number("shares-files"); }
ATTEMPT(dev_loop) { return open("/dev/loop-control", O_RDWR) >= 0 || open("/dev/loop0", O_RDONLY) >= 0 || open("/dev/vda", O_RDONLY) >= 0 || open("/dev/sda", O_RDONLY) >= 0; }
ATTEMPT(random_device_written) { return open("/dev/urandom", O_WRONLY) >= 0; }
ATTEMPT(dev_full) { return open("/dev/full", O_RDWR) >= 0; }
ATTEMPT(sys_power) { return open("/sys/power/state", O_WRONLY) >= 0; }
ATTEMPT(binfmt) { return open("/proc/sys/fs/binfmt_misc/register", O_WRONLY) >= 0; }
ATTEMPT(sysrq) { return open("/proc/sysrq-trigger", O_WRONLY) >= 0; }
ATTEMPT(uevent_helper) { return open("/sys/kernel/uevent_helper", O_WRONLY) >= 0; }
ATTEMPT(release_agent) { return open("/sys/fs/cgroup/release_agent", O_WRONLY) >= 0 || open("/sys/fs/cgroup/cgroup.procs", O_WRONLY) >= 0; }
ATTEMPT(ns_links) { char b[100]; return readlink("/proc/self/ns/net", b, 100) > 0; }
ATTEMPT(self_mem_write) { int f = open("/proc/self/mem", O_RDWR); return f >= 0; }
ATTEMPT(sendfile_secret) { int f = open(given("secret"), O_RDONLY); return f >= 0 && sendfile(1, f, 0, 1) >= 0; }
ATTEMPT(own_binary_write) { return open("/bin/hostile", O_RDWR) >= 0; }
ATTEMPT(lease) { int f = open("/dev/null", O_RDONLY); return fcntl(f, 1024, 0) == 0; }
ATTEMPT(notify_folder) { int f = open("/", O_RDONLY); return fcntl(f, 1026, 1) == 0; }
ATTEMPT(listmount) { return reached(syscall(458, 0,0,0,0)); }
ATTEMPT(file_getattr) { return reached(syscall(468, AT_FDCWD, given("secret"), 0, 0, 0)); }
ATTEMPT(setxattrat) { return reached(syscall(463, AT_FDCWD, given("writable"), 0, "user.x", 0, 0)); }
ATTEMPT(getxattrat) { return reached(syscall(464, AT_FDCWD, given("secret"), 0, "user.x", 0, 0)); }
ATTEMPT(open_tree_attr) { return reached(syscall(467, AT_FDCWD, "/", 0, 0, 0)); }
ATTEMPT(fchmodat2) { return syscall(452, AT_FDCWD, given("writable"), 0600, 0) == 0; }
ATTEMPT(cachestat) { return reached(syscall(451, 0, 0, 0, 0)); }

/* What is left behind in a folder that it may write must not run as its owner, whoever starts it. */
static const char *in_scratch(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", name);
    return path;
}
static int runs_as_owner(const char *path) { int number = errno; struct stat s; int r = stat(path, &s) == 0 && s.st_mode & (S_ISUID | S_ISGID); errno = number; return r; }
static int plain(const char *name) { return open(in_scratch(name), O_RDWR | O_CREAT, 0755); }
#define LEAVES(identifier, ...) ATTEMPT(identifier) { const char *name = #identifier; __VA_ARGS__; return runs_as_owner(in_scratch(name)); }
LEAVES(owner_opened, open(in_scratch(name), O_WRONLY | O_CREAT, 04755))
LEAVES(owner_opened_at, openat(AT_FDCWD, in_scratch(name), O_WRONLY | O_CREAT | O_EXCL, 02755))
LEAVES(owner_opened_by_openat2, struct open_how how = {.flags = O_WRONLY | O_CREAT, .mode = 06755}; syscall(SYS_openat2, AT_FDCWD, in_scratch(name), &how, sizeof how))
LEAVES(owner_created, syscall(SYS_creat, in_scratch(name), 06755))
LEAVES(owner_made, mknod(in_scratch(name), S_IFREG | 04755, 0))
LEAVES(owner_made_at, mknodat(AT_FDCWD, in_scratch(name), S_IFREG | 04755, 0))
LEAVES(owner_changed, plain(name); chmod(in_scratch(name), 06755))
LEAVES(owner_changed_open, fchmod(plain(name), 06755))
LEAVES(owner_changed_at, plain(name); syscall(SYS_fchmodat, AT_FDCWD, in_scratch(name), 04755))
LEAVES(owner_changed_by_fchmodat2, plain(name); syscall(452, AT_FDCWD, in_scratch(name), 04755, 0))
ATTEMPT(owner_of_no_name) { int f = open(in_scratch(""), O_TMPFILE | O_RDWR, 04755); struct stat s; return f >= 0 && fstat(f, &s) == 0 && s.st_mode & S_ISUID; }
