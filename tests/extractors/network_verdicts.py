"""What the network extractor says of a slice."""

from minimal_slices import subject

from binsafe.extractors import network
from binsafe.model import Slice


def verdict_of(slice_: Slice, **known: object):
    return network.extract(subject(slice_, **known)).value.verdict


def reasons(slice_: Slice, **known: object):
    [finding] = network.extract(subject(slice_, **known)).findings
    assert finding.id == "network-unknown"
    return finding.detail


def operations(slice_: Slice, **known: object):
    found = network.extract(subject(slice_, **known)).value
    return {operation.name: operation.evidence[0] for operation in found.operations}
