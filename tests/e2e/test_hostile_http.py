"""Clients that are slow, many, huge or wrong, over plain sockets. After each of them the server still answers, its memory
stays within a budget, and nothing of theirs was stored.

Budgets are of resident memory above what the server had before (`VmRSS`, right after the attack).
"""

import concurrent.futures
import contextlib
import json
import re
import resource
import socket
import threading
import time

import pytest
import requests
from conftest import PATIENCE, Server, wait_until
from test_storage import write_config

MIB = 1 << 20
IDLE, BUSY = 1_000, 200
HEADER_TIMEOUT, BODY_TIMEOUT, IDLE_TIMEOUT = 1, 1, 2  # seconds, of the server with small limits
MAX_BODY = 64 * MIB
ROWS = 50


def started(folder, **limits):
    """A server with the limits given and some rows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8_192)), hard))
    limits = {"max_body_bytes": MAX_BODY, "max_connections": 2 * IDLE, **limits}
    server = Server(folder / "data", "--config", write_config(folder / "limits.toml", limits=limits))
    server.ok("collections/create", {"collectionName": "victim", "dimension": 4, "metricType": "L2"})
    server.ok(
        "entities/insert",
        {"collectionName": "victim", "data": [{"id": i, "vector": [i, 0, 0, 0], "tag": f"t{i}"} for i in range(ROWS)]},
    )
    return server


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """One server for all attacks, so that what one leaves behind shows in the next."""
    server = started(tmp_path_factory.mktemp("patient"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """One with short timeouts."""
    timeouts = {
        "header_timeout_s": HEADER_TIMEOUT,
        "body_idle_timeout_s": BODY_TIMEOUT,
        "connection_idle_timeout_s": IDLE_TIMEOUT,
    }
    server = started(tmp_path_factory.mktemp("strict"), **timeouts)
    yield server
    server.kill()


@pytest.fixture
def server(request):
    return request.getfixturevalue("strict" if request.node.get_closest_marker("strict") else "patient")


def is_well(server):
    """Answers rightly, and holds what it held."""
    hits = server.v2("entities/search", {"collectionName": "victim", "data": [[3, 0, 0, 0]], "limit": 2, "outputFields": ["tag"]})
    assert [(hit["id"], hit["tag"]) for hit in hits["data"]] == [(3, "t3"), (2, "t2")], hits
    assert server.ok("entities/query", {"collectionName": "victim", "filter": "", "outputFields": ["count(*)"]}) == [
        {"count(*)": ROWS}
    ]
    assert server.ok("collections/list", {}) == ["victim"]
    assert server.process.poll() is None


@pytest.fixture
def unharmed(server):
    """Gives a function that sets the budget in MiB, and checks afterwards."""
    server.ok("entities/delete", {"collectionName": "victim", "filter": f"id < 0 or id >= {ROWS}"})
    for name in set(server.ok("collections/list", {})) - {"victim"}:
        server.ok("collections/drop", {"collectionName": name})
    is_well(server)
    # The network's weights come in the background after the start: they are no harm.
    wait_until(lambda: server.get("/v1/status").json()["data"]["device"]["device"] != "loading", "the network is loaded")
    before = server.memory("VmRSS")
    budget = [48]
    yield lambda mebibytes: budget.__setitem__(0, mebibytes)
    server.session.close()
    is_well(server)
    grown = server.memory("VmRSS") - before
    assert grown <= budget[0] * MIB, f"grew by {grown / MIB:.0f} MiB, budget {budget[0]} MiB"


def address(server):
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


def connect(server):
    return socket.create_connection(address(server), timeout=PATIENCE)


def request(body, path="collections/list", version="1.1", **headers):
    head = {
        "Host": "x",
        "Content-Type": "application/json",
        "Content-Length": len(body),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    lines = "".join(f"{key}: {value}\r\n" for key, value in head.items() if value is not None)
    return f"POST /v2/vectordb/{path} HTTP/{version}\r\n{lines}\r\n".encode() + body


def read_all(connection):
    """Everything until the server closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def closed_within(connection, seconds):
    """Whether the server ends the connection in time."""
    connection.settimeout(seconds)
    try:
        read_all(connection)
        return True
    except TimeoutError:
        return False


