"""Many rows through the client: what the benchmark beside it does with a million, here with 50,000."""

from place import flow


@flow(lite="takes half a minute")
def bulk_of_50000(place):
    import bulk

    bulk.load(place.client, place.name("bulk"), rows=50_000, dim=128, batch=10_000)
