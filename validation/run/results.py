"""The run folder: ``manifest.json``, ``results.jsonl`` and a lock; while a run goes on, ``parts.jsonl``.

Results are JSON Lines, appended one whole line at a time and on disk before the next case starts. JSON is
strict: a NaN or an infinity never gets in.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from validation.contract.errors import UNDECODABLE, UsageError
from validation.contract.lines import CaseResult, ResultLine
from validation.contract.manifest import SCHEMA_VERSION, Manifest
from validation.contract.upgrade import READABLE_VERSIONS, decode_line, decode_manifest

MANIFEST = "manifest.json"
RESULTS = "results.jsonl"
# Lines of cases some of whose checks are still to do.
PARTS = "parts.jsonl"
LOCK = "lock"
# What flock says where another process holds the lock; anything else is said of the file system.
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_CONTINUE = "mend that, then continue the run with --resume"


def _refuse_non_finite(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number, got {value}")
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_non_finite(item, f"{where}.{name}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _refuse_non_finite(item, f"{where}[{index}]")


def encode(record: Manifest | ResultLine) -> bytes:
    """Encode a record as strict JSON.

    Raises
    ------
    ValueError
        If a number is NaN or infinite.
    """
    plain = msgspec.to_builtins(record)
    _refuse_non_finite(plain, type(record).__name__)
    return msgspec.json.encode(plain)


class RunFolder:
    """A folder that holds one run. Make it with `create` or `open`.

    Attributes
    ----------
    path : Path
    manifest : Manifest
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(cls, path: Path, manifest: Manifest) -> RunFolder:
        """Start a run in a folder that holds none yet.

        Raises
        ------
        UsageError
            If the folder already holds a run or cannot be written.
        """
        check_writable(path)
        if (path / MANIFEST).exists() or (path / RESULTS).exists():
            raise UsageError(f"{path} already holds a run; continue it with --resume or give another folder to --out")
        _write_whole(path / MANIFEST, msgspec.json.format(encode(manifest), indent=1) + b"\n")
        return cls(path, manifest)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open the folder of a run.

        Raises
        ------
        UsageError
            If it holds no run, or one of another schema version.
        """
        try:
            encoded = (path / MANIFEST).read_bytes()
        except OSError:
            raise UsageError(
                f"{path} must be the folder of a run, but it has no readable {MANIFEST}; "
                f"start one with: python -m validation run --out {path}"
            ) from None
        try:
            version = msgspec.json.decode(encoded)["schema_version"]
            if version not in READABLE_VERSIONS:
                raise UsageError(
                    f"{path / MANIFEST} must have schema version {' or '.join(READABLE_VERSIONS)}, got {version!r}; "
                    "use the harness version that wrote it"
                )
            return cls(path, decode_manifest(encoded))
        except UNDECODABLE as error:
            raise UsageError(f"{path / MANIFEST} is not a manifest of this harness: {error}") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock; the system gives it back when the process ends, however it ends.

        Raises
        ------
        UsageError
            If another process holds it, the folder cannot be written, or its file system has no locks.
        """
        with _told(self.path):
            # Without a buffer, so that closing has nothing left to write where the disk is full.
            opened = (self.path / LOCK).open("a+b", buffering=0)
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in HELD:
                    raise UsageError(
                        f"{self.path} must be on a file system with locks, but locking {self.path / LOCK} gave: "
                        f"{(error.strerror or str(error)).lower()}; a second writer could not be kept out. Give --out "
                        "a folder on a local disk, or have the file system mounted with locks (Lustre: -o flock; "
                        "NFS: with its lock daemon)"
                    ) from None
                file.seek(0)
                owner = file.read().decode(errors="replace").strip() or "unknown"
                raise UsageError(
                    f"{self.path} is being written by process {owner}; wait for it or give another folder to --out"
                ) from None
            with _told(self.path):
                file.seek(0)
                file.truncate()
                file.write(str(os.getpid()).encode())
            yield

    def append(self, line: ResultLine) -> None:
        """Add one line; it is on disk when this returns, and nothing of it is there when this raises.

        Raises
        ------
        UsageError
            If it cannot be written, for one because the disk is full.
        """
        _append(self.path / RESULTS, encode(line) + b"\n")

    def append_part(self, part: CaseResult) -> None:
        """Keep what some checks of a case gave until the case has its line; on disk when this returns.

        Raises
        ------
        UsageError
            If it cannot be written.
        """
        _append(self.path / PARTS, encode(part) + b"\n")

    def parts(self) -> dict[str, list[CaseResult]]:
        """Read what is kept of cases some of whose checks are still to do, by key.

        Raises
        ------
        UsageError
            If a line is torn, is of another run, repeats a check, or is not of this schema.
        """
        found: dict[str, list[CaseResult]] = {}
        for where, line in self._read(PARTS):
            if not isinstance(line, CaseResult):
                raise UsageError(f"{where} must be of a case, got {line.key}; remove it")
            earlier = found.setdefault(line.key, [])
            twice = {check for part in earlier for check in part.checks} & set(line.checks)
            if twice:
                raise UsageError(f"{where} repeats {', '.join(sorted(twice))} of {line.key}; remove one of the two")
            earlier.append(line)
        return found

    def forget_parts(self) -> None:
        """Remove what was kept of cases; all of them have their line."""
        with _told(self.path / PARTS):
            (self.path / PARTS).unlink(missing_ok=True)

    def lines(self) -> list[ResultLine]:
        """Read all result lines of the run.

        Raises
        ------
        UsageError
            If a line is torn, is of another run, repeats a key, or is not of this schema.
        """
        found: dict[str, ResultLine] = {}
        for where, line in self._read(RESULTS):
            key = line.key
            if key in found:
                raise UsageError(f"{where} repeats {key}; a case counts once, remove one of the two lines")
            found[key] = line
        return list(found.values())

    def _read(self, name: str) -> Iterator[tuple[str, ResultLine]]:
        """Read the lines of a file, each with where it is."""
        path = self.path / name
        if not path.exists():
            return
        for number, encoded in enumerate(path.read_bytes().splitlines(keepends=True), 1):
            where = f"line {number} of {path}"
            if not encoded.endswith(b"\n"):
                raise UsageError(f"{where} is torn; continue the run with --resume, which sets it aside")
            try:
                line = decode_line(encoded)
            except UNDECODABLE as error:
                raise UsageError(f"{where} is not a result of schema {SCHEMA_VERSION}: {error}") from None
            if line.schema_version not in READABLE_VERSIONS:
                raise UsageError(
                    f"{where} is of schema {line.schema_version}, expected {' or '.join(READABLE_VERSIONS)}; remove it"
                )
            if line.run_id != self.manifest.run_id:
                raise UsageError(f"{where} belongs to run {line.run_id}, not to {self.manifest.run_id}; remove it")
            yield where, line

    def set_torn_line_aside(self, name: str = RESULTS) -> Path | None:
        """Move a last line that was cut short to a file of its own. Returns that file, if there was one."""
        path = self.path / name
        content = path.read_bytes() if path.exists() else b""
        if not content or content.endswith(b"\n"):
            return None
        whole = content.rfind(b"\n") + 1
        number = 1
        while (aside := self.path / f"torn-{number}.txt").exists():
            number += 1
        _write_whole(aside, content[whole:])
        with _told(path), path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
        return aside


def _append(path: Path, encoded: bytes) -> None:
    """Add a whole line to a file; it is on disk when this returns, and nothing of it is there when this raises."""
    with _told(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, encoded)
                if written != len(encoded):
                    raise OSError(f"only {written} of {len(encoded)} bytes were written, is the disk full?")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)


def check_writable(path: Path) -> None:
    """Make a folder if need be, and see that files can be made in it.

    Raises
    ------
    UsageError
        If not.
    """
    probe = path / ".writable"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{path} must be a folder that can be written, but: {reason}; choose another one") from None


@contextlib.contextmanager
def _told(path: Path, remedy: str = _CONTINUE) -> Iterator[None]:
    """Turn a failure to write into a message that says what to do."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{path} cannot be written: {reason}; nothing on record is lost, {remedy}") from None


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there with all its content or not at all."""
    part = path.with_name(path.name + ".part")
    with _told(path, "mend that, then start again" if path.name == MANIFEST else _CONTINUE):
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