def post(server, body, path="collections/list", **headers):
    """Status and envelope (or nothing, when the answer is none)."""
    headers = {"Content-Type": "application/json", **headers}
    answer = requests.post(f"{server.url}/v2/vectordb/{path}", data=body, headers=headers, timeout=PATIENCE)
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, None


def refused(answer, *codes):
    status, envelope = answer
    assert envelope is not None and envelope["code"] in codes and envelope["message"] and "data" not in envelope, answer
    assert status in (200, 400, 413), answer


def test_idle_connections_keep_nobody_out(server, unharmed):
    unharmed(96)
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(connect(server))
        is_well(server)
        assert len(server.ok("entities/query", {"collectionName": "victim", "filter": "id < 10", "outputFields": ["id"]})) == 10


@pytest.mark.strict
def test_idle_connections_are_closed_in_time(server, unharmed):
    unharmed(64)
    with connect(server) as silent, connect(server) as kept:
        kept.sendall(request(b"{}"))
        assert b'"code":0' in kept.recv(1 << 16)
        assert closed_within(silent, HEADER_TIMEOUT + IDLE_TIMEOUT + 10)
        assert closed_within(kept, IDLE_TIMEOUT + 10)


def test_many_busy_connections(server, unharmed):
    unharmed(256)
    rounds = 10

    def work(number):
        session = requests.Session()
        for turn in range(rounds):
            key = (number + turn) % ROWS
            body = {"collectionName": "victim", "data": [[key, 0, 0, 0]], "limit": 1}
            answer = session.post(f"{server.url}/v2/vectordb/entities/search", json=body, timeout=PATIENCE)
            assert answer.status_code == 200 and answer.json()["data"][0]["id"] == key, answer.text
        return rounds

    with concurrent.futures.ThreadPoolExecutor(BUSY) as pool:
        assert sum(pool.map(work, range(BUSY))) == BUSY * rounds


@pytest.mark.strict
@pytest.mark.parametrize("part", ["headers", "body"])
def test_one_byte_at_a_time_ends_in_time(server, unharmed, part):
    body = json.dumps({"collectionName": "victim", "data": [{"id": 999, "vector": [1, 2, 3, 4]}]}).encode()
    text = request(body, "entities/insert")
    head = text.index(b"\r\n\r\n") + 4
    slow = 30 if part == "headers" else head + 20  # the byte from which on it is slow
    with connect(server) as connection:
        connection.settimeout(0.05)
        connection.sendall(text[:slow])
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            # Headers have a time limit in all; a body must bring something within each interval, so a pause follows.
            for byte in text[slow : slow + 200] if part == "headers" else text[slow : slow + 3]:
                connection.sendall(bytes([byte]))
                try:
                    if connection.recv(1 << 16) == b"":
                        break
                except TimeoutError:
                    pass
        assert closed_within(connection, 10 + max(HEADER_TIMEOUT, BODY_TIMEOUT))
        assert time.monotonic() - began < 20
    is_well(server)


@pytest.mark.strict
def test_slow_bodies_hold_few_bytes_and_nobody_up(server, unharmed):
    """Hundreds announce large bodies and send almost nothing."""
    unharmed(96)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(server)) for _ in range(300)]
        for connection in slow:
            connection.sendall(request(b"", "entities/insert", Content_Length=MAX_BODY) + b'{"collectionName":')
        is_well(server)
        assert all(closed_within(connection, BODY_TIMEOUT + 20) for connection in slow)


@pytest.fixture
def narrow(tmp_path):
    """A server with room for two bodies of full size."""
    server = started(tmp_path, max_body_bytes=4 * MIB, max_bodies_bytes=8 * MIB)
    yield server
    server.kill()


