"""milvus-cli through its own command language: each line as it is typed, and the answers to what it asks."""

import csv
import json
import shlex

import pytest
from click.testing import CliRunner


@pytest.fixture(scope="module")
def say(server, tmp_path_factory):
    # It keeps a history of connections in the home folder.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        from milvus_cli.scripts.milvus_client_cli import cli

        def speak(line, *answers, code=0):
            result = CliRunner().invoke(cli, shlex.split(line), input="".join(f"{answer}\n" for answer in answers))
            assert result.exit_code == code, f"{line}: {result.output} {result.exception}"
            assert code or "rror" not in result.output, f"{line}: {result.output}"
            return result.output

        speak(f"connect -uri {server.url}")
        yield speak


def test_a_collection_from_beginning_to_end(say, tmp_path):
    schema = tmp_path / "schema.json"
    fields = [
        {"name": "id", "type": "INT64", "is_primary": True},
        {"name": "label", "type": "VARCHAR", "max_length": 50},
        {"name": "vector", "type": "FLOAT_VECTOR", "dim": 4},
    ]
    schema.write_text(json.dumps({"collection_name": "cli_things", "fields": fields, "description": "of a shell"}))
    assert "successfully" in say(f"create collection --schema-file {schema}")
    assert "cli_things" in say("list collections")
    shown = say("show collection -c cli_things")
    assert "*id" in shown and "vector" in shown, shown
    table = tmp_path / "rows.csv"  # `insert row` of 1.2.1 sends numbers as texts.
    with table.open("w", newline="") as file:
        rows = csv.writer(file)  # Each cell is JSON.
        rows.writerow(["id", "label", "vector"])
        for key in range(5):
            rows.writerow(map(json.dumps, [key, "cat" if key % 2 else "dog", [float(key), 0.0, 0.0, 1.0]]))
    assert "Inserted successfully" in say(f"insert file -c cli_things {table}")
    say("create index", "cli_things", "vector", "some name", "IVF_FLAT", "L2", "4")
    assert "IVF_FLAT" in say("list indexes -c cli_things")  # The name is asked for and not sent: the field's it is.
    assert "IVF_FLAT" in say("show index -c cli_things -in vector")
    say("load collection -c cli_things")
    assert "100" in say("show loading_progress -c cli_things") and "Loaded" in say("show load_state -c cli_things")
    say("flush -c cli_things")
    assert "5" in say("show collection_stats -c cli_things")

    say("set output json")
    answer = say("query", "cli_things", "label == 'cat'", "", "id,label", "", "", "")
    rows = json.loads(answer[answer.index("[\n") :])
    assert sorted(int(row["id"]) for row in rows) == [1, 3] and {row["label"] for row in rows} == {"cat"}
    answer = say("get", "cli_things", "[4]", "id,label")
    assert "dog" in answer
    say("set output table")
    answer = say("search", "cli_things", "vector", "[3.1, 0, 0, 1]", "4", "", "-1", "2", "", "", "label", "0")
    lines = [line for line in answer[answer.index("Search result") :].splitlines() if "label" in line]
    assert ["cat" in lines[0], "dog" in lines[1], len(lines)] == [True, True, 2], answer
    say("delete entities -c cli_things", "id in [0, 1]", "y")
    answer = say("query", "cli_things", "id >= 0", "", "id", "", "", "")
    assert "cat" not in answer and answer.count("\n| ") >= 3

    say("create partition -c cli_things -p one")
    assert "one" in say("list partitions -c cli_things")
    say("create alias -c cli_things -a cli_alias")
    assert "cli_alias" in say("list aliases -c cli_things")
    say("delete alias -a cli_alias", "yes")
    say("rename collection -old cli_things -new cli_others")
    assert "cli_others" in say("list collections")
    say("release collection -c cli_others")
    say("delete index -c cli_others -in vector", "yes")
    say("delete collection -c cli_others", "y")
    assert "cli_others" not in say("list collections")


def test_databases_and_the_server(say):
    assert "3." in say("server_version")
    say("create database -db cli_db")
    assert "cli_db" in say("list databases")
    say("use database -db cli_db")
    say("use database -db default")
    say("delete database -db cli_db", "yes")
    assert "cli_db" not in say("list databases")
