"""The same flows against Elanus and against milvus-lite, a separate implementation of the same interface: what they note
is equal, but for the order of rows with equal scores and the rounding of scores."""

import pytest
from compare import assert_alike
from place import FLOWS, VERSION

COMPARED = [flow for flow in FLOWS if flow.since <= VERSION]


@pytest.mark.skipif(VERSION < (3, 0), reason="once is enough")
@pytest.mark.parametrize("flow", COMPARED, ids=lambda flow: flow.__name__)
def test_alike(place, lite, flow):
    if flow.lite:
        pytest.skip(f"milvus-lite: {flow.lite}")
    flow(lite)
    flow(place)
    assert_alike(lite.notes, place.notes)
