"""Many rows through the client: what the benchmark beside it does with a million, here with 50,000."""

import numpy as np
from data import vectors
from place import flow


@flow(lite="takes half a minute")
def bulk_of_50000(place):
    import bulk

    bulk.load(place.client, place.name("bulk"), rows=50_000, dim=128, batch=10_000)


@flow(lite="takes ten seconds")
def one_message_of_60_megabytes(place):
    """Milvus takes messages of 64 MiB and more."""
    client, name = place.client, place.name("large")
    client.create_collection(name, dimension=4096, metric_type="IP")
    base = vectors(3_700, 4096, seed=9)
    assert client.insert(name, [{"id": i, "vector": row} for i, row in enumerate(base)])["insert_count"] == len(base)
    rows = client.query(name, filter="id >= 0", output_fields=["vector"], limit=1000)
    assert np.array_equal(np.float32([row["vector"] for row in rows]), base[:1000])
    found = client.search(name, data=base[:1500], limit=1, timeout=60)
    assert len(found) == 1500
