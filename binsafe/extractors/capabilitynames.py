"""Which names mean which capability beside the network: functions and classes, Go's functions, system calls, texts.

As in networknames, a name stands here only if it means nothing else: ``fork`` starts no other program, ``mprotect`` is
in every C library's start-up, ``OpenProcess`` waits for a parent, ``BitBlt`` draws a window.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from binsafe.extractors.names import words
from binsafe.extractors.vocabulary import Vocabulary, table
from binsafe.model.facts import CapabilityName

CAPABILITY_NAMES: tuple[CapabilityName, ...] = get_args(CapabilityName)


def _table(**names: str) -> Mapping[str, CapabilityName]:
    return table(CAPABILITY_NAMES, **names)


_IMPORTS = _table(
    execute="execl execle execlp execv execve execvp execvpe execvP fexecve posix_spawn posix_spawnp system popen"
    " CreateProcessA CreateProcessW CreateProcessAsUserA CreateProcessAsUserW CreateProcessWithLogonW ShellExecuteA"
    " ShellExecuteW ShellExecuteExA ShellExecuteExW WinExec OBJC_CLASS_$_NSTask OBJC_CLASS_$_NSAppleScript"
    " AuthorizationExecuteWithPrivileges g_spawn_async g_spawn_sync",
    persistence="SMLoginItemSetEnabled SMJobBless SMJobSubmit OBJC_CLASS_$_SMAppService LSSharedFileListInsertItemURL"
    " CreateServiceA CreateServiceW",
    keychain="SecItemCopyMatching SecItemAdd SecItemUpdate SecItemDelete SecKeychainFindGenericPassword"
    " SecKeychainFindInternetPassword SecKeychainAddGenericPassword SecKeychainAddInternetPassword"
    " SecKeychainItemCopyContent SecKeychainItemCopyAttributesAndData SecKeychainItemModifyAttributesAndData"
    " SecKeychainItemDelete SecKeychainSearchCreateFromAttributes CredReadA CredReadW CredWriteA CredWriteW"
    " CredEnumerateA CredEnumerateW CryptUnprotectData VaultEnumerateItems secret_password_lookup"
    " secret_password_lookup_sync secret_password_store secret_password_store_sync secret_service_search"
    " secret_service_search_sync secret_service_get_secret secret_item_get_secret gnome_keyring_find_password_sync"
    " keyctl_read",
    screen="CGDisplayCreateImage CGDisplayCreateImageForRect CGWindowListCreateImage CGWindowListCreateImageFromArray"
    " CGDisplayStreamCreate CGDisplayStreamCreateWithDispatchQueue CGDisplayStreamStart CGRequestScreenCaptureAccess"
    " OBJC_CLASS_$_SCStream OBJC_CLASS_$_SCScreenshotManager OBJC_CLASS_$_SCShareableContent"
    " OBJC_CLASS_$_AVCaptureScreenInput XGetImage XShmGetImage xcb_get_image xcb_shm_get_image"
    " imlib_create_image_from_drawable imlib_copy_drawable_to_image gdk_pixbuf_get_from_window",
    camera="capCreateCaptureWindowA capCreateCaptureWindowW MFEnumDeviceSources",
    microphone="AudioQueueNewInput AudioQueueNewInputWithDispatchQueue OBJC_CLASS_$_AVAudioRecorder waveInOpen"
    " snd_pcm_readi snd_pcm_readn pa_simple_read pa_stream_connect_record",
    debug="ptrace task_for_pid process_vm_readv process_vm_writev WriteProcessMemory NtWriteVirtualMemory"
    " CreateRemoteThread CreateRemoteThreadEx NtCreateThreadEx QueueUserAPC DebugActiveProcess thread_create_running",
    load_library="dlopen dlmopen NSAddImage NSLinkModule CFBundleLoadExecutable LoadLibraryA LoadLibraryW"
    " LoadLibraryExA LoadLibraryExW LdrLoadDll g_module_open lt_dlopen",
    modify_code="pthread_jit_write_protect_np pthread_jit_write_with_callback_np sys_icache_invalidate",
)

_CALLS = _table(
    execute="execve execveat",
    keychain="keyctl request_key",
    debug="ptrace process_vm_readv process_vm_writev pidfd_getfd",
    load_library="init_module finit_module",
)

_FUNCTIONS = _table(
    execute="os/exec.(*Cmd).Start os.StartProcess os.startProcess syscall.forkExec syscall.StartProcess syscall.Exec"
    " golang.org/x/sys/windows.ShellExecute golang.org/x/sys/unix.Exec",
    persistence="golang.org/x/sys/windows.CreateService github.com/kardianos/service.New",
    keychain="github.com/zalando/go-keyring.Get github.com/zalando/go-keyring.Set"
    " github.com/keybase/go-keychain.QueryItem"
    " github.com/99designs/keyring.Open github.com/danieljoos/wincred.GetGenericCredential",
    screen="github.com/kbinani/screenshot.Capture github.com/kbinani/screenshot.CaptureRect",
    debug="syscall.PtraceAttach golang.org/x/sys/unix.PtraceAttach golang.org/x/sys/windows.WriteProcessMemory"
    " golang.org/x/sys/unix.ProcessVMReadv",
    load_library="plugin.Open plugin.open syscall.LoadLibrary syscall.LoadDLL golang.org/x/sys/windows.LoadLibrary"
    " golang.org/x/sys/windows.LoadDLL syscall.(*LazyDLL).Load github.com/ebitengine/purego.Dlopen",
)

_MANAGED = _table(
    execute="System.Diagnostics.Process.Start",
    persistence="System.ServiceProcess.ServiceInstaller.",
    keychain="System.Security.Cryptography.ProtectedData.",
    screen="System.Drawing.Graphics.CopyFromScreen",
    load_library="System.Reflection.Assembly.Load System.Reflection.Assembly.LoadFile"
    " System.Reflection.Assembly.LoadFrom"
    " System.Reflection.Assembly.UnsafeLoadFrom System.Runtime.Loader.AssemblyLoadContext."
    " System.Runtime.InteropServices.NativeLibrary.",
    modify_code="System.Reflection.Emit.",
)

_RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"
_TEXTS: Mapping[bytes, CapabilityName] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                b"Library/LaunchAgents",
                b"Library/LaunchDaemons",
                b"/etc/crontab",
                b"/etc/cron.d",
                b"/var/spool/cron",
                b"/etc/systemd/system",
                b".config/systemd/user",
                b".config/autostart",
                b"/etc/rc.local",
                _RUN_KEY.encode(),
                _RUN_KEY.upper().encode(),
                _RUN_KEY.encode("utf-16-le"),
                b".bashrc",
                b".zshrc",
                b".bash_profile",
            ),
            "persistence",
        ),
        b"/dev/video": "camera",
    }
)

CAPABILITIES: Vocabulary[CapabilityName] = Vocabulary(
    imports=_IMPORTS, functions=_FUNCTIONS, calls=_CALLS, managed=_MANAGED, texts=_TEXTS
)

TOGETHER: tuple[tuple[CapabilityName, tuple[frozenset[str], ...]], ...] = (
    ("camera", (words("OBJC_CLASS_$_AVCaptureDevice OBJC_CLASS_$_AVCaptureDeviceInput"), words("AVMediaTypeVideo"))),
    (
        "microphone",
        (words("OBJC_CLASS_$_AVCaptureDevice OBJC_CLASS_$_AVCaptureDeviceInput"), words("AVMediaTypeAudio")),
    ),
    ("screen", (words("GetDC GetWindowDC CreateDCA CreateDCW"), words("BitBlt StretchBlt"), words("GetDIBits"))),
    ("modify-code", (words("VirtualAlloc VirtualAllocEx VirtualProtect"), words("FlushInstructionCache"))),
    ("modify-code", (words("memfd_create"), words("fexecve execveat dlopen"))),
)
"""Capabilities that no single name proves: one name of each set must be imported."""

OF_GO_ITSELF = words("execve ptrace LoadLibraryA LoadLibraryW LoadLibraryExA LoadLibraryExW")
"""What Go's ``syscall`` package imports into every program; that the program uses it, its own functions say."""

