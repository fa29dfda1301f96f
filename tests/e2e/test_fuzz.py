"""Bodies that nobody would send: those of `tests/cases`, changed at random in their structure, values and bytes. Every
answer must be an envelope with a code that blames the request; nothing may panic, hang or fail inside. The seed of a
run is in its name: `ELANUS_FUZZ_SEED=17 ELANUS_FUZZ=100000 pytest tests/e2e/test_fuzz.py` runs longer or another one."""

import copy
import json
import os
import random

from test_cases import FILES, content, written_out

SEED = int(os.environ.get("ELANUS_FUZZ_SEED", "1"))
BODIES = int(os.environ.get("ELANUS_FUZZ", "3000"))
FRESH = 60  # changed bodies between two steps as they stand, so that there is something to change
# What a failure of the program itself answers.
INTERNAL = "internal error; the server's log has the details"

STRANGE = [
    None, True, 0, -1, 1, 1.5, -0.0, 1e308, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**40, "", " ", "\x00", "a" * 300, "é\u202e🦀",
    "9223372036854775807", "nan", "true", "[1,2]", "{}", "../../etc", "_default", "$meta", "*", "count(*)", "id > ", "{x}",
    [], [[]], [None], [1, "a", {}], [[1.0, 2.0]], [[1e39, 1]], {}, {"": 0}, {"a": {"b": [{}]}}, {"1": 0.5}, {"indices": [1], "values": []},
]  # fmt: skip
LETTERS = list("{}[]\",:\\ 0-+.eEtfn\x00\x7f") + ["\ud83e", "é", "1e999", "[[[[", "\\u0000", "\\ud800", "null", '"id":1,']


def places(value, found):
    """Every place below `value`: a container and a key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in list(items):
        found.append((value, key))
        places(inner, found)
    return found


def changed(draw, body, others):
    body = copy.deepcopy(body)
    for _ in range(draw.randrange(1, 4)):
        there = places(body, [])
        if not there:
            return copy.deepcopy(draw.choice(STRANGE))
        holder, key = draw.choice(there)
        match draw.randrange(8):
            case 0 | 1:
                holder[key] = copy.deepcopy(draw.choice(STRANGE))
            case 2:
                del holder[key]
            case 3 if isinstance(holder, dict):
                new = draw.choice([key.upper(), key + "s", "", "data", "filter", "dbName"])
                holder[new] = holder.pop(key)
            case 3 | 4 if isinstance(holder, list):
                holder.extend([copy.deepcopy(holder[key])] * draw.choice([1, 2, 50]))
            case 4 | 5:
                holder[key] = [holder[key]] if draw.random() < 0.5 else {"a": holder[key]}
            case 6 if isinstance(holder[key], str):
                text = list(holder[key])
                text.insert(draw.randrange(len(text) + 1), draw.choice(LETTERS))
                holder[key] = "".join(text)
            case _:
                other = places(draw.choice(others), [])
                holder[key] = copy.deepcopy(draw.choice(other)[0]) if other else None
    return body


def bytes_of(draw, body):
    data = json.dumps(body, ensure_ascii=draw.random() < 0.5).encode(errors="surrogatepass")
    if draw.random() < 0.2:
        at = draw.randrange(len(data) + 1)
        junk = draw.choice(LETTERS).encode(errors="surrogatepass")
        data = data[:at] + junk + data[at + draw.randrange(3) :]
    return data


def steps():
    """All steps of the cases that need no passwords: path and body."""
    found = []
    for file in FILES:
        loaded = content(file)
        if not loaded.get("auth"):
            whole = [written_out(step) for step in loaded["steps"]]
            found.append([(step["call"], step["body"]) for step in whole if "call" in step and isinstance(step.get("body"), dict)])
    return found


def test_changed_bodies(start):
    server = start()
    draw, files = random.Random(SEED), steps()
    others = [body for file in files for _, body in file]
    sent, wrong = 0, []
    while sent < BODIES and len(wrong) < 5:
        file = draw.choice(files)
        start_at = draw.randrange(len(file))
        for path, body in file[:start_at][-FRESH:]:
            server.post(f"/v2/vectordb/{path}", json=body)
        for path, body in file[start_at : start_at + FRESH]:
            data = bytes_of(draw, changed(draw, body, others))
            answer = server.post(f"/v2/vectordb/{path}", data=data, headers={"Content-Type": "application/json"})
            sent += 1
            envelope = answer.json()
            if not isinstance(envelope["code"], int) or INTERNAL in answer.text or answer.status_code >= 500:
                wrong.append((path, data[:2000], answer.status_code, answer.text[:500]))
        for name in server.v2("collections/list", {}).get("data", []):
            if draw.random() < 0.7:
                server.v2("collections/drop", {"collectionName": name})
    panics = [line for line in server.lines if "panicked" in line or " ERROR " in line]
    assert not wrong and not panics, (SEED, wrong[:5], panics[:3])
    assert server.v2("collections/has", {"collectionName": "x"})["code"] == 0