def large_insert(first):
    text = "x" * 50_000
    rows = [{"id": first + i, "vector": [0, 0, 0, 0], "text": text} for i in range(70)]
    return json.dumps({"collectionName": "victim", "data": rows}).encode()


def send_most(connection, body):
    with contextlib.suppress(OSError):
        connection.sendall(request(body, "entities/insert")[:-100])


def test_bodies_that_stop_before_their_end_keep_nobody_out(narrow):
    body = large_insert(1_000)
    assert 3 * MIB < len(body) < 4 * MIB
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(connect(narrow))
            # Most of them have to wait until there is room for what they send.
            threading.Thread(target=send_most, args=[connection, body], daemon=True).start()
        for _ in range(50):
            is_well(narrow)
        assert narrow.post("/v2/vectordb/entities/insert", data=body).json()["code"] == 0


def test_many_large_bodies_in_little_room_all_succeed(narrow):
    def load(number):
        answer = requests.post(
            f"{narrow.url}/v2/vectordb/entities/insert", data=large_insert(1_000 * (number + 1)), timeout=PATIENCE
        )
        return answer.status_code, answer.json()["code"]

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        assert set(pool.map(load, range(48))) == {(200, 0)}
    assert narrow.count("victim") == ROWS + 48 * 70


def test_an_object_with_very_many_keys(server, unharmed):
    unharmed(256)
    body = b"{" + b",".join(b'"%x":0' % i for i in range(4_000_000)) + b"}"
    refused(post(server, body), 1801)


def test_slow_readers_hold_little(server, unharmed):
    """Ask for much and read nothing: the server must not hold up others, nor pile up answers."""
    unharmed(256)
    body = json.dumps({"collectionName": "victim", "filter": "", "limit": ROWS, "outputFields": ["*"]}).encode()
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.connect(address(server))
            stack.enter_context(connection)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(200):
                    connection.send(request(body, "entities/query"))
        is_well(server)


def test_bodies_at_the_limit(server, unharmed):
    unharmed(512)
    filler = b" " * (MAX_BODY - 2)
    assert post(server, b"{" + filler + b"}")[1]["code"] == 0, "64 MiB of white space is an object"
    refused(post(server, b"{" + filler + b" }"), 1102)
    text = b'{"collectionName":"victim","data":[{"id":999,"vector":[1,2,3,4],"x":"' + b"a" * (60 * MIB) + b'"}]}'
    refused(post(server, text, "entities/insert"), 1100, 1102, 1804)
    refused(post(server, b"[" * (32 * MIB)), 1801)


def test_an_announced_length_is_no_promise(server, unharmed):
    with connect(server) as connection:
        connection.sendall(request(b"", "entities/insert", Content_Length=10**15))
        connection.settimeout(PATIENCE)
        answer = read_all(connection)
        assert b" 413 " in answer.split(b"\r\n")[0] or b"1102" in answer or answer == b"", answer[:200]
    with connect(server) as connection:
        connection.sendall(request(b"{}", Content_Length="many"))
        assert b" 400 " in connection.recv(1 << 16).split(b"\r\n")[0]
    with connect(server) as connection:
        connection.sendall(request(b"{}", Content_Length=-1))
        assert b" 400 " in connection.recv(1 << 16).split(b"\r\n")[0]


DEEP = 100_000


def row_with(text):
    return f'{{"collectionName":"victim","data":[{{"id":999,"vector":[1,2,3,4],"x":{text}}}]}}'


