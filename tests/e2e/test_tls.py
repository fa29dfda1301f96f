"""TLS on the one port: the page, REST and gRPC; certificates of clients; a certificate that is renewed while the server runs."""

import os
import socket
import ssl
import subprocess

import grpc
import pytest
import requests
import trustme

from conftest import BINARY, wait_until

VERSION = "/milvus.proto.milvus.MilvusService/GetVersion"


@pytest.fixture
def authority():
    return trustme.CA()


def write_certificate(authority, folder):
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    (folder / "cert.pem").write_bytes(chain)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return chain


@pytest.fixture
def server(start, authority, tmp_path):
    write_certificate(authority, tmp_path)
    return start("--tls-certificate", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem")


def address(server):
    host, port = server.url.removeprefix("https://").split(":")
    return host, int(port)


def grpc_version(server, folder, **client):
    credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), **client)
    with grpc.secure_channel(f"localhost:{address(server)[1]}", credentials) as channel:
        return channel.unary_unary(VERSION)(b"", timeout=10)


def test_the_page_rest_and_grpc_share_the_port(server, tmp_path):
    assert server.url.startswith("https://"), server.url
    verify = str(tmp_path / "ca.pem")
    page = requests.get(server.url + "/", verify=verify, timeout=10)
    assert page.status_code == 200 and "Elanus" in page.text
    listed = requests.post(server.url + "/v2/vectordb/collections/list", json={}, verify=verify, timeout=10)
    assert listed.json()["code"] == 0
    assert b"v3.0.0" in grpc_version(server, tmp_path)


def test_nothing_is_answered_without_tls(server):
    host, port = address(server)
    with socket.create_connection((host, port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = plain.recv(1024)
    assert not answer.startswith(b"HTTP"), answer


def test_a_renewed_certificate_is_served_and_a_broken_one_is_not(server, tmp_path):
    def served():
        context = ssl._create_unverified_context()
        with socket.create_connection(address(server), timeout=10) as plain, context.wrap_socket(plain) as tls:
            return tls.getpeercert(binary_form=True)

    first = served()
    (tmp_path / "cert.pem").write_text("half written")

    def refused():
        # The files are looked at when somebody connects.
        assert served() == first
        return any("is not used" in line for line in server.lines)

    wait_until(refused, "the broken certificate is refused", 60)
    write_certificate(trustme.CA(), tmp_path)
    # As `cp -p` leaves it: older than what it takes the place of.
    for name in ("cert.pem", "key.pem"):
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    wait_until(lambda: served() != first, "the new certificate is served", 60)


def test_clients_must_show_a_certificate_where_that_is_asked(start, authority, tmp_path):
    write_certificate(authority, tmp_path)
    config = tmp_path / "elanus.toml"
    config.write_text(
        f"[tls]\ncertificate = '{tmp_path}/cert.pem'\nkey = '{tmp_path}/key.pem'\nclient_ca = '{tmp_path}/ca.pem'\n"
    )
    server = start("--config", config)
    with pytest.raises(grpc.RpcError):
        grpc_version(server, tmp_path)
    mine = authority.issue_cert("me@example.org")
    shown = {
        "private_key": mine.private_key_pem.bytes(),
        "certificate_chain": b"".join(blob.bytes() for blob in mine.cert_chain_pems),
    }
    assert b"v3.0.0" in grpc_version(server, tmp_path, **shown)


@pytest.mark.parametrize("broken", ["cert.pem", "key.pem"])
def test_files_that_cannot_be_used_are_named_at_the_start(authority, tmp_path, broken):
    write_certificate(authority, tmp_path)
    (tmp_path / broken).write_text("nothing")
    command = [BINARY, "serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    command += ["--tls-certificate", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0 and broken in ended.stderr + ended.stdout, ended
