#!/usr/bin/env python3
"""What HTTP and JSON cost: inserting rows of 512 floats over REST, in bytes of JSON for each second of the server's CPU,
and the time of a search over few rows, which is nearly all HTTP, JSON and the trip through the server.

    cargo build --release && benches/peers/rest.py target/release/elanus

Raw sockets and prepared requests, so that the client is not what is measured. Standard library only."""
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time

DIM, ROWS, BATCHES, SEARCHES = 512, 500, 24, 20_000


def request(path, body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST /v2/vectordb/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message):
        self.socket.sendall(message)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(1 << 16)
        head, _, body = answer.partition(b"\r\n\r\n")
        length = int(next(l for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:")).split(b":")[1])
        while len(body) < length:
            body += self.socket.recv(1 << 16)
        return body

    def ok(self, path, body):
        answer = json.loads(self.send(request(path, body)))
        assert answer["code"] == 0, answer
        return answer


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    data, port = tempfile.TemporaryDirectory(), free_port()
    server = subprocess.Popen(
        [sys.argv[1], "serve", "--data", data.name, "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{free_port()}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.time() + 60
        while True:
            try:
                client = Client(port)
                break
            except OSError:
                assert time.time() < until, "the server does not answer"
        while json.loads(client.send(request("collections/list", {})))["code"] != 0:
            assert time.time() < until, "the server is not ready"
        insert(client, server.pid)
        search(client)
    finally:
        server.terminate()
        server.wait()


def insert(client, pid):
    client.ok("collections/create", {"collectionName": "rows", "dimension": DIM})
    numbers = random.Random(7)
    for digits, what in ((17, "17 digits, as Python prints doubles"), (9, "9 digits, as floats print")):
        bodies = []
        for batch in range(BATCHES):
            rows = [{"id": batch * ROWS + i, "vector": [float(f"{numbers.uniform(-1, 1):.{digits}g}") for _ in range(DIM)]} for i in range(ROWS)]
            bodies.append(request("entities/insert", {"collectionName": "rows", "data": rows}))
        size = sum(map(len, bodies))
        began, used = time.perf_counter(), cpu(pid)
        for body in bodies:
            assert b'"code":0' in client.send(body)
        took, used = time.perf_counter() - began, cpu(pid) - used
        print(f"insert, one client, {what}: {size / took / 1e6:.0f} MB/s of JSON, {BATCHES * ROWS / took:,.0f} rows/s; "
              f"{size / used / 1e6:.0f} MB for each second of CPU (logging, syncing and indexing included)")


def search(client):
    client.ok("collections/create", {"collectionName": "few", "dimension": 8})
    client.ok("entities/insert", {"collectionName": "few", "data": [{"id": i, "vector": [i + j for j in range(8)]} for i in range(10)]})
    message = request("entities/search", {"collectionName": "few", "data": [[1.0] * 8], "limit": 3})
    times = []
    for _ in range(SEARCHES):
        began = time.perf_counter()
        client.send(message)
        times.append(time.perf_counter() - began)
    times.sort()
    print(f"search over 10 rows, one connection: median {statistics.median(times) * 1e6:.0f} µs, "
          f"p99 {times[int(len(times) * .99)] * 1e6:.0f} µs (client included)")


main()
