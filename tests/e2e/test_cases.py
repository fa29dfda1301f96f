"""Runs the data files `tests/cases/*.json` against the real program: each file is one test, in a database of its own.

A file is a list of steps, or an object `{"about", "auth", "steps"}` (with `"auth": true` it gets a server that asks for
passwords). A step is one call:

    {"name": "what it shows", "call": "collections/create", "body": {..}, "headers": {..}, "expect": {..}}

`call` is below `/v2/vectordb`; `raw` instead of `body` is sent as it stands; `method` and `path` replace POST and the
prefix. Without `expect`, the answer must be `{"code": 0}`. `expect` is matched against the answer: objects need at
least the keys named, lists are exact, integers too (and are no floats), floats have a tolerance; `status` is the HTTP
status (200). Matchers:

    {"$any": true}      anything             {"$absent": true}      the key is not there
    {"$contains": x}    text or list has x   {"$not": m}            does not match
    {"$len": n}         so many              {"$unordered": [..]}   these, in any order
    {"$each": m}        every item matches   {"$exactly": {..}}     these keys and no others
    {"$matches": "re"}  regular expression   {"$one_of": [..]}      one of these matches
    {"$near": [x, d]}   x, give or take d    {"$all": [..]}         all of these match
    {"$type": "int"}    int, float, str, bool, list, dict, null

Short steps, for tables of filters: `{"filter": "age > 3", "in": "people", "ids": [4, 5]}` queries and compares the keys
of the rows, which come in ascending order; with `"error": "text"` the answer must be code 1100 and contain the text.
`params` are its exprParams.

`"save": {"job": "data.jobId"}` keeps a value, which `"${job}"` in later steps stands for; `${db}` is the file's own
database. `"until": true` repeats the call until the answer matches. `"xfail": "reason"` marks what the program does
differently as yet: such a step may fail, and a warning tells when it no longer does.
"""

import copy
import json
import math
import pathlib
import re
import time
import warnings

import pytest
from conftest import PATIENCE, Server

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "cases"
FILES = sorted(FOLDER.glob("*.json"))
TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "dict": dict, "null": type(None)}
MISSING = object()
ENOUGH = 8  # failures of one file that are printed in full


def differences(expected, actual, at="answer"):
    """What of `actual` is not as `expected` says: a list of sentences."""
    if isinstance(expected, dict) and any(key.startswith("$") and key != "$meta" for key in expected):
        return [line for key, value in expected.items() for line in by_matcher(key, value, actual, at)]
    if actual is MISSING:
        return [f"{at}: is not there, expected {short(expected)}"]
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return [f"{at}: {short(actual)}, expected an object {short(expected)}"]
        return [line for key, value in expected.items() for line in differences(value, actual.get(key, MISSING), f"{at}.{key}")]
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return [f"{at}: {short(actual)}, expected {short(expected)}"]
        return [line for i, value in enumerate(expected) for line in differences(value, actual[i], f"{at}[{i}]")]
    return [] if same(expected, actual) else [f"{at}: {short(actual)}, expected {short(expected)}"]


def same(expected, actual):
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, float) and isinstance(actual, (int, float)):
        return math.isclose(expected, actual, rel_tol=1e-5, abs_tol=1e-5)
    return type(expected) is type(actual) and expected == actual


def by_matcher(key, wanted, actual, at):
    def unless(fine, what):
        return [] if fine else [f"{at}: {short(actual)}, expected {what}"]

    if key == "$absent":
        return unless((actual is MISSING) == wanted, "nothing")
    if key == "$one_of":
        return unless(any(not differences(one, actual, at) for one in wanted), f"one of {short(wanted)}")
    if key == "$not":
        return unless(differences(wanted, actual, at), f"not {short(wanted)}")
    if key == "$all":
        return [line for one in wanted for line in differences(one, actual, at)]
    if actual is MISSING:
        return [f"{at}: is not there, expected {key} {short(wanted)}"]
    if key == "$any":
        return []
    if key == "$contains" and isinstance(actual, str):
        return unless(wanted in actual, f"text with {wanted!r}")
    if key == "$contains":
        return unless(
            isinstance(actual, list) and any(not differences(wanted, one) for one in actual), f"a list with {short(wanted)}"
        )
    if key == "$len":
        return unless(hasattr(actual, "__len__") and len(actual) == wanted, f"{wanted} of them")
    if key == "$matches":
        return unless(isinstance(actual, str) and re.search(wanted, actual), f"text like {wanted!r}")
    if key == "$near":
        return unless(isinstance(actual, (int, float)) and abs(actual - wanted[0]) <= wanted[1], f"{wanted[0]} ± {wanted[1]}")
    if key == "$type":
        return unless(type(actual) is TYPES[wanted], f"a {wanted}")
    if key == "$exactly":
        more = sorted(set(actual) - set(wanted)) if isinstance(actual, dict) else []
        return differences(wanted, actual, at) + ([f"{at}: also has {more}"] if more else [])
    if key == "$each":
        if not isinstance(actual, list):
            return [f"{at}: {short(actual)}, expected a list"]
        return [line for i, one in enumerate(actual) for line in differences(wanted, one, f"{at}[{i}]")]
    if key == "$unordered":
        left = list(actual) if isinstance(actual, list) else []
        for one in wanted:
            found = next((i for i, have in enumerate(left) if not differences(one, have)), None)
            if found is None:
                return [f"{at}: {short(actual)} lacks {short(one)}"]
            left.pop(found)
        return unless(isinstance(actual, list) and not left, f"no more than {short(wanted)}")
    raise AssertionError(f"unknown matcher {key}")


