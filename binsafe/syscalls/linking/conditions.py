"""Code that runs on an occasion only: edges of a file's graph, and calls in it, that count where something is met.

The graph knows what a function *could* do; the source of well-known libraries says when it does (`known_libraries`).
Such knowledge is stated as a `Condition`, and the walk (`composing`) follows conditional edges once their need is met.
"""

from binsafe.syscalls.linking.summary import Summary

_STUB_SIZE = 16
"""Bytes of the longest stub of a linkage table."""


class Names:
    """The nodes of a summary by name, and the nodes that lead to them."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self._own = summary.nodes - len(summary.imports)
        self._exported: dict[str, set[int]] = {}
        for name, (first, last) in zip(summary.exports.texts(), summary.exports.spans(), strict=True):
            if first < last:
                self._exported.setdefault(name, set()).add(first)
        self.roots = frozenset(memoryview(summary.roots).cast("i").tolist())
        self.named = frozenset(node for nodes in self._exported.values() for node in nodes)

    def exported(self, *names: str) -> frozenset[int]:
        """Functions that the file exports under one of these names."""
        return frozenset(node for name in names for node in self._exported.get(name, ()))

    def imported(self, *names: str) -> frozenset[int]:
        """The nodes that stand for what is imported under one of these names."""
        return frozenset(self._own + at for at, name in enumerate(self.summary.imports) if name.name in names)

    def called(self, nodes: frozenset[int]) -> frozenset[int]:
        """Nameless functions that some functions refer to."""
        found = (target for node in nodes for target in self.summary.leading_from(node))
        return frozenset(node for node in found if node < self.summary.functions) - self.named

    def callers(self, nodes: frozenset[int]) -> frozenset[int]:
        """What refers to some nodes."""
        return frozenset(source for node in nodes for source in self.summary.leading_to(node))

    def users(self, *imported: str) -> frozenset[int]:
        """Functions that call something imported, directly or through its stub (`plt`), whose own node is no user."""
        nodes = self.imported(*imported)
        first = frozenset(node for node in self.callers(nodes) if node < self.summary.functions)
        stubs = frozenset(node for node in first if self._is_stub(node))
        return (first - stubs) | frozenset(node for node in self.callers(stubs) if node < self.summary.functions)

    def making(self, *numbers: int) -> frozenset[int]:
        """Functions that make one of these calls themselves."""
        return frozenset(call.node for call in self.summary.calls if call.number in numbers)

    def mentioning(self, text: str) -> frozenset[int]:
        """Functions that refer to a string, of those that are kept."""
        return frozenset(each.node for each in self.summary.texts if each.text == text)

    def _is_stub(self, node: int) -> bool:
        """Whether a function is no longer than a jump to what is imported: a stub, or a function that is one."""
        starts = self.summary.addresses()
        return node + 1 < self.summary.functions and starts[node + 1] - starts[node] <= _STUB_SIZE