WRONG_JSON = {
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a":' * DEEP + "1" + "}" * DEEP,
    "deep lists that do not end": "[" * DEEP,
    "deep lists in a row": row_with("[" * DEEP + "]" * DEEP),
    "deep objects in a row": row_with('{"a":' * DEEP + "1" + "}" * DEEP),
    "deep lists in a vector": '{"collectionName":"victim","data":[{"id":999,"vector":' + "[" * DEEP + "]" * DEEP + "}]}",
    "deep unknown key": '{"collectionName":"victim","data":[{"id":999,"vector":[1]}],"more":' + "[" * DEEP + "]" * DEEP + "}",
    "an exponent of a million as a key": '{"collectionName":"victim","data":[{"id":1e999999,"vector":[1,2,3,4]}]}',
    "10,000 digits as a key": '{"collectionName":"victim","data":[{"id":' + "9" * 10_000 + ',"vector":[1,2,3,4]}]}',
    "an exponent of a million in a vector": '{"collectionName":"victim","data":[{"id":999,"vector":[1e999999,2,3,4]}]}',
    "10,000 digits in a vector": '{"collectionName":"victim","data":[{"id":999,"vector":[' + "9" * 10_000 + ",2,3,4]}]}",
    "an exponent of a million": row_with("1e999999"),
    "duplicate keys of a row": '{"collectionName":"victim","data":[{"id":998,"id":999,"vector":[1,2,3,4]}]}',
    "NaN": row_with("NaN"),
    "Infinity": row_with("-Infinity"),
    "a comment": row_with("/* 1 */ 1"),
    "a comma too many": row_with("[1,]"),
    "a half surrogate in a name": '{"collectionName":"\\ud800","data":[]}',
    "single quotes": row_with("'a'"),
    "a control character": row_with('"\u0001"'),
    "a byte order mark": "\ufeff" + row_with("1"),
    "two documents": row_with("1") + row_with("2"),
    "nothing": "",
    "white space": " \n\t",
}


@pytest.mark.parametrize("name", WRONG_JSON)
def test_wrong_json_is_refused(server, unharmed, name):
    unharmed(64)
    refused(post(server, WRONG_JSON[name].encode(), "entities/insert"), 1100, 1801, 1802, 1804, 100)


WRONG_BYTES = {
    "invalid UTF-8 in a text": b'{"collectionName":"victim","data":[{"id":999,"vector":[1,2,3,4],"x":"\xff\xfe"}]}',
    "invalid UTF-8 in a name": b'{"collectionName":"vic\xc3tim","data":[{"id":999,"vector":[1,2,3,4]}]}',
    "overlong UTF-8": b'{"collectionName":"victim","data":[{"id":999,"vector":[1,2,3,4],"x":"\xc0\xaf"}]}',
    "a surrogate in UTF-8": b'{"collectionName":"victim","data":[{"id":999,"vector":[1,2,3,4],"x":"\xed\xa0\x80"}]}',
    "NUL bytes": b"\0" * 1000,
    "a NUL byte in a text": b'{"collectionName":"victim","data":[{"id":999,"vector":[1,2,3,4],"x":"a\0b"}]}',
    "UTF-16": '{"collectionName":"victim","data":[]}'.encode("utf-16"),
    "an archive": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + bytes(range(256)) * 100,
}


@pytest.mark.parametrize("name", WRONG_BYTES)
def test_wrong_bytes_are_refused(server, unharmed, name):
    refused(post(server, WRONG_BYTES[name], "entities/insert"), 1801, 1804)


def test_an_escaped_nul_in_a_name_is_no_name(server, unharmed):
    refused(post(server, b'{"collectionName":"victim\\u0000","dimension":4}', "collections/create"), 1100)
    refused(post(server, b'{"collectionName":"victim\\u0000"}', "collections/describe"), 100, 1100)


