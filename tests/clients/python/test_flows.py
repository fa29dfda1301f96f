"""Every flow against the real program, through the pymilvus that is installed beside this interpreter."""

import pytest
from place import FLOWS, VERSION


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_flow(place, flow):
    if flow.since > VERSION:
        pytest.skip(f"came with pymilvus {flow.since[0]}.{flow.since[1]}")
    flow(place)
