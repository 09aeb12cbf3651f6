"""Where a number comes from: sources, commit, machine, versions, thread settings. Imports nothing it describes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
from pathlib import Path

from validation.contract.errors import UsageError
from validation.contract.records import Machine, Provenance
from validation.machine.limits import usable_cores
from validation.machine.surroundings import cleared
from validation.run.candidate_files import digest as candidate_digest

SETTINGS = "config"
PACKAGES = (
    "tensorflow", "numpy", "numba", "llvmlite", "scipy", "keras", "msgspec",
    "jax", "torch", "opencv-python-headless",
)  # fmt: skip
_ISA = re.compile(r"^(sse|ssse|avx|fma|bmi|f16c|amx|neon|asimd|sve|vsx)")


def find_ptycho(path: str | None) -> Path:
    """Folder of the ``ptycho`` package to measure: in the checkout at ``path``, or the installed one.

    Raises
    ------
    UsageError
        If it is not there.
    """
    if path is not None:
        folder = Path(path) / "ptycho"
        if not (folder / "__init__.py").is_file():
            raise UsageError(f"--ptycho must be a folder that holds the package ptycho, but {path} does not")
        return folder
    spec = importlib.util.find_spec("ptycho")
    if spec is None or spec.origin is None:
        raise UsageError("the package ptycho must be installed or given with --ptycho PATH; it was not found")
    return Path(spec.origin).parent


def sources_digest(package: Path, left_out: str | None = None) -> str:
    """SHA-256 over the names and contents of a package's Python sources, in order of their names.

    Parameters
    ----------
    package : Path
        A folder, or the file of a module.
    left_out : str, optional
        A folder in it that does not count.
    """
    sources = package.rglob("*.py") if package.is_dir() else [package]
    root = package if package.is_dir() else package.parent
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda found: found.relative_to(root).as_posix()):
        if source.relative_to(root).parts[0] == left_out:
            continue
        content = source.read_bytes()
        digest.update(f"{source.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def kernel_digest(package: Path) -> str:
    """Digest of the sources of ``ptycho``.

    The sources in ``config`` are left out: they hold settings and compute nothing, and the default of the
    flag, which rests on a verdict about a digest, is one of them.
    """
    return sources_digest(package, left_out=SETTINGS)


def harness_digest() -> str:
    """Digest of the sources of the harness itself."""
    return sources_digest(Path(__file__).parents[1])


def check_unchanged(ptycho_path: str | None, recorded: Provenance, candidate: str | None = None) -> None:
    """See that the sources to measure are those that a run has on record: every child imports them anew.

    Parameters
    ----------
    ptycho_path : str or None
    recorded : Provenance
    candidate : str, optional
        ``module:function`` of a candidate of the user's.

    Raises
    ------
    UsageError
        If not.
    """
    sources = [("kernel", kernel_digest(find_ptycho(ptycho_path)), recorded.kernel_digest)]
    if candidate is not None:
        sources.append(("candidate", str(candidate_digest(candidate)), str(recorded.candidate_digest)))
    for whose, found, expected in sources:
        if found != expected:
            raise UsageError(
                f"the {whose}'s sources changed while they were measured (digest {found[:12]}, the run's is "
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
        kernel=platform.release(),
        governor=governor,
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe(ptycho_path: str | None, threads: dict[str, str], candidate: str | None = None) -> Provenance:
    """Provenance of everything a run measures.

    Parameters
    ----------
    ptycho_path : str or None
        As the user gave it to ``--ptycho``.
    threads : dict
        Environment variables that fix the thread counts of the children, and those that the user keeps.
    candidate : str, optional
        ``module:function`` of a candidate of the user's.
    """
    package = find_ptycho(ptycho_path)
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py") is not None
    status = _git(package, "status", "--porcelain", "--untracked-files=no", ":/") if tracked else None
    # A source that git does not know is imported, and in the digest, all the same.
    unknown = _git(package, "ls-files", "--others", "--exclude-standard", "--", "*.py") if tracked else None
    versions = {name: version for name in PACKAGES if (version := _version(name)) is not None}
    return Provenance(
        commit=_git(package, "rev-parse", "HEAD") if tracked else None,
        dirty=None if status is None else bool(status or unknown),
        commit_subject=_git(package, "log", "-1", "--format=%s") if tracked else None,
        kernel_digest=kernel_digest(package),
        ptycho_path=ptycho_path or "installed",
        machine=describe_machine(),
        versions={"python": platform.python_version(), **versions},
        threads=threads,
        harness_digest=harness_digest(),
        candidate_digest=candidate_digest(candidate),
        cleared_env=cleared(threads),
    )