def test_huge_keys_and_thousands_of_fields(server, unharmed):
    unharmed(256)
    row = {"id": 999, "vector": [1, 2, 3, 4]}
    body = lambda more: json.dumps({"collectionName": "victim", "data": [{**row, **more}]}).encode()
    refused(post(server, body({"k" * (8 * MIB): 1}), "entities/insert"), 1100, 1804)
    refused(post(server, body({f"key{i}": i for i in range(100_000)}), "entities/insert"), 1100, 1804)
    fields = [{"fieldName": f"f{i}", "dataType": "Int64", **({"isPrimary": True} if i == 0 else {})} for i in range(5_000)]
    refused(
        post(server, json.dumps({"collectionName": "wide", "schema": {"fields": fields}}).encode(), "collections/create"), 1100
    )
    refused(post(server, json.dumps({"collectionName": "x" * MIB, "dimension": 4}).encode(), "collections/create"), 1100)
    asked = json.dumps(
        {"collectionName": "victim", "filter": "", "outputFields": [f"f{i}" for i in range(50_000)], "limit": 1}
    ).encode()
    assert post(server, asked, "entities/query")[1]["code"] in (0, 1100)


def test_unknown_keys_are_ignored_fast(server, unharmed):
    began = time.monotonic()
    unknown = json.dumps({f"unknown{i}": {"deep": [i]} for i in range(30_000)}).encode()
    assert post(server, unknown)[1]["code"] == 0
    assert time.monotonic() - began < 2


LONG_FILTERS = {
    "many ors": " or ".join(f"id == {i}" for i in range(20_000)),
    "deep brackets": "(" * 50_000 + "id == 1" + ")" * 50_000,
    "many nots": "not " * 50_000 + "(id == 1)",
    "many minuses": "id == " + "-" * 50_000 + "1",
    "a long list": f"id in [{','.join(map(str, range(200_000)))}]",
    "a long text": "tag == '" + "a" * (4 * MIB) + "'",
    "many wildcards": "tag like '" + "%a" * 5_000 + "'",
    "a wild regular expression": "tag =~ '(a+)+(a+)+(a+)+(a+)+$'",
    "a large regular expression": "tag =~ '((a{1000}){1000}){1000}'",
    "deep paths": "x" + "['a']" * 20_000 + " == 1",
    "large powers": "id == 2 ** 2 ** 2 ** 2 ** 2 ** 2",
    "overflow": "id == 9223372036854775807 + 1",
    "the smallest divided": "id == -9223372036854775808 / -1",
    "the smallest's remainder": "id % -1 == 0 and id == -9223372036854775808 % -1",
    "large shifts": "id == 1 << 100000",
    "10,000 digits": "id == " + "9" * 10_000,
    "NUL": "tag == '\0'",
}


@pytest.mark.parametrize("name", LONG_FILTERS)
def test_wild_filters_end_soon(server, unharmed, name):
    unharmed(256)
    began = time.monotonic()
    body = json.dumps({"collectionName": "victim", "filter": LONG_FILTERS[name], "outputFields": ["id"]}).encode()
    status, envelope = post(server, body, "entities/query")
    assert status == 200 and envelope["code"] in (0, 1100), (status, str(envelope)[:300])
    assert len(json.dumps(envelope)) < 8 * len(body) + 64 * 1024, "the answer is no amplifier"
    assert time.monotonic() - began < 20


def test_a_small_request_gets_no_endless_answer(server, unharmed):
    """Milvus limits the size of results: a few kilobytes must not make the server put together gigabytes."""
    unharmed(300)
    server.ok("collections/create", {"collectionName": "large", "dimension": 2, "metricType": "L2"})
    server.ok(
        "entities/insert",
        {"collectionName": "large", "data": [{"id": i, "vector": [i, 0], "text": "x" * 60_000} for i in range(50)]},
    )
    body = {"collectionName": "large", "data": [[0, 0]] * 200, "limit": 50, "outputFields": ["text"]}
    with requests.post(f"{server.url}/v2/vectordb/entities/search", json=body, timeout=PATIENCE, stream=True) as answer:
        size = sum(len(part) for part in answer.iter_content(1 << 20))
    server.ok("collections/drop", {"collectionName": "large"})
    assert size <= 256 * MIB


