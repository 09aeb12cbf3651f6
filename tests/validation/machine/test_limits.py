"""The limits of a job or container are of its groups, of both versions: the tightest of a group and its parents."""

import os
import resource
import subprocess
import sys

import pytest

from validation.machine import limits

GIB = 2**30


def make(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


MACHINE = {"proc/meminfo": "MemTotal: 100 kB\nMemAvailable: 33554432 kB", "sys/fs/cgroup/cgroup.procs": ""}


def group_2(**files):
    """A machine with groups of version 2, and this process in a job of a user."""
    found = {**MACHINE, "proc/self/cgroup": "0::/user/job"}
    for name, text in files.items():
        place, _, file = name.partition("__")
        found[f"sys/fs/cgroup/{'' if place == 'top' else 'user/' if place == 'user' else 'user/job/'}{file}"] = text
    return {name.replace("memory_", "memory.").replace("cpu_max", "cpu.max"): text for name, text in found.items()}


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({}, None),
        ({"job__memory_max": "max", "job__memory_current": GIB}, None),
        ({"job__memory_max": 4 * GIB, "job__memory_current": GIB}, 3 * GIB),
        ({"job__memory_max": 4 * GIB, "job__memory_high": 2 * GIB, "job__memory_current": GIB}, GIB),
        ({"job__memory_max": 4 * GIB, "user__memory_max": 3 * GIB, "user__memory_current": 2 * GIB}, GIB),
        ({"job__memory_max": 4 * GIB, "job__memory_current": 5 * GIB}, 0),
        # Files that are cached are no reason to refuse.
        (
            {
                "job__memory_max": 4 * GIB,
                "job__memory_current": 3 * GIB,
                "job__memory_stat": f"anon 5\ninactive_file {2 * GIB}",
            },
            3 * GIB,
        ),
    ],
)
def test_the_room_that_a_job_leaves_in_version_2(tmp_path, files, room):
    root = make(tmp_path, group_2(**files))
    assert limits.memory_room(root) == room
    assert limits.available_bytes(root) == (32 * GIB if room is None else room)


V1 = {
    **MACHINE,
    "proc/self/cgroup": "9:name=systemd:/\n4:memory:/slurm/job_7\n1:cpu,cpuacct:/slurm\n0::/",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712,
    "sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes": 8 * GIB,
    "sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes": 3 * GIB,
    "sys/fs/cgroup/memory/slurm/job_7/memory.stat": f"total_inactive_file {GIB}",
}


def test_the_room_that_a_job_leaves_in_version_1(tmp_path):
    assert limits.memory_room(make(tmp_path, V1)) == 6 * GIB


def test_in_a_container_whose_path_is_the_host_s_the_top_is_its_own_group(tmp_path):
    root = make(
        tmp_path,
        {
            **V1,
            "proc/self/cgroup": "4:memory:/docker/0123",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 2 * GIB,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": GIB,
        },
    )
    assert limits.memory_room(root) == GIB


def test_where_there_are_no_groups_the_machine_counts(tmp_path):
    assert limits.available_bytes(make(tmp_path, {"proc/meminfo": "MemAvailable: 1024 kB"})) == 2**20
    assert limits.available_bytes(tmp_path / "nothing") == 0


@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_itself_counts(kind):
    soft = 64 * GIB
    hard = resource.getrlimit(getattr(resource, kind))[1]
    if hard != resource.RLIM_INFINITY:
        pytest.skip("a limit is there already")
    program = (
        f"import resource; resource.setrlimit(resource.{kind}, ({soft}, {soft}))\n"
        "from validation.machine import limits; print(limits.memory_room())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert soft - GIB < int(done.stdout) < soft


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="affinity is Linux's")
@pytest.mark.parametrize(
    ("files", "cores"),
    [
        (group_2(), 16),
        (group_2(job__cpu_max="max 100000"), 16),
        (group_2(job__cpu_max="250000 100000"), 3),
        (group_2(job__cpu_max="50000 100000"), 1),
        (group_2(job__cpu_max="max 100000", user__cpu_max="200000 100000"), 2),
        ({**group_2(), "sys/fs/cgroup/user/job/cpuset.cpus.effective": "0-3,8"}, 5),
        (
            {
                **V1,
                "sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us": 400000,
                "sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_period_us": 100000,
            },
            4,
        ),
        ({**V1, "sys/fs/cgroup/cpu/slurm/cpu.cfs_quota_us": -1, "sys/fs/cgroup/cpu/slurm/cpu.cfs_period_us": 9}, 16),
    ],
)
def test_the_processors_of_a_job_are_those_of_its_share_and_its_set(tmp_path, monkeypatch, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    assert limits.usable_cores(make(tmp_path, files)) == cores


def test_kills_of_the_job_are_counted(tmp_path):
    assert limits.kills(tmp_path) == 0
    assert limits.kills(make(tmp_path / "2", group_2(job__memory_events="oom 3\noom_kill 2"))) == 2
    one = {**V1, "sys/fs/cgroup/memory/slurm/job_7/memory.oom_control": "under_oom 0\noom_kill 4"}
    assert limits.kills(make(tmp_path / "1", one)) == 4
