"""LangChain's vector store for Milvus, with embeddings that are made up but tell texts apart."""

import asyncio
import hashlib

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_milvus import BM25BuiltInFunction, Milvus


class Words(Embeddings):
    """A text is the sum of its words, each a direction of its own."""

    def _of(self, text):
        total = np.zeros(32)
        for word in text.lower().split():
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
            total += np.random.default_rng(seed).normal(size=32)
        return (total / np.linalg.norm(total)).tolist()

    def embed_documents(self, texts):
        return [self._of(text) for text in texts]

    def embed_query(self, text):
        return self._of(text)


TEXTS = [
    ("a red fox in the snow", {"animal": "fox", "page": 1}),
    ("a grey wolf in the woods", {"animal": "wolf", "page": 2}),
    ("an old oak in the woods", {"animal": "none", "page": 3}),
    ("the red fox and the grey wolf", {"animal": "fox", "page": 4}),
]


def documents():
    return [Document(page_content=text, metadata=metadata) for text, metadata in TEXTS]


@pytest.fixture
def made(server, request):
    """A store with the four texts under keys 0 to 3, and how to open it again."""
    name = "lc_" + request.node.name.split("[")[0]

    def open_store(**options):
        return Milvus(
            embedding_function=Words(),
            collection_name=name,
            connection_args={"uri": server.url},
            index_params={"index_type": "HNSW", "metric_type": "L2", "params": {"M": 16, "efConstruction": 64}},
            consistency_level="Strong",
            **options,
        )

    store = open_store(drop_old=True)
    store.add_documents(documents(), ids=["0", "1", "2", "3"])
    yield store, open_store
    store.drop()


def test_nearest_texts_with_their_metadata(made):
    store, _ = made
    found = store.similarity_search("red fox in the snow", k=2)
    assert [d.page_content for d in found] == [TEXTS[0][0], TEXTS[3][0]]
    assert {key: found[0].metadata[key] for key in ("animal", "page")} == {"animal": "fox", "page": 1}
    query = np.array(Words().embed_query("woods"))
    for document, score in store.similarity_search_with_score("woods", k=4):
        true = ((np.array(Words().embed_query(document.page_content)) - query) ** 2).sum()
        assert abs(score - true) < 1e-4
    found = store.similarity_search("woods", k=4, expr="animal == 'fox'")
    assert sorted(d.metadata["page"] for d in found) == [1, 4]
    assert store.similarity_search_with_relevance_scores("a grey wolf in the woods", k=1)[0][1] > 0.99
    diverse = store.max_marginal_relevance_search("red fox", k=3, fetch_k=4)
    assert len({d.page_content for d in diverse}) == 3
    retrieved = store.as_retriever(search_kwargs={"k": 1, "expr": "page > 1"}).invoke("fox snow")
    assert [d.metadata["page"] for d in retrieved] == [4]


def test_delete_upsert_and_reopen(made):
    store, open_store = made
    assert sorted(store.get_pks("page >= 3")) == ["2", "3"]
    store.delete(ids=["0"])
    assert all(d.metadata["page"] != 1 for d in store.similarity_search("red fox in the snow", k=4))
    store.delete(expr="animal == 'wolf'")
    assert len(store.similarity_search("woods", k=10)) == 2
    store.upsert(ids=["2"], documents=[Document(page_content="a new oak", metadata={"animal": "none", "page": 30})])
    again = open_store()
    found = again.similarity_search("a new oak", k=5)
    assert [d.metadata["page"] for d in found][0] == 30 and len(found) == 2
    assert sorted(d.metadata["page"] for d in again.search_by_metadata("page > 0")) == [4, 30]
    again.add_texts(["a badger"], metadatas=[{"animal": "badger", "page": 5}], ids=["9"])
    assert store.similarity_search("badger", k=1)[0].metadata["animal"] == "badger"


def test_undeclared_metadata_and_partition_keys(server):
    store = Milvus.from_documents(
        [Document(page_content=text, metadata={**metadata, "tenant": f"t{i % 2}"}) for i, (text, metadata) in enumerate(TEXTS)],
        Words(),
        collection_name="lc_tenants",
        connection_args={"uri": server.url},
        auto_id=True,
        enable_dynamic_field=True,
        partition_key_field="tenant",
        drop_old=True,
    )
    found = store.similarity_search("woods", k=4, expr="tenant == 't1'")
    assert sorted(d.metadata["page"] for d in found) == [2, 4]
    store.drop()


def test_dense_and_full_text_together(server):
    store = Milvus.from_documents(
        documents(),
        Words(),
        builtin_function=BM25BuiltInFunction(),
        vector_field=["dense", "sparse"],
        collection_name="lc_hybrid",
        connection_args={"uri": server.url},
        consistency_level="Strong",
        drop_old=True,
    )
    for ranker, params in (("weighted", {"weights": [0.6, 0.4]}), ("rrf", {"k": 60})):
        found = store.similarity_search("grey wolf", k=2, ranker_type=ranker, ranker_params=params)
        assert {d.metadata["page"] for d in found} == {2, 4}
    store.drop()


def test_asynchronous(server):
    async def main():
        store = await Milvus.afrom_documents(
            documents(), Words(), collection_name="lc_async", connection_args={"uri": server.url}, drop_old=True, ids=["a", "b", "c", "d"]
        )
        found = await store.asimilarity_search("red fox in the snow", k=1)
        assert found[0].metadata["page"] == 1
        await store.adelete(ids=["a"])
        found = await store.asimilarity_search_with_score("red fox in the snow", k=4)
        assert sorted(d.metadata["page"] for d, _ in found) == [2, 3, 4]
        store.drop()

    asyncio.run(main())
