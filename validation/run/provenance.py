"""Where a number comes from: sources, commit, machine, versions, thread settings. Imports nothing it describes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from validation.contract.base import Record
from validation.contract.errors import UsageError
from validation.contract.manifest import Machine, Provenance
from validation.machine.candidate_files import digest as files_digest
from validation.machine.candidate_files import place
from validation.machine.limits import usable_cores
from validation.machine.sources import sources_digest
from validation.machine.surroundings import cleared
from validation.subject import package

PACKAGES = (
    "tensorflow", "numpy", "numba", "llvmlite", "scipy", "keras", "msgspec",
    "jax", "torch", "opencv-python-headless", "pandas",
)  # fmt: skip
_ISA = re.compile(r"^(sse|ssse|avx|fma|bmi|f16c|amx|neon|asimd|sve|vsx)")


def harness_digest() -> str:
    """Digest of the sources of the harness itself."""
    return sources_digest(Path(__file__).parents[1])


class Sources(Record, frozen=True, kw_only=True):
    """What is judged: the package under test, a reference and a candidate of the user's, as far as there are any.

    ``package``, ``reference_path`` and ``candidate_path`` are as the user gave them. ``reference`` and ``candidate``
    are ``module:function``, looked up in ``paths`` first, before that in their own path.
    """

    of_package: bool = True
    package: str | None = None
    reference: str | None = None
    reference_path: str | None = None
    candidate: str | None = None
    candidate_path: str | None = None
    paths: tuple[str, ...] = ()

    def _first(self, own: str | None) -> tuple[str, ...]:
        return self.paths if own is None else (own, *self.paths)

    def kernel_digest(self) -> str:
        """Digest of the package, or of what the reference came with."""
        if self.of_package:
            return package.digest(package.find(self.package))
        return str(files_digest(self.reference, self._first(self.reference_path)))

    def reference_digest(self) -> str | None:
        """Digest of what a reference of the user's came with, beside that of the package."""
        return files_digest(self.reference, self._first(self.reference_path)) if self.of_package else None

    def candidate_digest(self) -> str | None:
        """Digest of what a candidate of the user's came with."""
        return files_digest(self.candidate, self._first(self.candidate_path))

    def folder(self) -> Path | None:
        """Folder whose repository the judged sources may be in."""
        if self.of_package:
            return package.find(self.package)
        return place(str(self.reference), self._first(self.reference_path))


def check_unchanged(sources: Sources, recorded: Provenance) -> None:
    """See that the sources to measure are those that a run has on record: every child imports them anew.

    Raises
    ------
    UsageError
        If not.
    """
    found = [("kernel", sources.kernel_digest(), recorded.kernel_digest)]
    if sources.candidate is not None:
        found.append(("candidate", str(sources.candidate_digest()), str(recorded.candidate_digest)))
    if sources.reference is not None and sources.of_package:
        found.append(("reference", str(sources.reference_digest()), str(recorded.reference_digest)))
    for whose, now, expected in found:
        if now != expected:
            raise UsageError(
                f"the {whose}'s sources changed while they were measured (digest {now[:12]}, the run's is "
                f"{expected[:12]}); what was measured before is kept: put the sources back and continue with "
                "--resume, or start another run"
            )


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _first_value(path: str, field: str) -> str | None:
    try:
        for line in Path(path).read_text().splitlines():
            name, separator, value = line.partition(":")
            if separator and name.strip() == field:
                return value.strip()
    except OSError:
        return None
    return None


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def describe_machine() -> Machine:
    """Fingerprint of this machine. The amount of memory enters it in whole GiB, as kernels differ in what they keep."""
    flags = _first_value("/proc/cpuinfo", "flags") or _first_value("/proc/cpuinfo", "Features") or ""
    model = _first_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()
    governor_file = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    governor = governor_file.read_text().strip() if governor_file.is_file() else None
    isa = tuple(sorted(flag for flag in flags.split() if _ISA.match(flag)))
    memory = _memory_bytes()
    parts = (model, " ".join(isa), usable_cores(), round(memory / 2**30), platform.release(), governor)
    return Machine(
        fingerprint=hashlib.sha256(repr(parts).encode()).hexdigest()[:16],
        cpu_model=model,
        isa_flags=isa,
        cores=usable_cores(),
        memory_bytes=memory,
        os_release=platform.release(),
        governor=governor,
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe(sources: Sources, threads: dict[str, str]) -> Provenance:
    """Provenance of everything a run measures.

    Parameters
    ----------
    sources : Sources
    threads : dict
        Environment variables that fix the thread counts of the children, and those that the user keeps.
    """
    folder = sources.folder()
    tracked = folder is not None and _git(folder, "ls-files", "--error-unmatch", ".") is not None
    status = _git(folder, "status", "--porcelain", "--untracked-files=no", ":/") if folder and tracked else None
    # A source that git does not know is imported, and in the digest, all the same.
    unknown = _git(folder, "ls-files", "--others", "--exclude-standard", "--", "*.py") if folder and tracked else None
    versions = {name: version for name in PACKAGES if (version := _version(name)) is not None}
    return Provenance(
        commit=_git(folder, "rev-parse", "HEAD") if folder and tracked else None,
        dirty=None if status is None else bool(status or unknown),
        commit_subject=_git(folder, "log", "-1", "--format=%s") if folder and tracked else None,
        kernel_digest=sources.kernel_digest(),
        package_path=sources.package or "installed",
        machine=describe_machine(),
        versions={"python": platform.python_version(), **versions},
        threads=threads,
        harness_digest=harness_digest(),
        candidate_digest=sources.candidate_digest(),
        reference_path=sources.reference_path,
        candidate_path=sources.candidate_path,
        reference_digest=sources.reference_digest(),
        cleared_env=cleared(threads),
    )
