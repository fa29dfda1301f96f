"""The gRPC service below its clients: who may call what, and messages that nobody sends by accident."""

import base64
import os
import pathlib
import re
import time

import grpc
import pytest

from conftest import REPOSITORY, wait_until

SERVICE = "/milvus.proto.milvus.MilvusService/"
TABLE = (REPOSITORY / "server/src/grpc/rpc.rs").read_text()
METHODS = re.findall(r'rpc!\("(\w+)"', TABLE)
# What tells nothing of what is stored, and what every user may look at in Milvus (the role public).
HARMLESS = {"Connect", "GetVersion", "CheckHealth", "GetComponentStates", "GetMetrics", "AllocTimestamp", "GetFlushAllState"}
PUBLIC = {"DescribeCollection", "BatchDescribeCollection", "HasCollection", "ShowCollections", "ListAliases"}
PUBLIC |= {"DescribeIndex", "GetIndexStatistics", "GetIndexState", "GetIndexBuildProgress"}


@pytest.fixture
def guarded(start):
    server = start(environment={"ELANUS_AUTH": "true", "ELANUS_ROOT_PASSWORD": "root-password"})
    root = {"Authorization": "Bearer root:root-password"}
    server.ok("users/create", {"userName": "nobody", "password": "no-rights"}, **root)
    server.ok("collections/create", {"collectionName": "secret", "dimension": 4}, **root)
    return server


def channel(server):
    return grpc.insecure_channel(server.url.removeprefix("http://"))


def call(opened, method, message=b"", user=None, **more):
    metadata = [("authorization", base64.b64encode(user.encode()).decode())] if user else []
    return opened.unary_unary(SERVICE + method)(message, metadata=metadata, timeout=30, **more)


def refused(opened, method, message=b"", user=None):
    with pytest.raises(grpc.RpcError) as raised:
        call(opened, method, message, user)
    return raised.value.code()


def text(number, value):
    """A field of a message: a string."""
    value, length, rest = value.encode(), b"", len(value.encode())
    while rest >= 0x80:
        length, rest = length + bytes([rest & 0x7F | 0x80]), rest >> 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + value


def test_the_table_is_found():
    assert len(METHODS) > 80 and len(set(METHODS)) == len(METHODS)


def test_whoever_is_not_known_is_let_into_nothing(guarded):
    with channel(guarded) as opened:
        for method in METHODS:
            assert refused(opened, method) == grpc.StatusCode.UNAUTHENTICATED, method
        assert refused(opened, METHODS[0], user="root:wrong-password") == grpc.StatusCode.UNAUTHENTICATED


def test_a_user_without_rights_may_do_nothing(guarded):
    # Requests name the collection in one of their first five fields.
    named = [b"", *(text(number, "secret") for number in (1, 2, 3, 4, 5))]
    with channel(guarded) as opened:
        for method in METHODS:
            if method in HARMLESS | PUBLIC:
                continue
            for message in named:
                try:
                    answer = call(opened, method, message, "nobody:no-rights")
                except grpc.RpcError as error:
                    codes = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT}
                    assert error.code() in codes, (method, message, error)
                else:
                    # What is wrong with a request may be told to anybody, but nothing of what is stored.
                    assert b"secret" not in answer.replace(message, b""), (method, message, answer)
                    assert b"is_input_error" in answer or method == "GetFlushState", (method, message, answer)


def test_rights_open_what_they_name(guarded):
    root = {"Authorization": "Bearer root:root-password"}
    guarded.ok("roles/create", {"roleName": "reader"}, **root)
    grant = {"roleName": "reader", "objectType": "Collection", "objectName": "secret", "privilege": "GetStatistics"}
    guarded.ok("roles/grant_privilege", grant, **root)
    guarded.ok("users/grant_role", {"userName": "nobody", "roleName": "reader"}, **root)
    with channel(guarded) as opened:
        answer = call(opened, "GetCollectionStatistics", text(3, "secret"), "nobody:no-rights")
        assert b"row_count" in answer
        assert refused(opened, "DropCollection", text(3, "secret"), "nobody:no-rights") == grpc.StatusCode.PERMISSION_DENIED


def test_what_is_no_message_is_refused_and_the_next_one_answered(start):
    server = start()
    with channel(server) as opened:
        for method in METHODS:
            # A field that is longer than the message; a field of a type that there is not.
            for broken in (b"\x0a\x7f", b"\x0f"):
                code = refused(opened, method, broken)
                assert code == grpc.StatusCode.INVALID_ARGUMENT, (method, broken, code)
        assert refused(opened, "NoSuchMethod") == grpc.StatusCode.UNIMPLEMENTED
        assert b"v3.0.0" in call(opened, "GetVersion")


@pytest.fixture
def busy(start):
    """A server with rows, and a query over them that would take it minutes."""
    server = start()
    server.ok("collections/create", {"collectionName": "rows", "dimension": 2})
    rows = [{"id": i, "vector": [i, 1], "word": f"word {i * 7919}"} for i in range(20_000)]
    server.ok("entities/insert", {"collectionName": "rows", "data": rows})
    terms = " or ".join(f'word like "%{i}x%"' for i in range(40_000))
    return server, text(3, "rows") + text(4, f"not ({terms})") + text(5, "count(*)")


def works(server, seconds=0.4):
    """Whether the server's threads are at work: the share of one core that it takes."""
    before = cpu_seconds(server)
    time.sleep(seconds)
    return (cpu_seconds(server) - before) / seconds > 0.5


def cpu_seconds(server):
    words = (pathlib.Path("/proc") / str(server.process.pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("end", ["the client gives up", "the connection ends", "the time is over"])
def test_work_that_nobody_waits_for_ends(busy, end):
    server, query = busy
    wait_until(lambda: not works(server), "the server rests")
    with channel(server) as opened:
        limit = 5 if end == "the time is over" else 600
        asked = opened.unary_unary(SERVICE + "Query").future(query, timeout=limit)
        wait_until(lambda: works(server), "the server is at work on the query")
        if end == "the client gives up":
            asked.cancel()
        elif end == "the connection ends":
            opened.close()
        with pytest.raises((grpc.RpcError, grpc.FutureCancelledError)):
            asked.result()
    # By itself it would go on for minutes.
    wait_until(lambda: not works(server), "the query was given up", seconds=20)
    with channel(server) as opened:
        assert b"v3.0.0" in call(opened, "GetVersion")
