"""Which machine classes a cluster has, and which of them a run is declared on."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from validation.cluster.worker import Greeting


def home_of(greetings: list[Greeting], wanted: str | None) -> Greeting:
    """Choose the worker whose machine class the run is declared on: the wanted one, or that of most workers."""
    classes = collections.Counter(greeting.origin.machine.fingerprint for greeting in greetings)
    chosen = wanted if wanted in classes else min(classes, key=lambda name: (-classes[name], name))
    return next(greeting for greeting in greetings if greeting.origin.machine.fingerprint == chosen)


def describe_workers(greetings: list[Greeting]) -> Iterator[str]:
    """Say which machine classes there are, and who disturbs whom."""
    classes = collections.Counter(
        (greeting.origin.machine.fingerprint, greeting.origin.machine.cpu_model) for greeting in greetings
    )
    shown = "; ".join(f"{count} of class {name} ({model})" for (name, model), count in sorted(classes.items()))
    yield f"cluster: {len(greetings)} workers that measure: {shown}"
    if len(classes) > 1:
        yield (
            "a verdict is formed for one machine class at a time and counts the cases measured there: "
            "python -m reports gate DIR --machine CLASS"
        )
    for host, count in sorted(collections.Counter(greeting.host for greeting in greetings).items()):
        if count > 1:
            yield (
                f"{count} workers share {host} and disturb each other's times (contended replicates are repeated and "
                "counted); for a verdict on speed give each worker a machine"
            )
