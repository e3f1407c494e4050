"""Ray Data: runs images through actors, each with its own model.

    images.map_batches(longclip.ray.Classify, fn_constructor_kwargs={"labels": ["a cat", "a dog"], "model": "longclip-b"},
                       batch_format="pyarrow", batch_size=64, num_cpus=4,
                       compute=ray.data.ActorPoolStrategy(size=8))

`docs/scale.md` has complete programs. If an actor dies, Ray restarts it and repeats its batches.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import ray

from .batches import Batches
from .classifier import Labels


def _cpus() -> int | None:
    """The CPUs of this actor, rounded down but at least one; outside an actor None, which means all cores."""
    if not ray.is_initialized() or ray.get_runtime_context().get_actor_id() is None:
        return None
    resources: dict[str, float] = ray.get_runtime_context().get_assigned_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


class Classify:
    """Adds `label`, `scores` and `error` to batches; `options` are those of `longclip.batches.Batches`."""

    def __init__(self, labels: Labels, **options: Any) -> None:
        self._batches = Batches(labels, threads=options.pop("threads", _cpus()), **options)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self._batches(batch)


class Embed:
    """Adds `embedding` and `error` to batches."""

    def __init__(self, **options: Any) -> None:
        self._batches = Batches(None, threads=options.pop("threads", _cpus()), **options)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self._batches(batch)