ENTITLED: Mapping[str, CapabilityName] = MappingProxyType(
    {
        "com.apple.security.device.camera": "camera",
        "com.apple.security.device.audio-input": "microphone",
        "com.apple.security.device.microphone": "microphone",
        "com.apple.security.cs.debugger": "debug",
        "com.apple.security.cs.allow-jit": "modify-code",
        "com.apple.security.cs.allow-unsigned-executable-memory": "modify-code",
        "com.apple.security.cs.disable-executable-page-protection": "modify-code",
        "keychain-access-groups": "keychain",
    }
)
"""What its signer asked for is meant to be used, which is not yet code that uses it."""

_PROT_EXEC = 0x4
"""sys/mman.h, of Linux and macOS"""
_PAGE_EXECUTE_ANY = 0xF0
"""PAGE_EXECUTE to PAGE_EXECUTE_WRITECOPY (winnt.h)"""
CODE_MAKERS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        **dict.fromkeys(("mmap", "mmap64", "mprotect", "pkey_mprotect"), (2, _PROT_EXEC)),
        **dict.fromkeys(("vm_protect", "mach_vm_protect"), (4, _PROT_EXEC)),
        **dict.fromkeys(("vm_map", "mach_vm_map"), (7, _PROT_EXEC)),
        "VirtualAlloc": (3, _PAGE_EXECUTE_ANY),
    }
)
"""Function -> its argument that says what the memory is for, and the bits that mean execution."""
