"""Functions of static programs to which nothing leads, and all the ways in which something can."""

from pathlib import Path

import pytest
from compiled import freestanding, needs_compiler

pytestmark = needs_compiler

_OF_GLIBC = """
const char tunables[] __attribute__((used)) = "GLIBC_TUNABLES";
#define KEPT __attribute__((used, noinline, noclone, noipa))
KEPT long unused(long n) { return call(163, n, 0, 0); }
%s
"""
_PLAIN = "OUTLINE static long run(long n) { return call(1, n, 0, 0); }"


def _runs(folder: Path, source: str, *options: str) -> bool:
    found = freestanding(folder, _OF_GLIBC % source, *options)
    assert "getpid" in found.required
    return "acct" in found.required


_PIE = ("-static-pie", "-fPIE")


@pytest.mark.parametrize("options", [(), ("-fno-pie", "-no-pie"), _PIE], ids=["static", "absolute", "static-pie"])
def test_what_nothing_leads_to_is_dead_and_so_are_those_that_it_leads_to(tmp_path: Path, options: tuple[str, ...]):
    assert not _runs(tmp_path, _PLAIN, *options)
    circle = """
        KEPT long other(long n);
        KEPT long one(long n) { return other(n + 1) + unused(n); }
        KEPT long other(long n) { return one(n) * 2; }"""
    assert not _runs(tmp_path, circle + _PLAIN, *options)


@pytest.mark.parametrize("options", [("-fno-pie", "-no-pie"), _PIE], ids=["absolute", "static-pie"])
def test_a_table_of_its_own_jumps_keeps_no_function(tmp_path: Path, options: tuple[str, ...]):
    labels = """
        KEPT long jumping(long n) {
            static void *const table[] = {&&one, &&two, &&three}; long result = 0;
        again: goto *table[(result += n) % 3];
        one: return unused(result);
        two: n = result * 3; goto again;
        three: n = result * 5 + 1; goto again;
        }"""
    assert not _runs(tmp_path, labels + _PLAIN, *options)


@pytest.mark.parametrize("runs", [False, True], ids=["alone", "with-another"])
def test_a_table_of_its_own_jumps_is_named_by_no_other_function(tmp_path: Path, runs: bool):
    labels = """
        __asm__(".data\\n.balign 8\\nplaces: .quad inner, inner\\n.text");
        KEPT long jumping(long n) {
            __asm__ volatile("lea places(%%rip), %%rax; .skip 16, 0x90; inner: nop" ::: "rax"); return unused(n);
        }"""
    going = _ASM.format('"mov places + 8(%%rip), %%rax; call *%%rax"') if runs else _PLAIN
    assert _runs(tmp_path, labels + going, "-fno-pie", "-no-pie") is runs


def test_in_programs_of_other_libraries_all_functions_count(tmp_path: Path):
    assert "acct" in freestanding(tmp_path, (_OF_GLIBC % _PLAIN).replace("GLIBC_TUNABLES", "")).required


def test_where_the_unwinder_is_told_of_no_function_all_count(tmp_path: Path):
    told = '__asm__(".section .eh_frame, \\"a\\"; .long 0; .previous");'
    assert _runs(tmp_path, told + _PLAIN, "-fno-asynchronous-unwind-tables")


_ASM = """OUTLINE static long run(long n) {{
    long r; __asm__ volatile({} : "=a"(r) : : "memory", "rcx"); return r;
}}"""


_RELATIVE = (
    '__asm__(".section .rodata\\n.balign 8\\ntable: .long first - table, unused - table\\n.data\\n.balign 8\\n'
    '.quad table\\n.text");'
)
_BETWEEN = '__asm__(".balign 8\\nbetween: .quad 0, 0, unused - between");'


_DISTANT = (
    '__asm__(".section .rodata\\n.balign 8\\ndistances: .quad 0, unused - near\\n.text");'
    'extern long distances[] __attribute__((visibility("hidden"))); KEPT long near(long n) { return n; }'
)


