"""TLS on the one port, for gRPC as for REST: the server shows who it is, and may ask its clients, too."""

import shutil
import subprocess

import pytest
import requests
from elanus_program import Server
from pymilvus import MilvusClient

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")


class TlsServer(Server):
    def _address(self, pattern, what):
        return super()._address(pattern.replace("http://", "https?://"), what)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    """An authority, and what it signed: a server and a client."""
    folder = tmp_path_factory.mktemp("papers")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for who in ("server", "client"):
        openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={who}", "-keyout", f"{who}.key", "-out", f"{who}.csr")
        (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        openssl(
            folder, "x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", f"{who}.pem",
        )  # fmt: skip
    return folder


def start(papers, data, **more):
    environment = {"ELANUS_TLS_CERTIFICATE": str(papers / "server.pem"), "ELANUS_TLS_KEY": str(papers / "server.key"), **more}
    return TlsServer(data, environment=environment)


def work(client):
    client.create_collection("safe", dimension=2, metric_type="L2")
    client.insert("safe", [{"id": 1, "vector": [1.0, 2.0]}])
    assert client.search("safe", data=[[1.0, 2.0]], limit=1)[0][0]["id"] == 1
    client.drop_collection("safe")
    client.close()


def test_grpc_and_rest_on_one_port(papers, tmp_path):
    server = start(papers, tmp_path / "data")
    try:
        uri = "https://localhost:" + server.url.rsplit(":", 1)[1]
        work(MilvusClient(uri=uri, server_pem_path=str(papers / "ca.pem"), server_name="localhost"))
        answer = requests.post(f"{uri}/v2/vectordb/collections/list", json={}, verify=str(papers / "ca.pem"), timeout=60)
        assert answer.json() == {"code": 0, "data": []}
    finally:
        server.kill()


def test_clients_that_must_show_papers(papers, tmp_path):
    server = start(papers, tmp_path / "data", ELANUS_TLS_CLIENT_CA=str(papers / "ca.pem"))
    try:
        uri = "https://localhost:" + server.url.rsplit(":", 1)[1]
        with pytest.raises(Exception):  # noqa: B017 - the kind of error differs between the client's versions
            MilvusClient(uri=uri, server_pem_path=str(papers / "ca.pem"), server_name="localhost", timeout=3).list_collections(timeout=3)
        with pytest.raises(requests.RequestException):
            requests.post(f"{uri}/v2/vectordb/collections/list", json={}, verify=str(papers / "ca.pem"), timeout=60)
        # Last: a client may go on with the connection of one before it.
        own = {"client_pem_path": str(papers / "client.pem"), "client_key_path": str(papers / "client.key")}
        work(MilvusClient(uri=uri, ca_pem_path=str(papers / "ca.pem"), server_name="localhost", **own))
    finally:
        server.kill()
