"""Filters in the words that clients send, each beside what it means in Python."""

from place import flow

from .rows import people

# (filter, its meaning)
TABLE = [
    ("age > 20 and age <= 40", lambda r: 20 < r["age"] <= 40),
    ("20 < age <= 40", lambda r: 20 < r["age"] <= 40),
    ("age in [1, 2, 3] or name == 'name 50'", lambda r: r["age"] in (1, 2, 3) or r["id"] == 50),
    ("age not in [1, 2, 3]", lambda r: r["age"] not in (1, 2, 3)),
    ("not (active == true)", lambda r: not r["active"]),
    ("active == false && score >= 10.5", lambda r: not r["active"] and r["score"] >= 10.5),
    ("age % 7 == 3", lambda r: r["age"] % 7 == 3),
    ("score * 2 > 250", lambda r: r["score"] * 2 > 250),
    ("name like 'name 1%'", lambda r: r["name"].startswith("name 1")),
    ("name like '%9'", lambda r: r["name"].endswith("9")),
    ("name like '%e 2%'", lambda r: "e 2" in r["name"]),
    ("name != \"name 7\"", lambda r: r["name"] != "name 7"),
    ("info['n'] < 20", lambda r: r["info"]["n"] < 20),
    ('info["deep"]["word"] == "w2"', lambda r: r["info"]["deep"]["word"] == "w2"),
    ("info['deep']['list'][1] == 8", lambda r: r["info"]["deep"]["list"][1] == 8),
    ("info['flag'] == true", lambda r: r["info"]["flag"]),
    ("info['deep']['word'] in ['w0', 'w3']", lambda r: r["info"]["deep"]["word"] in ("w0", "w3")),
    ("info['deep']['word'] like 'w%' and info['n'] >= 290", lambda r: r["info"]["n"] >= 290),
    ("exists info['deep']", lambda r: True),
    ("exists info['nothing']", lambda r: False),
    ("json_contains(info['deep']['list'], 5)", lambda r: 5 in r["info"]["deep"]["list"]),
    ("JSON_CONTAINS_ANY(info['deep']['list'], [5, 50])", lambda r: {5, 50} & set(r["info"]["deep"]["list"])),
    ("json_contains_all(info['deep']['list'], [5, 6])", lambda r: {5, 6} <= set(r["info"]["deep"]["list"])),
    ("array_contains(tags, 't1')", lambda r: "t1" in r["tags"]),
    ("ARRAY_CONTAINS_ALL(tags, ['t1', 'u1'])", lambda r: {"t1", "u1"} <= set(r["tags"])),
    ("array_contains_any(tags, ['t1', 'u1'])", lambda r: {"t1", "u1"} & set(r["tags"])),
    ("array_length(marks) == 3", lambda r: True),
    ("marks[1] > 100", lambda r: r["marks"][1] > 100),
    ("tags[0] == 't4'", lambda r: r["tags"][0] == "t4"),
    ("colour == 'green'", lambda r: r["colour"] == "green"),
    ("size > 30.5 and colour != 'red'", lambda r: r["size"] > 30.5 and r["colour"] != "red"),
    ("$meta['colour'] in ['blue']", lambda r: r["colour"] == "blue"),
    ("nowhere == 1", lambda r: False),
    ("id in [1, 3, 100000]", lambda r: r["id"] in (1, 3)),
    ("id in []", lambda r: False),
]

# What milvus-lite's parser refuses.
NOT_LITE = {"20 < age <= 40", "age % 7 == 3", "info['deep']['word'] in ['w0', 'w3']", "$meta['colour'] in ['blue']"}

TEMPLATES = [
    ("age > {low} and age < {high}", {"low": 20, "high": 30}, lambda r: 20 < r["age"] < 30),
    ("name in {names}", {"names": ["name 3", "name 'quoted'"]}, lambda r: r["id"] == 3),
    ("score >= {s}", {"s": 140.5}, lambda r: r["score"] >= 140.5),
    ("active == {yes}", {"yes": True}, lambda r: r["active"]),
    ("colour == {c} and info['n'] in {ns}", {"c": "red", "ns": [0, 1, 3]}, lambda r: r["id"] in (0, 3)),
    ("array_contains_any(tags, {t})", {"t": ["t0"]}, lambda r: "t0" in r["tags"]),
]


@flow()
def filters_mean_what_they_say(place):
    client = place.client
    name, rows = people(place)
    for expression, meaning in TABLE:
        if place.is_lite and expression in NOT_LITE:
            continue
        expected = [r["id"] for r in rows if meaning(r)]
        got = client.query(name, filter=expression, output_fields=["id"], limit=1000)
        assert sorted(row["id"] for row in got) == expected, expression
        found = client.search(name, data=[rows[0]["vector"]], filter=expression, limit=300)
        assert sorted(hit["id"] for hit in found[0]) == expected, expression


@flow(lite="knows no templates")
def filters_with_values_apart(place):
    client = place.client
    name, rows = people(place)
    for expression, params, meaning in TEMPLATES:
        expected = [r["id"] for r in rows if meaning(r)]
        got = client.query(name, filter=expression, filter_params=params, output_fields=["id"], limit=1000)
        assert sorted(row["id"] for row in got) == expected, expression
        found = client.search(name, data=[rows[0]["vector"]], filter=expression, filter_params=params, limit=300)
        assert sorted(hit["id"] for hit in found[0]) == expected, expression
    client.delete(name, filter="age < {a}", filter_params={"a": 80})
    got = client.query(name, filter="id >= 0", output_fields=["id"], limit=1000)
    assert sorted(row["id"] for row in got) == [r["id"] for r in rows if r["age"] >= 80]
