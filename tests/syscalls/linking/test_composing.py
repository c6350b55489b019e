"""Names bound as the dynamic linker binds them, and what can be reached through them."""

import msgspec
from small_files import library

from binsafe.syscalls.linking.composing import Closure, File
from binsafe.syscalls.linking.exports import Export
from binsafe.syscalls.linking.reach import UNREACHED, Network, Reached
from binsafe.syscalls.linking.summary import Name, Summary, Text

READ, WRITE, ABORT = 0, 1, 2


def export(name: str, node: int, version: str | None = None, *, default: bool = True) -> Export:
    return Export(name, version, default, 0x1000 + 16 * node, node, node + 1)


def live(closure: Closure, file: int) -> set[int]:
    return {node for node in range(3) if closure.live(file, node)}


def program(*imports: Name) -> Summary:
    return library(functions=1, imports=imports, roots=(0,))


def test_only_what_is_asked_for_is_reached_and_what_that_leads_to():
    libc = library([(0, 1)], exports=(export("read", 0), export("other", 2)))
    closure = Closure([File("program", program(Name("read", None, False)), whole=True), File("libc", libc)])
    assert live(closure, 1) == {0, 1}


def test_the_first_definition_in_load_order_is_taken_also_by_the_library_that_has_its_own():
    libc = library([(0, 3)], imports=(Name("malloc", None, False),), exports=(export("read", 0), export("malloc", 1)))
    own = library(functions=1, imports=(Name("read", None, False),), exports=(export("malloc", 0),), roots=(0,))
    closure = Closure([File("program", own, whole=True), File("libc", libc)])
    assert live(closure, 1) == {0}


def test_versions_choose_between_two_definitions_in_one_file():
    libc = library(exports=(export("memcpy", 0, "OLD", default=False), export("memcpy", 1, "NEW")))
    for version, expected in (("OLD", {0}), ("NEW", {1}), (None, {0, 1})):  # without one, the oldest
        asking = program(Name("memcpy", version, False))
        assert live(Closure([File("program", asking, whole=True), File("libc", libc)]), 1) == expected


def test_a_copied_object_means_the_librarys_own_and_not_the_copy():
    copy = library(functions=1, imports=(Name("table", None, True),), exports=(export("table", 0),), roots=(0,))
    closure = Closure([File("program", copy, whole=True), File("lib", library(exports=(export("table", 2),)))])
    assert live(closure, 1) == {2}


def test_a_name_that_nobody_defines_leads_nowhere():
    closure = Closure([File("program", program(Name("gone", None, False)), whole=True), File("libc", library())])
    assert live(closure, 1) == set()


def test_initialisers_run_without_being_asked_for():
    closure = Closure([File("program", program(), whole=True), File("lib", library([(1, 2)], roots=(1,)))])
    assert live(closure, 1) == {1, 2}


def test_all_exports_of_a_library_that_is_loaded_at_run_time():
    plugin = library(exports=(export("start", 0), export("stop", 1)))
    closure = Closure([File("program", program(), whole=True), File("plugin", plugin, exported=True)])
    assert live(closure, 1) == {0, 1}


def test_the_likely_ones_are_not_reached_through_fatal_errors_alone():
    libc = library([(0, ABORT), (ABORT, 1)], exports=(export("read", 0),), fatal=(ABORT,))
    closure = Closure([File("program", program(Name("read", None, False)), whole=True), File("libc", libc)])
    likely = closure.likely()
    assert live(closure, 1) == {0, 1, 2}
    assert [closure.node(1, node) in likely for node in range(3)] == [True, False, False]


def test_the_way_names_the_file_of_each_step():
    libc = library([(0, 1)], exports=(export("read", 0),))
    closure = Closure([File("program", program(Name("read", None, False)), whole=True), File("libc", libc)])
    assert [(s.file, s.name, s.address) for s in closure.way(1, 1)] == [
        ("program", "read", None),
        ("libc", "read", 0x1000),
        ("libc", None, 0x1010),
    ]


def test_loops_end_and_parents_are_on_the_shortest_way():
    network = Network([([0, 2, 3, 4, 5, 5], [1, 3, 2, 0, 3])])
    assert network.origins([0]) == [-1, 0, 1, 0, UNREACHED]
    assert found(Reached(network, [0])) == [0, 1, 2, 3]
    assert found(Reached(network, [0], without=[1])) == [0, 3]


