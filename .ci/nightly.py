"""One night: the sweep, its verdict, report and index, old runs removed, asv over new commits, one line at the end.

Called by ``make nightly``. Needs nothing but Python: the lock is taken before the environment is made.

Exit codes: the gate's (0 ACCEPT, 1 REJECT, 2 bad input, 3 INCONCLUSIVE, 4 instrument failure, 5 nothing ran) or,
where the sweep did not come to its end, the sweep's (2, 4, 5; 130 when stopped); 130 after SIGTERM, which the
command that runs gets as well; 2 when another night is going on; 6 when the gate accepts and something after it failed,
or a benchmark has vanished or fails since the last night.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

BUSY = 2
STOPPED = 130
AFTERMATH = 6
LOCK = ".nightly.lock"
UNFINISHED = ".nightly-unfinished"
# The last line of the last night, for whoever tells of its failure.
LAST = ".nightly-last"
# Losses of a value that an earlier night has told.
LOST = ".nightly-lost"
# A line of `reports history`: what is lost and still is; then its benchmark.
LOSS = re.compile(r"^((?:vanished|failing) at \w+) \S+ (.+), \S+(?: \S+)? at \w+, not since: ", re.MULTILINE)
# What flock says where another process holds the lock; anything else is said of the file system.
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def tell(text: str) -> None:
    """Write a line of the log, in order with what the commands write."""
    sys.stdout.write(f"nightly: {text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def locked(runs: Path) -> Iterator[int]:
    """Hold the one lock of all nights in a folder; gives its descriptor.

    Commands inherit it: where this process is killed, the lock lasts until the command has ended as well.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in HELD:
                code = refuse(
                    f"{runs} must be on a file system with locks, but locking {runs / LOCK} gave: "
                    f"{(error.strerror or str(error)).lower()}; nothing was started, since a second night could not be "
                    "kept out. Name a local folder (make nightly RUNS=FOLDER), or have it mounted with locks (Lustre: "
                    "-o flock; NFS: with its lock daemon)"
                )
                raise SystemExit(code) from None
            file.seek(0)
            owner = file.read().strip() or "unknown"
            code = refuse(f"another nightly job (process {owner}) holds {runs / LOCK}; nothing was started")
            raise SystemExit(code) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def refuse(why: str) -> int:
    """Say on the error stream why nothing is done."""
    sys.stderr.write(f"nightly: error: {why}\n")
    return BUSY


