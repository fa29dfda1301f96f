"""Where a flow runs (Elanus, or milvus-lite as the oracle), and what it saw there."""

import contextlib
import itertools
import re

import pymilvus
from pymilvus import MilvusClient, connections

VERSION = tuple(int(part) for part in re.findall(r"\d+", pymilvus.__version__)[:2])
numbers = itertools.count()


class Place:
    """Gives clients of one server, names that are free there, and keeps what the flow noted."""

    def __init__(self, uri, is_lite=False):
        self.uri = uri
        self.is_lite = is_lite
        self.notes = []
        self.client = MilvusClient(uri=uri)
        self._made = []

    def name(self, prefix="c"):
        name = f"{prefix}_{next(numbers)}"
        self._made.append(name)
        return name

    def note(self, what, value):
        """Something that every server must answer alike, up to ties and rounding."""
        self.notes.append((what, value))

    def note_hits(self, what, found, fields=()):
        """Hits of a search, for each query `[(key, distance, fields..), ..]`."""
        self.note(what, [[(hit["id"], hit["distance"], *(hit["entity"][f] for f in fields)) for hit in hits] for hits in found])

    @contextlib.contextmanager
    def orm(self):
        """The connection that the older interface uses by default."""
        connections.connect(alias="default", uri=self.uri)
        try:
            yield
        finally:
            connections.disconnect("default")

    def tidy(self):
        """A flow's collections would burden the flows after it."""
        there = set(self.client.list_collections())
        for name in self._made:
            if name in there:
                with contextlib.suppress(pymilvus.MilvusException):
                    for alias in self.client.list_aliases(collection_name=name).get("aliases", []):
                        self.client.drop_alias(alias)
                self.client.drop_collection(name)
        self._made.clear()
        self.client.close()


FLOWS = []


def flow(since=(2, 4), lite=None):
    """Registers a flow: the first pymilvus that has all it calls, and why milvus-lite cannot run it, if it can't."""

    def register(function):
        function.since, function.lite = since, lite
        FLOWS.append(function)
        return function

    return register