@pytest.mark.parametrize("text", [["a " * MIB], ["a"] * 100_000], ids=["one long text", "many texts"])
def test_analyzers_take_little(server, unharmed, text):
    before = server.memory("VmRSS")
    began = time.monotonic()
    status, envelope = post(
        server, json.dumps({"text": text, "analyzerParams": '{"tokenizer":"standard"}'}).encode(), "common/run_analyzer"
    )
    assert status == 200 and envelope["code"] in (0, 1100, 1102)
    assert time.monotonic() - began < 5
    assert server.memory("VmRSS") - before < 128 * MIB


ANALYZERS = {
    "10,000 filters": {"tokenizer": "standard", "filter": ["lowercase"] * 10_000},
    "500,000 stop words": {
        "tokenizer": "standard",
        "filter": [{"type": "stop", "stop_words": [f"w{i}" for i in range(500_000)]}],
    },
    "a large pattern": {"tokenizer": "standard", "filter": [{"type": "regex", "expr": "((a{1000}){1000}){1000}"}]},
    "an unknown tokenizer": {"tokenizer": "nothing"},
    "an unknown filter": {"tokenizer": "standard", "filter": ["nothing"]},
    "a filter that is a number": {"tokenizer": "standard", "filter": [5]},
}


@pytest.mark.parametrize("name", ANALYZERS)
def test_wild_analyzers_are_refused(server, unharmed, name):
    unharmed(96)
    body = {"text": ["a b"], "analyzerParams": json.dumps(ANALYZERS[name])}
    refused(post(server, json.dumps(body).encode(), "common/run_analyzer"), 1100, 1801)
    params = {"max_length": 100, "enable_analyzer": True, "analyzer_params": ANALYZERS[name]}
    fields = [
        {"fieldName": "id", "dataType": "Int64", "isPrimary": True},
        {"fieldName": "text", "dataType": "VarChar", "elementTypeParams": params},
        {"fieldName": "v", "dataType": "FloatVector", "elementTypeParams": {"dim": 2}},
    ]
    refused(
        post(server, json.dumps({"collectionName": "analysed", "schema": {"fields": fields}}).encode(), "collections/create"),
        1100,
        1102,
    )


def test_large_templates(server, unharmed):
    unharmed(256)
    body = {
        "collectionName": "victim",
        "filter": "id in {ids}",
        "exprParams": {"ids": list(range(500_000))},
        "outputFields": ["id"],
    }
    status, envelope = post(server, json.dumps(body).encode(), "entities/query")
    assert status == 200 and (envelope["code"] == 1100 or len(envelope["data"]) == ROWS)
    deep = b'{"collectionName":"victim","filter":"id in {ids}","exprParams":{"ids":' + b"[" * DEEP + b"]" * DEEP + b"}}"
    refused(post(server, deep, "entities/query"), 1100, 1801)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/grpc", "multipart/form-data", "", "\x7f"]
)
def test_wrong_content_types(server, unharmed, kind):
    """Milvus reads JSON whatever its type is called; gRPC is another matter."""
    headers = {"Content-Type": kind}
    answer = requests.post(
        f"{server.url}/v2/vectordb/collections/has", data=b'{"collectionName":"victim"}', headers=headers, timeout=PATIENCE
    )
    if kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert answer.json() == {"code": 0, "data": {"has": True}}, answer.text
    else:
        assert answer.status_code < 500, answer.text


def test_a_refusal_before_the_body_keeps_its_word(server, unharmed):
    """An answer may come before its request's body was read; then that is drained, or the answer says that the connection
    is closed, so that no client sends its next request into the void."""
    session = requests.Session()
    for _ in range(200):
        answer = session.post(f"{server.url}/v2/vectordb/nothing/here", data=b"{}" * 50_000, timeout=PATIENCE)
        assert answer.status_code == 404


def chunked(parts, ending=b"0\r\n\r\n"):
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + ending


def exchange(server, data, ending=False):
    """What comes back until the server closes; `ending` says that nothing more will be sent."""
    with connect(server) as connection:
        connection.sendall(data)
        if ending:
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(PATIENCE)
        return read_all(connection)


