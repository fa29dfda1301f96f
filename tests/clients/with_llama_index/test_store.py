"""LlamaIndex's vector store for Milvus, with embeddings that are made up."""

import asyncio

import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.vector_stores.milvus import MilvusVectorStore


def node(key, text, vector, document, **metadata):
    return TextNode(
        id_=key,
        text=text,
        embedding=vector,
        metadata=metadata,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)},
    )


def nodes():
    return [
        node("n0", "a red fox", [1.0, 0.0, 0.0, 0.0], "d0", animal="fox", page=1),
        node("n1", "a grey wolf", [0.0, 1.0, 0.0, 0.0], "d0", animal="wolf", page=2),
        node("n2", "an old oak", [0.0, 0.0, 1.0, 0.0], "d1", animal="none", page=3),
        node("n3", "fox and wolf", [0.7, 0.7, 0.0, 0.0], "d1", animal="fox", page=4),
    ]


def where(*conditions, any_of=False):
    filters = [MetadataFilter(key=key, value=value, operator=operator) for key, operator, value in conditions]
    return MetadataFilters(filters=filters, condition=FilterCondition.OR if any_of else FilterCondition.AND)


def nearest(store, vector, k=4, **more):
    return store.query(VectorStoreQuery(query_embedding=vector, similarity_top_k=k, **more))


@pytest.fixture
def made(server, request):
    name = "li_" + request.node.name

    def open_store(**options):
        return MilvusVectorStore(uri=server.url, collection_name=name, dim=4, use_async_client=False, **options)

    store = open_store(overwrite=True)
    assert store.add(nodes()) == ["n0", "n1", "n2", "n3"]
    yield store, open_store
    store.client.drop_collection(name)


def test_nearest_nodes_with_scores_and_metadata(made):
    store, _ = made
    found = nearest(store, [1.0, 0.1, 0.0, 0.0], 2)
    assert found.ids == ["n0", "n3"]
    assert found.similarities == pytest.approx([1.0, 0.77], abs=1e-4)
    assert found.nodes[0].get_content() == "a red fox" and found.nodes[0].metadata == {"animal": "fox", "page": 1}
    assert found.nodes[0].ref_doc_id == "d0"


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (where(("animal", FilterOperator.EQ, "fox")), ["n0", "n3"]),
        (where(("page", FilterOperator.GT, 1), ("page", FilterOperator.LTE, 3)), ["n1", "n2"]),
        (where(("animal", FilterOperator.IN, ["wolf", "none"])), ["n1", "n2"]),
        (where(("animal", FilterOperator.NIN, ["wolf", "none"])), ["n0", "n3"]),
        (where(("animal", FilterOperator.NE, "fox")), ["n1", "n2"]),
        (where(("animal", FilterOperator.EQ, "wolf"), ("page", FilterOperator.EQ, 4), any_of=True), ["n1", "n3"]),
    ],
    ids=["equal", "range", "in", "not_in", "unequal", "or"],
)
def test_filters(server, filters, ids):
    store = MilvusVectorStore(uri=server.url, collection_name="li_filters", dim=4, overwrite=True, use_async_client=False)
    store.add(nodes())
    assert sorted(nearest(store, [1.0, 1.0, 1.0, 1.0], filters=filters).ids) == ids
    assert sorted(n.node_id for n in store.get_nodes(filters=filters)) == ids


def test_delete_and_reopen(made):
    store, open_store = made
    store.delete("d0")
    assert sorted(nearest(store, [1.0, 1.0, 1.0, 1.0]).ids) == ["n2", "n3"]
    store.delete_nodes(node_ids=["n2"])
    again = open_store(overwrite=False)
    assert nearest(again, [1.0, 1.0, 1.0, 1.0]).ids == ["n3"]
    again.add([node("n9", "a badger", [0.0, 0.0, 0.0, 1.0], "d2", animal="badger")])
    assert nearest(store, [0.0, 0.0, 0.0, 1.0], 1).ids == ["n9"]
    assert [n.node_id for n in store.get_nodes(node_ids=["n9"])] == ["n9"]
    store.delete_nodes(filters=where(("animal", FilterOperator.EQ, "badger")))
    assert nearest(store, [0.0, 0.0, 0.0, 1.0]).ids == ["n3"]
    store.clear()
    assert not store.client.has_collection("li_test_delete_and_reopen") or nearest(store, [1.0, 1, 1, 1]).ids == []


def test_diverse_nodes(made):
    store, _ = made
    found = nearest(store, [1.0, 0.5, 0.0, 0.0], 3, mode=VectorStoreQueryMode.MMR)
    assert len(set(found.ids)) == 3


def test_dense_and_full_text_together(server):
    from llama_index.vector_stores.milvus.utils import BM25BuiltInFunction

    store = MilvusVectorStore(
        uri=server.url,
        collection_name="li_hybrid",
        dim=4,
        overwrite=True,
        enable_sparse=True,
        sparse_embedding_function=BM25BuiltInFunction(),
        hybrid_ranker="RRFRanker",
        hybrid_ranker_params={"k": 60},
        use_async_client=False,
    )
    store.add(nodes())
    query = VectorStoreQuery(query_embedding=[0.0, 1.0, 0.0, 0.0], query_str="grey wolf", similarity_top_k=2, mode=VectorStoreQueryMode.HYBRID)
    assert store.query(query).ids[0] == "n1"
    query = VectorStoreQuery(query_str="oak", similarity_top_k=2, mode=VectorStoreQueryMode.TEXT_SEARCH)
    assert store.query(query).ids == ["n2"]
    store.client.drop_collection("li_hybrid")


def test_asynchronous(server):
    async def main():
        store = MilvusVectorStore(uri=server.url, collection_name="li_async", dim=4, overwrite=True)
        await store.async_add(nodes())
        query = VectorStoreQuery(query_embedding=[1.0, 0.0, 0.0, 0.0], similarity_top_k=1)
        assert (await store.aquery(query)).ids == ["n0"]
        await store.adelete("d0")
        assert (await store.aquery(query)).ids == ["n3"]

    asyncio.run(main())
