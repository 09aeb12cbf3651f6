"""What is promised of both kernels, and the words for it: ``promise.toml`` and ``words.toml`` beside this module."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import msgspec

from validation.contract.base import Record
from validation.contract.cards import Coverage, Words
from validation.contract.cases import Case, Judged

_PROMISE = Path(__file__).with_name("promise.toml")
_WORDS = Path(__file__).with_name("words.toml")


class Extraction(Record, frozen=True, kw_only=True):
    """Least speedups, warm and in the first call, and the largest ratio of peaks."""

    speed: float
    cold_speed: float
    memory: float


class Placement(Record, frozen=True, kw_only=True):
    """Least warm speedup, from so many patches on."""

    speed: float
    min_patches: int


class Promise(Record, frozen=True, kw_only=True):
    """The file ``promise.toml``."""

    atol: float
    patch_extraction: Extraction
    reassembly: Placement
    coverage: Coverage


@functools.cache
def promise() -> Promise:
    """Read the promise."""
    return msgspec.toml.decode(_PROMISE.read_bytes(), type=Promise)


@functools.cache
def words() -> Words:
    """Read the words."""
    return msgspec.toml.decode(_WORDS.read_bytes(), type=Words)


def digest() -> str:
    """SHA-256 of the promise."""
    return hashlib.sha256(_PROMISE.read_bytes()).hexdigest()


def of_extraction(case: Case) -> tuple[Judged, ...]:
    """Judge the speed, the first call and the memory of a case of extraction."""
    asked = promise().patch_extraction
    return (
        Judged(criterion="speed", case_id=case.case_id, figure="warm", promise=asked.speed),
        Judged(criterion="cold_speed", case_id=case.case_id, figure="cold", promise=asked.cold_speed),
        Judged(criterion="memory", case_id=case.case_id, figure="memory", promise=asked.memory),
    )


def of_placement(case: Case) -> Judged:
    """Judge the speed of a case of reassembly."""
    asked = promise().reassembly
    return Judged(
        criterion="reassembly", case_id=case.case_id, figure="warm", promise=asked.speed, min_work=asked.min_patches
    )
