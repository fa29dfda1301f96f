"""The gRPC service below its clients: who may call what, and messages that nobody sends by accident."""

import base64
import re

import grpc
import pytest

from conftest import REPOSITORY

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
    return bytes([number << 3 | 2, len(value)]) + value.encode()


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
