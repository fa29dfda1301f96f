"""The calls of the old image-search demos, under their old names and in their old shapes."""

import re

from conftest import wait_until


def test_first_demo(start, photos):
    server = start("--image-root", photos)
    files = sorted(photos.rglob("*.jpg"))
    assert server.post("/api/v1/train", json={"File": str(photos)}).text.strip('"') == "Start"
    wait_until(lambda: re.search(r"current: 12, total: 12", server.get("/api/v1/process").text), "all twelve processed")
    assert server.post("/api/v1/count", json={}).text.strip() == "12"
    pairs = server.post("/api/v1/search", files={"file": files[5].open("rb")}, data={"Num": "3"}).json()
    assert len(pairs) == 3 and [d for _, d in pairs] == sorted(d for _, d in pairs) and abs(pairs[0][1]) < 1e-3
    assert server.session.get(pairs[0][0]).content == files[5].read_bytes()
    assert "Status(code=0" in server.post("/api/v1/delete", json={}).text
    assert server.count() == 0


def test_second_demo(start, photos):
    server = start("--image-root", photos)
    files = sorted(photos.rglob("*.jpg"))
    assert server.post("/img/load", json={"Table": "pics", "File": str(photos)}).json() == "Successfully loaded data!"
    wait_until(lambda: server.count("pics") == 12, "all twelve loaded")
    assert re.search(r"current: 12, total: 12", server.get("/progress").text)
    found = server.post("/img/search", files={"image": files[2].open("rb")}, data={"topk": "4", "table_name": "pics"}).json()
    assert len(found) == 4 and [d for _, d in found] == sorted(d for _, d in found)
    best = found[0][0]
    assert server.session.get(f"{server.url}/data", params={"image_path": best}).content == files[2].read_bytes()
    uploaded = server.post("/img/upload?table_name=more", files={"image": files[0].open("rb")}).json()
    assert uploaded.startswith("Successfully loaded data: ")
    assert server.post("/img/count?table_name=more").json() == 1
    server.post("/img/drop?table_name=more")
    assert server.count("more") == 0


def test_no_path_reaches_the_disk_and_wrong_input_is_4xx(start, photos):
    server = start("--image-root", photos)
    for path in ["/data?image_path=/etc/passwd", "/data?image_path=../../etc/passwd", "/data/etc/passwd", "/data/..%2f..%2fetc%2fpasswd", "/data"]:
        answer = server.get(path)
        assert 400 <= answer.status_code < 500 and "root:" not in answer.text, path
    for path, arguments in [
        ("/api/v1/train", {"json": {"File": "/etc"}}),
        ("/api/v1/train", {"json": {}}),
        ("/img/load", {"json": {"File": "/"}}),
        ("/api/v1/search", {"data": {"Num": "3"}}),
        ("/img/search", {"files": {"image": ("x.jpg", b"no image")}}),
        ("/img/upload?url=http://127.0.0.1/x.jpg", {}),
    ]:
        answer = server.post(path, **arguments)
        assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