@pytest.mark.parametrize("options", [("-fno-pie", "-no-pie"), _PIE, (*_PIE, "-O0")], ids=["absolute", "pie", "slow"])
def test_a_function_at_a_distance_from_another_is_kept(tmp_path: Path, options: tuple[str, ...]):
    """The table is not what the distances count from."""
    base = "OUTLINE static long run(long n) { return ((long (*)(long)) ((char *) near + distances[n]))(n); }"
    assert _runs(tmp_path, _DISTANT + base, *options)
    assert not _runs(tmp_path, _DISTANT + _PLAIN, *options)


@pytest.mark.parametrize(
    "source",
    [
        "OUTLINE static long run(long n) { return unused(n); }",
        "OUTLINE static long run(long n) { return n + (long) &unused; }",
        "long (*volatile pointer)(long) = unused;" + _PLAIN,
        "struct __attribute__((packed)) { char one; long (*pointer)(long); } odd = {1, unused};" + _PLAIN,
        '__asm__(".data\\n.skip 0x100000 - 3\\n.quad unused\\n.skip 32, 1\\n.text");' + _PLAIN,
        '__asm__(".data\\n.long unused - .\\n.text");' + _PLAIN,
        '__asm__(".section .rodata\\ntable: .long 0, unused - table\\n.text");'
        + _ASM.format('"lea table(%%rip), %%rax; movslq 4(%%rax), %%rcx; add %%rcx, %%rax; call *%%rax"'),
        _ASM.format('"addr32 call unused"'),
        _ASM.format('"bnd call unused"'),
        _ASM.format('"test %%eax, %%eax; jne unused"'),
        _ASM.format('"push $1f; jmp unused; 1:"'),
        _ASM.format('"call unused + 1"'),
        '__asm__(".globl hidden\\nhidden: call unused\\nret");' + _PLAIN,
        '__asm__(".globl hidden\\nhidden: lea unused(%rip), %rax\\ncall *%rax\\nret");' + _PLAIN,
        '__asm__(".globl hidden\\nhidden: mov $unused, %eax\\ncall *%rax\\nret");' + _PLAIN,
        _ASM.format('"push $1f; .byte 0xe9; .long unused - . - 4; 1:"'),
        '__asm__(".section .init_array, \\"aw\\"\\n.quad unused\\n.text");' + _PLAIN,
        '__asm__(".data\\n.balign 8\\n.quad unused + 4\\n.text");' + _PLAIN,
        _BETWEEN + _ASM.format('"lea between(%%rip), %%rax; add 16(%%rax), %%rax; call *%%rax"'),
        _BETWEEN + _ASM.format('"mov $between, %%eax; add 16(%%rax), %%rax; call *%%rax"'),
        _RELATIVE + _PLAIN,
        '__asm__(".cfi_startproc\\n.cfi_personality 0x1b, unused\\nret\\n.cfi_endproc");' + _PLAIN,
        '__asm__(".data\\n.balign 4\\n.long unused + 1 - .\\n.text");' + _PLAIN,
        '__asm__(".data\\n.balign 4\\n.long unused - 1 - .\\n.text");' + _PLAIN,
    ],
    ids=[
        "call", "value", "pointer", "packed", "packed-behind-megabytes", "own-distance", "table", "addr32", "bnd",
        "branch", "jump", "inside", "from-unknown-code", "named-by-unknown-code", "named-absolutely-by-unknown-code",
        "far-jump", "initialiser", "behind-its-first-instruction", "table-in-code", "table-by-its-address",
        "relative-virtual-table", "personality", "second-byte", "padding-before-it",
    ],
)  # fmt: skip
def test_whatever_leads_to_a_function_keeps_it(tmp_path: Path, source: str):
    assert _runs(tmp_path, source, "-fno-pie", "-no-pie")


