"""Makes the small batches in this folder, in CIFAR's Python format: two images, pickled by a current numpy.

    python3 tests/data/eval/make.py          # numpy 2.4; the files are the same each time

CIFAR is distributed in Python 2's pickle format, which src/eval/data/cifar/tests.rs writes by hand.
"""
import os
import pickle

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
# The value of a pixel is its column in image 0 and its row in image 1, plus 0, 50 and 100 in the three planes.
column = np.tile(np.arange(32, dtype=np.uint8), (32, 1))
planes = lambda values: np.stack([values, values + 50, values + 100]).reshape(-1)
data = np.stack([planes(column), planes(column.T)]).astype(np.uint8)

for protocol in (2, 4, 5):
    batch = {"batch_label": "testing batch 1 of 1", "labels": [3, 8], "data": data, "filenames": ["a.png", "b.png"]}
    with open(os.path.join(here, f"cifar10-protocol-{protocol}"), "wb") as file:
        pickle.dump(batch, file, protocol=protocol)
with open(os.path.join(here, "cifar100-bytes-keys"), "wb") as file:
    pickle.dump({b"data": data, b"fine_labels": [99, 0], b"coarse_labels": [13, 4]}, file, protocol=3)
