/* The kernel's surface: calls that a server has no use for and that exploits begin with. */
#define SURFACE "kernel"
#include "hostile.h"
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#define REACHES(identifier, ...) ATTEMPT(identifier) { return reached(syscall(__VA_ARGS__)); }
REACHES(program_the_kernel, SYS_bpf, 0, 0, 0)
REACHES(count_events, SYS_perf_event_open, 0, 0, -1, -1, 0)
REACHES(handle_faults, SYS_userfaultfd, 0)
REACHES(key_ring, SYS_keyctl, 0, -3, 0)
REACHES(key_ring_of_session, SYS_keyctl, 1, 0)
REACHES(key_added, SYS_add_key, "user", "x", "x", 1, -4)
REACHES(key_requested, SYS_request_key, "user", "x", 0, 0)
REACHES(ring_entered, SYS_io_uring_enter, 0, 0, 0, 0, 0)
REACHES(ring_registered, SYS_io_uring_register, 0, 0, 0, 0)
REACHES(asynchronous_files, SYS_io_setup, 1, 0)
REACHES(module, SYS_init_module, 0, 0, 0)
REACHES(module_by_descriptor, SYS_finit_module, 0, 0, 0)
REACHES(module_removed, SYS_delete_module, "x", 0)
REACHES(other_kernel, SYS_kexec_load, 0, 0, 0, 0)
REACHES(other_kernel_by_file, SYS_kexec_file_load, -1, -1, 0, 0, 0)
REACHES(ports_of_the_machine, SYS_ioperm, 0x80, 1, 1)
REACHES(all_ports_of_the_machine, SYS_iopl, 3)
REACHES(segments, SYS_modify_ldt, 0, 0, 0)
REACHES(mount_something, SYS_mount, "none", "/tmp", "tmpfs", 0, 0)
REACHES(mount_again, SYS_mount, "", "/", "", MS_REMOUNT | MS_BIND, 0)
REACHES(unmount, SYS_umount2, "/", MNT_DETACH)
REACHES(change_root, SYS_chroot, "/")
REACHES(pivot, SYS_pivot_root, ".", ".")
REACHES(tree, SYS_open_tree, AT_FDCWD, "/", 1)
REACHES(file_system, SYS_fsopen, "tmpfs", 0)
REACHES(file_system_picked, SYS_fspick, AT_FDCWD, "/", 0)
REACHES(mount_moved, SYS_move_mount, -1, "", -1, "", 0)
REACHES(mount_changed, SYS_mount_setattr, -1, "", 0, 0, 0)
REACHES(file_by_handle, SYS_open_by_handle_at, AT_FDCWD, 0, 0)
REACHES(swap, SYS_swapon, "/tmp/x", 0)
REACHES(swap_off, SYS_swapoff, "/tmp/x")
REACHES(accounting, SYS_acct, 0)
REACHES(quota, SYS_quotactl, 0, 0, 0, 0)
REACHES(messages, SYS_syslog, 10, 0, 0)
REACHES(hang_up, SYS_vhangup)
REACHES(own_filter, SYS_seccomp, 2, 0, 0)
REACHES(own_filter_strict, SYS_seccomp, 0, 0, 0)
REACHES(pages_moved, SYS_move_pages, 0, 0, 0, 0, 0, 0)
REACHES(pages_migrated, SYS_migrate_pages, 0, 0, 0, 0)
REACHES(memory_policy, SYS_set_mempolicy, 0, 0, 0)
REACHES(memory_bound, SYS_mbind, 0, 0, 0, 0, 0, 0)
REACHES(pages_remapped, SYS_remap_file_pages, 0, 0, 0, 0, 0)
REACHES(cookie, SYS_lookup_dcookie, 0, 0, 0)
REACHES(file_systems_known, SYS_sysfs, 3)
REACHES(device_of, SYS_ustat, 0, 0)
REACHES(restart_machine, SYS_reboot, 0, 0, 0, 0)
REACHES(name_of_the_host, SYS_sethostname, "x", 1)
REACHES(domain_of_the_host, SYS_setdomainname, "x", 1)
REACHES(clock_set, SYS_clock_settime, 0, 0)
REACHES(clock_adjusted, SYS_clock_adjtime, 0, 0)
REACHES(time_of_day_set, SYS_settimeofday, 0, 0)
REACHES(time_adjusted, SYS_adjtimex, 0)
REACHES(pages_poured, SYS_vmsplice, -1, 0, 0, 0)
REACHES(pipes_doubled, SYS_tee, -1, -1, 1, 0)
REACHES(unknown_call, 1000)
ATTEMPT(readable_is_executable) { return personality(0x0400000) != -1; }
ATTEMPT(same_addresses_each_time) { return personality(0x0040000) != -1; }
ATTEMPT(old_personality) { return personality(8) != -1; }
ATTEMPT(no_time_stamp_counter) { return prctl(PR_SET_TSC, 2, 0, 0, 0) == 0; }
ATTEMPT(speculation) { return prctl(53, 0, 2, 0, 0) == 0; }
ATTEMPT(dispatch_calls) { return prctl(59, 0, 0, 0, 0) == 0; }
ATTEMPT(memory_layout) { return prctl(PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0) == 0; }
ATTEMPT(filter_by_prctl) { return reached(prctl(PR_SET_SECCOMP, 2, 0, 0, 0)); }
ATTEMPT(name_of_the_machine) { struct utsname names; return uname(&names) == 0 && !strcmp(names.nodename, given("hostname")); }

/* These end the program where they are not let through: each in a run of its own. */
#undef SURFACE
#define SURFACE "fatal"
ATTEMPT(call_by_interrupt) { long result; __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11"); return result > 0; }
ATTEMPT(call_by_x32) { return syscall(0x40000000 | SYS_getpid) > 0; }