@pytest.mark.parametrize(
    "source",
    [
        "long (*volatile pointer)(long) = unused;" + _PLAIN,
        "long (*const table[])(long) = {unused, unused}; OUTLINE static long run(long n) { return table[n](n); }",
        _ASM.format('"addr32 call unused"'),
        _ASM.format('"lea unused(%%rip), %%rax; call *%%rax"'),
        '__asm__(".data\\n.long unused - .\\n.text");' + _PLAIN,
        _RELATIVE + _PLAIN,
        _ASM.format('"jmp 1f; .byte 0xb8; 1: call unused; .skip 8, 0x90; ret"'),
        _ASM.format('"lea 1f(%%rip), %%rax; jmp *%%rax; .byte 0xb8; 1: call unused; .skip 8, 0x90; ret"'),
        '__asm__(".section .rodata\\n.balign 8\\ntable: .rept 20\\n.quad _start - table\\n.endr\\n"'
        '".quad unused - table\\n.text");'
        + _ASM.format('"lea table(%%rip), %%rax; add 160(%%rax), %%rax; call *%%rax"'),
    ],
    ids=[
        "pointer",
        "table",
        "addr32",
        "lea",
        "own-distance",
        "relative-virtual-table",
        "data-jumped-over",
        "data-passed-by",
        "table-of-words",
    ],
)
def test_and_in_position_independent_ones(tmp_path: Path, source: str):
    assert _runs(tmp_path, source, *_PIE)


def test_a_function_that_others_can_look_up_is_kept(tmp_path: Path):
    assert _runs(tmp_path, _PLAIN, *_PIE, "-Wl,--export-dynamic")


def test_all_that_a_function_leads_to_is_kept(tmp_path: Path):
    both = """
        KEPT long second(long n) { return call(153, n, 0, 0); }
        KEPT long both(long n) { return unused(n) + second(n); }
        OUTLINE static long run(long n) { return both(n); }"""
    assert {"acct", "vhangup"} <= set(freestanding(tmp_path, _OF_GLIBC % both).required)


def test_a_function_that_is_far_from_the_start_is_kept(tmp_path: Path):
    """It is not followed through so many others. Numbers in the file's header seem to name what is first and last."""
    apart = '__asm__ volatile(".skip 0x2000, 0x90");'
    first = f"KEPT long before(long n) {{ {apart} return n; }}"
    names = [f"step{number}" for number in range(140)]
    steps = zip(names, ["unused", *names], strict=False)
    chain = "".join(f"KEPT long {name}(long n) {{ return {called}(n + 1) + n; }}" for name, called in steps)
    run = f"OUTLINE static long run(long n) {{ n = {names[-1]}(n); {apart} return n; }}"
    assert _runs(tmp_path, first + chain + run)


def test_code_of_which_the_unwinder_is_told_nothing_is_kept(tmp_path: Path):
    code = '__asm__("hidden: mov $153, %eax\\nsyscall\\nret");'
    assert "vhangup" in freestanding(tmp_path, _OF_GLIBC % (code + _PLAIN)).required


_FUNCTIONS = """
    .type dead, @function
    dead: .cfi_startproc\\n {dead}\\n .cfi_endproc
    .type unused, @function
    unused: .cfi_startproc\\n {begin}\\n mov $163, %eax\\n syscall\\n ret\\n .cfi_endproc
    .size unused, . - unused
    .text
"""


@pytest.mark.parametrize(
    ("dead", "begin", "runs"),
    [
        ("ret", "nop", False),
        ("mov %edi, %eax", "nop", False),
        ("ret", ".cfi_def_cfa_offset 32\\n nop", True),
        ("ret\\n .cfi_endproc\\n mov %edi, %eax\\n .skip 20, 0x90\\n .cfi_startproc", "nop", True),
    ],
    ids=["dead", "fallen-into-by-dead", "split-off", "behind-a-gap"],
)
def test_what_is_before_a_function_and_how_it_begins(tmp_path: Path, dead: str, begin: str, runs: bool):
    text = "\\n".join(line.strip() for line in _FUNCTIONS.format(dead=dead, begin=begin).split("\n"))
    source = (_OF_GLIBC % f'__asm__("{text}");{_PLAIN}').replace("KEPT long unused(long n)", "KEPT long other(long n)")
    assert ("acct" in freestanding(tmp_path, source.replace("call(163", "call(39")).required) is runs


