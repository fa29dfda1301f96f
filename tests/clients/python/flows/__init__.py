"""What programs written for Milvus do, one file for each part of the interface. Importing this registers them all."""

from . import asynchronous, bulk, errors, filters, images, iterators, newer, orm, places, rows, searching, types, upkeep  # noqa: F401