class Night:
    """What all steps of a night need."""

    def __init__(self, options: argparse.Namespace, lock: int) -> None:
        self.options = options
        self.lock = lock
        self.python = options.python
        self.failed: list[str] = []
        self.running: subprocess.Popen[str] | None = None
        self.heard = ""
        self.terminated = False

    def terminate(self, *_: object) -> None:
        """Take SIGTERM: pass it on to the command that runs, and start no other."""
        self.terminated = True
        if self.running is not None:
            self.running.terminate()

    def require_going(self, when: str) -> None:
        """Leave once SIGTERM has come."""
        if self.terminated:
            tell(f"stopped by SIGTERM {when}; nothing after it was done")
            raise SystemExit(STOPPED)

    def call(self, *command: str, stdout: int | None = None) -> int:
        """Run a command; its exit code. Ctrl-C reaches the command, which ends by itself.

        With ``stdout`` a pipe, what it wrote is in ``heard`` as well.
        """
        text = " ".join(command)
        self.require_going(f"before: {text}")
        tell(f"$ {text}")
        self.running = subprocess.Popen(command, pass_fds=(self.lock,), stdout=stdout, text=True)
        if self.terminated:  # while it was started
            self.running.terminate()
        self.heard = self.running.communicate()[0] or ""
        code = self.running.returncode
        self.running = None
        sys.stdout.write(self.heard)
        if code != STOPPED:  # a sweep that was stopped says so itself, and is continued
            self.require_going(f"during: {text}")
        return code if code >= 0 else 128 - code

    def after(self, name: str, *command: str, stdout: int | None = None) -> bool:
        """Run what does not decide; its failure is told in the last line."""
        code = self.call(*command, stdout=stdout)
        if code:
            self.failed.append(f"{name} failed ({code})")
        return code == 0

    def state(self) -> dict[str, str | None]:
        """Tell what has to be the same for a run to be continued."""
        git = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
        told = subprocess.run(git, capture_output=True, text=True, check=False).stdout.splitlines()
        commit = next((line.split()[-1] for line in told if line.startswith("# branch.oid")), None)
        clean = commit is not None and all(line.startswith("#") for line in told)
        data = self.options.data and str(Path(self.options.data).resolve())
        return {"commit": commit if clean else None, "sweep": self.options.sweep, "data": data}

    def sweep(self) -> tuple[Path, int]:
        """Continue the run that an earlier night left unfinished, or make a new one."""
        pointer = self.options.runs / UNFINISHED
        state = self.state()
        left = None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            noted = json.loads(pointer.read_text())
            if state["commit"] is not None and noted["state"] == state:
                left = self.options.runs / Path(noted["folder"]).name
        if left is not None and (left / "manifest.json").exists():
            tell(f"continuing {left}, which an earlier night left unfinished at this commit")
            code = self.measure(left, "--resume")
            if code in (0, STOPPED):
                return self.ended(left, code)
            tell(f"{left} cannot be continued ({code}); starting a new run")
        folder = self.new_folder()
        pointer.write_text(json.dumps({"folder": folder.name, "state": state}))
        return self.ended(folder, self.measure(folder))

    def measure(self, folder: Path, *resume: str) -> int:
        """Run the sweep into a folder; its exit code."""
        data = ["--data", self.options.data] if self.options.data else []
        sweep = ["--sweep", self.options.sweep, *data, "--timeout", str(self.options.timeout)]
        return self.call(self.python, "-m", "validation", "run", *sweep, "--out", str(folder), *resume)

    def ended(self, folder: Path, code: int) -> tuple[Path, int]:
        """Forget the note about an unfinished run once it is finished."""
        if code == 0:
            (self.options.runs / UNFINISHED).unlink(missing_ok=True)
        return folder, code

    def new_folder(self) -> Path:
        """Choose a folder that is not there yet; a clock that was set back gives no name twice."""
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        name, number = f"{stamp}-{Path(self.options.sweep).stem}", 1
        while (folder := self.options.runs / (name if number == 1 else f"{name}-{number}")).exists():
            number += 1
        return folder

    def gate(self, folder: Path) -> tuple[int, str]:
        """Judge a run: the gate's exit code, and its last line."""
        command = (self.python, "-m", "reports", "gate", str(folder))
        tell("$ " + " ".join(command))
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, pass_fds=(self.lock,), check=False)
        sys.stdout.write(done.stdout)
        lines = done.stdout.strip().splitlines()
        return done.returncode, lines[-1] if lines else "no verdict"

    def history(self) -> bool:
        """Measure new commits; whatever comes of it, the verdict is there already."""
        # A commit that cannot be built fails once, in the night that meets it, and not in every night after it.
        only = [] if self.options.bench == "yes" else [f"BENCH={self.options.bench}"]
        measured = self.after("make bench", self.options.make, "bench", "RETRY=no", *only)
        drawn = self.after("make bench-html", self.options.make, "bench-html", stdout=subprocess.PIPE)
        if drawn:
            self.losses(LOSS.findall(self.heard))
        return measured and drawn

    def losses(self, standing: list[tuple[str, str]]) -> None:
        """Tell in the last line what vanished or fails, unless an earlier night has; what came back is forgotten."""
        note = self.options.runs / LOST
        known: list[list[str]] = []
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(note.read_text())
        new: dict[str, list[str]] = {}
        for what, benchmark in standing:
            if [what, benchmark] not in known:
                new.setdefault(what, []).append(benchmark)
        for what, benchmarks in new.items():
            more = f" and {len(benchmarks) - 1} more" if len(benchmarks) > 1 else ""
            self.failed.append(f"{what}: {benchmarks[0]}{more}")
        with contextlib.suppress(OSError):  # then the next night tells it again
            note.write_text(json.dumps(standing))

    def last(self, text: str) -> None:
        """Tell the last line, and leave it for whoever tells of a failure."""
        tell(text)
        with contextlib.suppress(OSError):  # a full disk takes no verdict away
            (self.options.runs / LAST).write_text(f"nightly: {text}\n")

    def go(self) -> int:
        """Do all of it; the exit code."""
        started = time.monotonic()
        (self.options.runs / LAST).unlink(missing_ok=True)
        if code := self.call(self.options.make, "setup"):
            return refuse(f"the environment cannot be made (make setup ended with {code})")
        folder, run_code = self.sweep()
        if run_code == STOPPED:
            self.last(f"stopped; the next night continues {folder}")
            return STOPPED
        gate_code, verdict = self.gate(folder)
        reports = (self.python, "-m", "reports")
        judged = (folder / "manifest.json").exists()
        if judged:
            self.after("report", *reports, "build", str(folder))
            keep = ["--keep", str(self.options.keep), "--sweep", Path(self.options.sweep).stem, "--spare", str(folder)]
            self.after("removal of old runs", *reports, "prune", str(self.options.runs), *keep)
            nights = Path(self.options.sweep).stem
            self.after("index", *reports, "index", str(self.options.runs), "--nights", nights)
        if self.options.bench == "no":
            asv = "asv left out (BENCH=no)"
        else:
            asv = "asv measured" if self.history() else "asv FAILED"
            if judged:
                self.after("report with the new history", *reports, "build", str(folder))
        code = run_code or gate_code or (AFTERMATH if self.failed else 0)
        parts = [verdict, f"gate {gate_code}", asv, *self.failed]
        if run_code:
            parts.insert(0, f"THE SWEEP DID NOT END ({run_code})")
        minutes = (time.monotonic() - started) / 60
        self.last(f"{'; '.join(parts)}; {folder}; {minutes:.0f} min; exit {code}")
        return code


def main() -> None:
    """Read the arguments, take the lock, and go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", default="nightly")
    parser.add_argument("--data", default=None, help="a scan of your own")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--keep", type=int, default=30, help="how many runs of the sweep stay")
    parser.add_argument("--bench", default="yes", help="asv over new commits: yes, no, or a regular expression")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds that one child may take")
    parser.add_argument("--python", required=True, help="interpreter of the environment that `make setup` makes")
    parser.add_argument("--make", default="make")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with locked(options.runs) as lock:
            night = Night(options, lock)
            signal.signal(signal.SIGTERM, night.terminate)
            code = night.go()
    except OSError as error:
        code = refuse(f"{error.filename or options.runs}: {(error.strerror or str(error)).lower()}")
    sys.exit(code)


if __name__ == "__main__":
    main()