def test_code_that_goes_on_into_a_function_keeps_it(tmp_path: Path):
    text = "\\n".join(line.strip() for line in _FUNCTIONS.format(dead="mov %edi, %eax", begin="nop").split("\n"))
    source = _OF_GLIBC % f'__asm__("{text}");long dead(long); OUTLINE static long run(long n) {{ return dead(n); }}'
    source = source.replace("KEPT long unused(long n) { return call(163", "KEPT long other(long n) { return call(39")
    assert "acct" in freestanding(tmp_path, source).required


@pytest.mark.parametrize(
    ("dead", "called"),
    [
        ("call back", "dead"),
        ("test %edi, %edi\\n jne back", "dead"),
        ("jmp 1f\\n .byte 0x3c\\n 1: mov $0xc3909090, %eax", "dead"),
        ("ret\\n .cfi_endproc\\n hidden: nop\\n .cfi_startproc", "hidden"),
        ('ret\\n .cfi_endproc\\n .section .init, \\"ax\\"\\n hidden: nop\\n .cfi_startproc', "hidden"),
    ],
    ids=["behind-a-call", "behind-a-branch", "behind-data", "between-functions", "before-all-functions"],
)
def test_what_is_before_a_function_keeps_it_where_control_goes_on(tmp_path: Path, dead: str, called: str):
    text = "\\n".join(line.strip() for line in _FUNCTIONS.format(dead=dead, begin="nop").split("\n"))
    source = _OF_GLIBC % f'__asm__("{text}");KEPT long back(long n) {{ return n; }} long {called}(long);'
    source += f"OUTLINE static long run(long n) {{ return {called}(n); }}"
    source = source.replace("KEPT long unused(long n) { return call(163", "KEPT long other(long n) { return call(39")
    assert "acct" in freestanding(tmp_path, source).required


@pytest.mark.parametrize(
    "options",
    [("-mcmodel=large",), ("-mcmodel=large", "-fno-pie", "-no-pie"), ("-mcmodel=large", *_PIE), ("-fno-plt", *_PIE)],
    ids=["large", "large-absolute", "large-pie", "without-plt"],
)
def test_in_each_code_model(tmp_path: Path, options: tuple[str, ...]):
    assert _runs(tmp_path, "OUTLINE static long run(long n) { return unused(n); }", *options)
    assert _runs(tmp_path, "OUTLINE static long run(long n) { return n + (long) &unused; }", *options)
    assert not _runs(tmp_path, _PLAIN, *options)


_AT_A_PLACE = """
const char tunables[] __attribute__((used)) = "GLIBC_TUNABLES";
#define KEPT __attribute__((used, noinline, noclone, noipa))
__asm__(".section .fixed, \\"ax\\"\\n.cfi_startproc\\nret\\n.skip 31, 0xcc\\n.cfi_endproc\\n.text");
KEPT __attribute__((section(".fixed"))) long unused(long n) {
    __asm__ volatile(".skip 0x100, 0x90\\n.globl inner\\ninner: movabs $0x1122334455667788, %%%%rax" ::: "rax");
    return call(163, n, 0, 0);
}
%s
"""