def short(value):
    text = "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:300]} … ({len(text)} characters)"


def filled(value, known):
    """`value` with `${name}` replaced by what is known."""
    if isinstance(value, str):
        if value.startswith("${") and value.endswith("}") and value[2:-1] in known:
            return known[value[2:-1]]
        return re.sub(r"\$\{(\w+)\}", lambda found: str(known[found.group(1)]), value)
    if isinstance(value, list):
        return [filled(one, known) for one in value]
    if isinstance(value, dict):
        return {key: filled(one, known) for key, one in value.items()}
    return value


def written_out(step):
    """A short step as a full one."""
    if "filter" not in step:
        return step
    body = {"collectionName": step["in"], "filter": step["filter"], "outputFields": ["id"], "limit": 1000}
    if "params" in step:
        body["exprParams"] = step["params"]
    expect = (
        {"code": 1100, "message": {"$contains": step["error"]}}
        if "error" in step
        else {"code": 0, "data": [{"id": i} for i in step["ids"]]}
    )
    return {"name": f"filter {step['filter']}", "call": "entities/query", "body": body, "expect": expect, **step}


class Run:
    """One file against one server."""

    def __init__(self, server, database):
        self.server, self.known = server, {"db": database}
        self.headers = {"DB-Name": database, "Content-Type": "application/json"}

    def send(self, step):
        path = step.get("path") or f"/v2/vectordb/{step['call']}"
        data = step["raw"] if "raw" in step else json.dumps(filled(step.get("body", {}), self.known))
        headers = {**self.headers, **filled(step.get("headers", {}), self.known)}
        answer = self.server.session.request(
            step.get("method", "POST"), self.server.url + path, data=data.encode(), headers=headers, timeout=PATIENCE
        )
        if answer.status_code != 200:  # Such an answer may come before the body was read, and end the connection.
            self.server.session.close()
        try:
            return answer.status_code, answer.json(), data
        except ValueError:
            return answer.status_code, {"text": answer.text}, data

    def once(self, step, expect):
        status, answer, data = self.send(step)
        lines = differences(expect, answer)
        if status != self.status:
            lines.insert(0, f"HTTP status: {status}, expected {self.status}")
        return lines, answer, data

    def step(self, step):
        """What went wrong, as text, or nothing."""
        expect = copy.deepcopy(filled(step.get("expect", {"code": 0}), self.known))
        self.status = expect.pop("status", 200)
        deadline = time.monotonic() + PATIENCE
        while True:
            lines, answer, data = self.once(step, expect)
            if not lines or not step.get("until") or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for name, path in step.get("save", {}).items():
            value = answer
            for part in path.split("."):
                value = value[int(part)] if isinstance(value, list) else value.get(part, {}) if isinstance(value, dict) else {}
            self.known[name] = value
        if not lines:
            return None
        call = step.get("path") or step["call"]
        return "\n".join(
            [f"{step['name']}\n    POST {call} {data[:500]}\n    answered {short(answer)}", *(f"    {line}" for line in lines)]
        )


def content(file):
    loaded = json.loads(file.read_text())
    return loaded if isinstance(loaded, dict) else {"steps": loaded}


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory):
    """A server that asks for passwords."""
    server = Server(tmp_path_factory.mktemp("guarded-server"), environment={"ELANUS_AUTH": "true"})
    if server.post("/v2/vectordb/collections/list", json={}).status_code != 401:
        server.kill()
        pytest.xfail("no authorization in this build")
    yield server
    server.kill()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_cases(file, request):
    loaded = content(file)
    server = request.getfixturevalue("guarded_server" if loaded.get("auth") else "shared_server")
    database = "cases_" + re.sub(r"\W", "_", file.stem)
    root = {"Authorization": "Bearer root:Milvus"} if loaded.get("auth") else {}
    assert server.v2("databases/create", {"dbName": database}, **root)["code"] == 0
    run = Run(server, database)
    wrong = []
    for number, short_step in enumerate(loaded["steps"], 1):
        step = written_out(short_step)
        failure = run.step(step)
        if failure and "xfail" not in step:
            wrong.append(f"step {number}: {failure}")
        elif not failure and "xfail" in step:
            warnings.warn(f"{file.name}, step {number}, {step['name']}: no longer fails ({step['xfail']})")
    if wrong:
        rest = [line.split("\n")[0] for line in wrong[ENOUGH:]]
        pytest.fail(
            f"{len(wrong)} of {len(loaded['steps'])} steps of {file.name}\n\n" + "\n\n".join(wrong[:ENOUGH] + rest), pytrace=False
        )