def test_of_a_whole_file_all_but_what_is_left_out_is_reached_and_what_it_leads_to_elsewhere():
    network = Network([([0, 0, 0], []), ([0, 1, 1, 2, 2], [1, 1]), ([0, 1, 1, 1], [1])])
    network.bind(3, [6])
    network.bind(5, [8])
    assert found(Reached(network, [], whole=[range(2, 6)])) == [2, 3, 4, 5, 6, 7, 8]
    assert found(Reached(network, [0], whole=[range(2, 6)], without=[3, 4])) == [0, 2, 5, 8]
    assert found(Reached(network, [2, 3], whole=[range(2, 6), range(6, 9)], without=[6])) == [2, 3, 4, 5, 7, 8]


def test_an_edge_waits_for_the_last_condition_that_bears_on_it():
    network = Network([([0, 2, 2, 3, 3], [1, 3, 1])])
    network.guard(1, None, 7)
    network.guard(1, {0}, 8)
    assert found(Reached(network, [0], met={7})) == [0, 3]
    assert found(Reached(network, [0], met={8})) == [0, 1, 3]
    assert found(Reached(network, [2], met={7})) == [1, 2]
    assert network.origins([0], met={8}) == [-1, 0, UNREACHED, 0]


def test_what_waited_is_followed_when_its_condition_is_met():
    network = Network([([0, 1, 2, 2], [1, 2]), ([0, 0, 0], [])])
    network.guard(1, None, 0)
    network.bind(2, [4])
    reached = Reached(network, [0])
    assert found(reached) == [0]
    reached.meet(0)
    assert found(reached) == [0, 1, 2, 4]


def found(reached: Reached) -> list[int]:
    return [node for node in range(reached._network.bases[-1]) if node in reached]


def test_of_a_name_service_only_the_functions_that_live_code_asks_for():
    libc = library(exports=(export("getpwnam", 0), export("getgrgid", 1)))
    libc = msgspec.structs.replace(libc, texts=(Text(0, "getpwnam_r"), Text(1, "getgrgid_r")))
    service = library(exports=(export("_nss_my_own_getpwnam_r", 0), export("_nss_my_own_getgrgid_r", 1)))
    asking = program(Name("getpwnam", None, False))
    closure = Closure([File("program", asking, whole=True), File("libc", libc), File("service", service)])
    assert live(closure, 2) == {0}


def test_where_a_library_starts_as_a_program_counts_for_what_is_started():
    for entry in (0, 1):
        runnable = msgspec.structs.replace(library(), entry=entry)
        for started, expected in ((True, {entry}), (False, set())):
            closure = Closure([File("program", program(), whole=True), File("lib", runnable, started=started)])
            assert live(closure, 1) == expected


def helping(*, symbolic: bool = False) -> Summary:
    """A library whose ``entry`` calls ``helper`` by its name, and has one of its own."""
    exports = (export("entry", 0), export("helper", 1))
    made = library([(0, 3)], imports=(Name("helper", None, False),), exports=exports)
    return msgspec.structs.replace(made, symbolic=symbolic)


def test_a_library_that_is_loaded_at_run_time_may_use_its_own_definition():
    files = [File(name, helping(), exported=name == "second", late=True) for name in ("first", "second")]
    closure = Closure([File("program", program(), whole=True), *files])
    assert [live(closure, 1), live(closure, 2)] == [{1}, {0, 1}]


def test_at_the_start_the_first_definition_is_taken_alone():
    asking = program(Name("helper", None, False), Name("entry", None, False))
    first = library(exports=(export("helper", 1),))
    late = File("late", helping(), late=True)
    closure = Closure([File("program", asking, whole=True), late, File("first", first), File("second", helping())])
    assert [live(closure, 1), live(closure, 2), live(closure, 3)] == [set(), {1}, {0}]


def test_a_name_that_nobody_defines_at_the_start_may_be_of_any_library_that_is_loaded_later():
    plugins = [File(name, library(exports=(export("helper", 0),)), late=True) for name in ("first", "second")]
    closure = Closure([File("program", program(Name("helper", None, False)), whole=True), *plugins])
    assert [live(closure, 1), live(closure, 2)] == [{0}, {0}]


def test_a_file_that_looks_names_up_in_itself_first_uses_its_own_definition():
    asking = program(Name("helper", None, False), Name("entry", None, False))
    first = File("first", library(exports=(export("helper", 1),)))
    closure = Closure([File("program", asking, whole=True), first, File("second", helping(symbolic=True))])
    assert [live(closure, 1), live(closure, 2)] == [{1}, {0, 1}]


def test_where_nobody_has_the_version_that_is_asked_for_any_other_files_definition_may_be_taken():
    """As ld.so does with a warning, where a library is older than the program was linked with."""
    libc = library(exports=(export("read", 0, "OLD"), export("write", 1, "OLD")))
    own = library(functions=1, imports=(Name("read", "NEW", False),), exports=(export("read", 0, "OLD"),), roots=(0,))
    closure = Closure([File("program", own, whole=True), File("libc", libc)])
    assert live(closure, 1) == {0}