@pytest.mark.parametrize(
    ("start", "source", "runs"),
    [
        (0x7077E0, _ASM.format('"cmpq $0, 0x70(%%rax)"'), False),
        (0x7077E0, _ASM.format('"mov $inner + 3, %%eax"'), False),
        (0x7077E0, _ASM.format('"mov $inner, %%eax"'), True),
        (0x7077E0, '__asm__(".data\\n.balign 8\\n.byte 0\\n.quad inner\\n.text");' + _PLAIN, True),
        (0x7077E0, '__asm__(".data\\n.balign 8\\n.byte 0\\n.quad inner + 3\\n.text");' + _PLAIN, False),
        (0x706FE0, 'char text[16] __attribute__((used, aligned(8))) = "abcdefgh@pp";' + _PLAIN, False),
        (0x706FE0, "char *place[2] __attribute__((used)) = {0, (char *) 0x707040};" + _PLAIN, True),
        (0x70FF60, "int text[4] __attribute__((used, aligned(8))) = {0, 0x71};" + _PLAIN, False),
        (0x70FF60, "char *place[2] __attribute__((used)) = {0, (char *) 0x710000};" + _PLAIN, True),
        (0x707000, 'char text[16] __attribute__((used, aligned(8))) = "abcd pp\\0next";' + _PLAIN, False),
        (0x707000, "int place[4] __attribute__((used)) = {1, 0x707020, 1};" + _PLAIN, True),
        (0x707000, "char place[8] __attribute__((used, aligned(8))) = {1, 0x20, 0x70, 0x70, 0, 1};" + _PLAIN, False),
    ],
    ids=[
        "opcode", "into-an-instruction", "named", "packed", "packed-into-an-instruction", "end-of-a-text", "pointer",
        "wide-letter", "round-pointer", "text", "four-bytes", "odd",
    ],
)  # fmt: skip
def test_what_only_looks_like_its_address_keeps_no_function(tmp_path: Path, start: int, source: str, runs: bool):
    options = ("-fno-pie", "-no-pie", f"-Wl,--section-start=.fixed={start:#x}")
    found = freestanding(tmp_path, _AT_A_PLACE % source, *options)
    assert ("acct" in found.required) is runs


@pytest.mark.parametrize(
    ("table", "other", "runs"),
    [("table", "nop", False), ("table + 4", "nop", True), ("table", "lea table(%%rip), %0", True)],
    ids=["its-own", "behind-its-first", "of-two"],
)
def test_entries_of_a_table_of_jumps_count_from_the_table_alone(tmp_path: Path, table: str, other: str, runs: bool):
    jumping = """
        .type jumping, @function
        jumping: .cfi_startproc
        lea {table}(%rip), %rax
        movslq (%rax, %rdi, 4), %rcx
        add %rax, %rcx
        jmp *%rcx
        label: movabs $1, %rax
        nop
        ret
        .cfi_endproc
        .type unused, @function
        unused: .cfi_startproc
        mov $163, %eax
        syscall
        ret
        .cfi_endproc
        .section .rodata
        .balign 4
        table: .rept 6
        .long label - table
        .endr
        .text
    """.replace("{table}", table)
    text = "\\n".join(line.strip() for line in jumping.split("\n"))
    source = _OF_GLIBC % f'__asm__("{text}");long jumping(long);'
    source += f'OUTLINE static long run(long n) {{ __asm__ volatile("{other}" : "+a"(n)); return jumping(n); }}'
    source = source.replace("KEPT long unused(long n) { return call(163", "KEPT long other(long n) { return call(39")
    assert ("acct" in freestanding(tmp_path, source, *_PIE).required) is runs


_HOLDS_DATA = """
    .type holding, @function
    holding: .cfi_startproc
    ret
    .byte {data}
    inner: call unused
    .skip 8, 0x90
    ret
    .cfi_endproc
    .size holding, . - holding
    .data
    .balign 8
    kept: .quad {kept}
    .text
"""


@pytest.mark.parametrize(
    ("data", "kept", "run"),
    [
        ("0xb8", "0", "call inner"),
        ("0xb8", "0", "call 2f; jmp 1f; 2: .byte 0xe9; .long inner - . - 4; 1:"),
        ("0xb8", "0", "lea inner(%%rip), %%rax; call *%%rax"),
        ("0xb8", "inner", "call *kept(%%rip)"),
        ("0x06, 0xb8", "0", "lea holding(%%rip), %%rax; lea 3(%%rax), %%rax; call *%%rax"),
    ],
    ids=["call", "jump", "address", "pointer", "no-instruction"],
)
@pytest.mark.parametrize("named", [True, False], ids=["fixed", "pie"])
def test_in_a_function_that_holds_data_all_counts_that_looks_like_a_call(
    tmp_path: Path, data: str, kept: str, run: str, named: bool
):
    """Decoded from its start it is in step only behind the call."""
    text = "\\n".join(line.strip() for line in _HOLDS_DATA.format(data=data, kept=kept).split("\n"))
    source = f'__asm__("{text}");' + _ASM.format(f'"{run}"')
    assert _runs(tmp_path, source, *(("-fno-pie", "-no-pie") if named else _PIE))