def test_chunked_bodies(server, unharmed):
    unharmed(160)
    head = lambda path="collections/has": request(b"", path, Content_Length=None, Transfer_Encoding="chunked", Connection="close")
    body = b'{"collectionName":"victim"}'
    assert b'"has":true' in exchange(server, head() + chunked([body[i : i + 1] for i in range(len(body))]))
    assert b'"has":true' in exchange(server, head() + chunked([body], b"0\r\nX-Trailer: 1\r\n\r\n"))
    insert = b'{"collectionName":"victim","data":[{"id":999,"vector":[1,2,3,4]}]}'
    cut = exchange(server, head("entities/insert") + chunked([insert], b""), ending=True)
    assert b'"insertCount"' not in cut, "a body without its end was stored"
    wrong = exchange(server, head("entities/insert") + b"zz\r\n" + insert, ending=True)
    assert b'"insertCount"' not in wrong
    endless = head("entities/insert") + chunked([b" " * MIB] * 65, b"")
    with connect(server) as connection:
        connection.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            connection.sendall(endless)
        answer = read_all(connection)
    assert answer == b"" or b"413" in answer.split(b"\r\n")[0] or b"1102" in answer, answer[:300]


def test_a_length_and_chunks_together_smuggle_nothing(server, unharmed):
    hidden = request(b'{"collectionName":"smuggled","dimension":4}', "collections/create")
    body = b"0\r\n\r\n" + hidden
    for head in [
        {"Content_Length": len(body), "Transfer_Encoding": "chunked"},
        {"Content_Length": len(body), "Transfer_Encoding": "identity, chunked"},
        {"Content_Length": f"{len(body)}\r\nContent-Length: 4"},
    ]:
        answer = exchange(server, request(b"", "collections/list", **head) + body, ending=True)
        assert answer.count(b"HTTP/1.1 200") <= 1, answer[:500]


def test_http_1_0(server, unharmed):
    answer = exchange(server, request(b'{"collectionName":"victim"}', "collections/has", version="1.0"))
    assert answer.startswith(b"HTTP/1.") and b"200" in answer.split(b"\r\n")[0] and b'"has":true' in answer
    assert b"Transfer-Encoding: chunked" not in answer, "1.0 knows no chunks"


def test_pipelining_keeps_the_order(server, unharmed):
    names = ["victim" if i % 3 else "nowhere" for i in range(200)]
    ends = [{}] * (len(names) - 1) + [{"Connection": "close"}]
    data = b"".join(
        request(json.dumps({"collectionName": name}).encode(), "collections/has", **end) for name, end in zip(names, ends)
    )
    with connect(server) as connection:
        thread = threading.Thread(target=connection.sendall, args=[data])
        thread.start()
        answer = read_all(connection)
        thread.join()
    found = re.findall(rb'\{"has":(true|false)\}', answer)
    assert found == [b"true" if name == "victim" else b"false" for name in names]


WRONG_HTTP = {
    "no HTTP": b"hello\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
    "zeros": b"\0" * 4096,
    "a header without end": b"GET / HTTP/1.1\r\nX: " + b"a" * (2 * MIB),
    "many headers": b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % i for i in range(50_000)) + b"\r\n",
    "a long path": b"GET /" + b"a" * (2 * MIB) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
    "an HTTP/2 preface and nonsense": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 4096,
    "half a preface": b"PRI * HTTP/2.0\r\n",
}


@pytest.mark.strict
@pytest.mark.parametrize("name", WRONG_HTTP)
def test_wrong_http(server, unharmed, name):
    with connect(server) as connection:
        connection.settimeout(HEADER_TIMEOUT + 20)
        with contextlib.suppress(OSError):
            connection.sendall(WRONG_HTTP[name])
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            answer = read_all(connection)
            assert b" 200 " not in answer.split(b"\r\n")[0]


