"""Writes the Parquet files of this folder: the same two rows in each compression that pyarrow writes.

    pip install pyarrow==26.0.1
    python tests/data/tables/make.py
"""
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
# Long enough that compressing them makes a difference.
table = pa.table({"path": ["a.jpg", "b.jpg"], "text": ["A cat sleeps. " * 9, "A dog runs. " * 9]})
for compression in ("none", "snappy", "gzip", "lz4", "zstd", "brotli"):
    pq.write_table(table, HERE / f"{compression}.parquet", compression=compression)
