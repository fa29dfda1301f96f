"""Users, roles and rights, against a server that asks for passwords."""

import pymilvus
import pytest
from place import VERSION
from pymilvus import MilvusClient, connections, utility

ROOT = "root:Milvus"


@pytest.fixture
def root(guarded):
    client = MilvusClient(uri=guarded.url, token=ROOT)
    yield client
    client.close()


def test_without_the_password_nothing_is_told(guarded, root):
    for options in ({}, {"token": "root:wrong-one"}, {"user": "nobody", "password": "Milvus1"}):
        with pytest.raises(Exception) as caught:
            MilvusClient(uri=guarded.url, **options).list_collections()
        # Newer clients say no more of a connection that is refused.
        words = ("auth", "illegal connection params")
        assert any(word in str(caught.value).lower() for word in words), caught.value
    assert root.list_collections() == []
    by_name = MilvusClient(uri=guarded.url, user="root", password="Milvus")
    assert by_name.list_collections() == []
    by_name.close()


def test_users_roles_and_rights(guarded, root):
    name = f"rights_{VERSION[0]}_{VERSION[1]}"
    root.create_collection(name, dimension=2, metric_type="L2")
    root.insert(name, [{"id": 1, "vector": [1.0, 2]}])
    root.create_user("ada", "secret1")
    assert {"root", "ada"} <= set(root.list_users())
    root.create_role("reader")
    assert {"admin", "public", "reader"} <= set(root.list_roles())
    root.grant_role("ada", "reader")
    assert tuple(root.describe_user("ada")["roles"]) == ("reader",)
    ada = MilvusClient(uri=guarded.url, token="ada:secret1")
    with pytest.raises(Exception) as caught:
        ada.query(name, filter="id >= 0")
    assert "permission" in str(caught.value).lower() or "privilege" in str(caught.value).lower(), caught.value
    for kind, right, thing in (
        ("Collection", "Query", name),
        ("Collection", "Search", name),
        ("Global", "DescribeCollection", "*"),
    ):
        root.grant_privilege("reader", kind, right, thing)
    rows = ada.query(name, filter="id >= 0", output_fields=["id"])
    assert [row["id"] for row in rows] == [1]
    rights = {p["privilege"] for p in root.describe_role("reader")["privileges"]}
    assert {"Query", "Search"} <= rights
    with pytest.raises(Exception) as caught:
        ada.insert(name, [{"id": 2, "vector": [1.0, 2]}])
    assert "Insert" in str(caught.value), caught.value
    root.grant_privilege_v2("reader", "Insert", name)
    assert ada.insert(name, [{"id": 2, "vector": [1.0, 2]}])["insert_count"] == 1
    root.revoke_privilege_v2("reader", "Insert", name)
    with pytest.raises(Exception, match="Insert"):
        ada.insert(name, [{"id": 3, "vector": [1.0, 2]}])
    root.create_privilege_group("own_group")
    root.add_privileges_to_group("own_group", ["Delete", "Insert"])
    groups = {g["privilege_group"]: set(g["privileges"]) for g in root.list_privilege_groups()}
    assert groups["own_group"] == {"Delete", "Insert"}
    root.grant_privilege_v2("reader", "own_group", name)
    ada.delete(name, ids=[2])
    root.revoke_privilege_v2("reader", "own_group", name)
    root.remove_privileges_from_group("own_group", ["Delete"])
    root.drop_privilege_group("own_group")
    root.update_password("ada", old_password="secret1", new_password="secret2")
    renewed = MilvusClient(uri=guarded.url, token="ada:secret2")
    assert [row["id"] for row in renewed.query(name, filter="id >= 0", output_fields=["id"])] == [1]
    with pytest.raises(Exception):  # noqa: B017 - the kind of error differs between the client's versions
        MilvusClient(uri=guarded.url, token="ada:secret1").list_collections()
    for privilege in root.describe_role("reader")["privileges"]:
        root.revoke_privilege("reader", privilege["object_type"], privilege["privilege"], privilege["object_name"])
    root.revoke_role("ada", "reader")
    root.drop_role("reader")
    root.drop_user("ada")
    assert "ada" not in root.list_users() and "reader" not in root.list_roles()
    root.drop_collection(name)
    ada.close()
    renewed.close()


def test_the_older_interface(guarded):
    host, port = guarded.url.removeprefix("http://").split(":")
    connections.connect(alias="default", host=host, port=port, user="root", password="Milvus")
    utility.create_user("bob", "secret1")
    assert "bob" in utility.list_usernames()
    role = pymilvus.Role("writer")
    role.create()
    assert role.is_exist()
    role.add_user("bob")
    assert list(role.get_users()) == ["bob"]
    role.grant("Collection", "*", "Insert")
    grants = role.list_grants().groups
    assert [(g.privilege, g.object, g.object_name) for g in grants] == [("Insert", "Collection", "*")]
    role.revoke("Collection", "*", "Insert")
    role.remove_user("bob")
    role.drop()
    utility.update_password("bob", "secret1", "secret2")
    utility.delete_user("bob")
    assert "bob" not in utility.list_usernames()
    connections.disconnect("default")