def test_clients_that_leave_before_the_answer(server, unharmed):
    unharmed(128)
    body = json.dumps({"collectionName": "victim", "data": [[1, 0, 0, 0]] * 1000, "limit": 50, "outputFields": ["*"]}).encode()
    for _ in range(100):
        connection = connect(server)
        connection.sendall(request(body, "entities/search"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    wait_until(lambda: is_well(server) is None, "answers again")


@pytest.mark.strict
def test_half_an_insert_stores_nothing(server, unharmed):
    body = json.dumps({"collectionName": "victim", "data": [{"id": 999, "vector": [1, 2, 3, 4]}]}).encode()
    for length in (1, len(body) // 2, len(body) - 1):
        with connect(server) as connection:
            connection.sendall(request(b"", "entities/insert", Content_Length=len(body)) + body[:length])
    assert server.ok("entities/get", {"collectionName": "victim", "id": [999]}) == []


@pytest.mark.strict
def test_more_connections_than_are_allowed(server, unharmed):
    """Beyond the limit newcomers wait or are turned away; when the others have gone, all is as before."""
    unharmed(128)
    with contextlib.ExitStack() as stack:
        for _ in range(2 * IDLE + 100):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(address(server), timeout=1))
    wait_until(lambda: answers(server), "answers when the crowd has gone")


def answers(server):
    try:
        return requests.post(f"{server.url}/v2/vectordb/collections/list", json={}, timeout=10).json()["code"] == 0
    except requests.RequestException:
        return False


# Frames of HTTP/2, which is spoken on the same port.
HEADERS, RESET, SETTINGS, PING, WINDOW, CONTINUATION, DATA = 1, 3, 4, 6, 8, 9, 0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


CALL = (
    literal(":method", "POST")
    + literal(":scheme", "http")
    + literal(":path", "/v2/vectordb/collections/list")
    + literal(":authority", "x")
)
HELLO = PREFACE + frame(SETTINGS, 0, 0)


def test_http_2_without_tls(server, unharmed):
    with connect(server) as connection:
        connection.sendall(HELLO + frame(HEADERS, 4, 1, CALL) + frame(DATA, 1, 1, b"{}"))
        connection.settimeout(PATIENCE)
        answer = b""
        while b'"code"' not in answer:
            part = connection.recv(1 << 16)
            assert part, answer
            answer += part
    assert b'{"code":0,"data":["victim"]}' in answer


FLOODS = {
    "streams that are reset at once": lambda i: (
        frame(HEADERS, 4, 2 * i + 1, CALL) + frame(RESET, 0, 2 * i + 1, (8).to_bytes(4, "big"))
    ),
    "headers that never end": lambda i: (
        frame(HEADERS, 0, 1, CALL) if i == 0 else frame(CONTINUATION, 0, 1, literal("x", "y" * 100) * 100)
    ),
    "empty headers that never end": lambda i: frame(HEADERS, 0, 1, CALL) if i == 0 else frame(CONTINUATION, 0, 1),
    "pings": lambda i: frame(PING, 0, 0, i.to_bytes(8, "big")),
    "settings": lambda i: frame(SETTINGS, 0, 0, b"\0\3\0\0\0\x64" * 10),
    "empty data": lambda i: frame(HEADERS, 4, 1, CALL) if i == 0 else frame(DATA, 0, 1),
    "streams that are left open": lambda i: frame(HEADERS, 4, 2 * i + 1, CALL),
    "a window that overflows": lambda i: frame(WINDOW, 0, 0, (2**31 - 1).to_bytes(4, "big")),
    "unknown frames": lambda i: frame(200, 0, 0, b"x" * 1000),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_of_frames(server, unharmed, name):
    """Nothing is read of what the server answers; it may close the connection, and must not pile up memory."""
    unharmed(96)
    with connect(server) as connection:
        connection.settimeout(2)
        with contextlib.suppress(OSError):
            connection.sendall(HELLO)
            for part in range(0, 20_000, 100):
                connection.sendall(b"".join(FLOODS[name](i) for i in range(part, part + 100)))
        is_well(server)
