"""The options that several commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from validation.subject.package import package_option


def _all(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add options to a command, in this order."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


filters = _all(
    click.option("-k", "text", metavar="WORDS", help="Keep cases whose id contains each of these words."),
    click.option("--where", multiple=True, metavar="NAME=VALUE",
                 help="Keep cases with this value of a parameter; may be repeated."),
)  # fmt: skip

kernels = _all(
    click.option("--kernel", multiple=True, metavar="NAME", help="Keep this kernel; may be repeated."),
    click.option("--kernel-folder", multiple=True, metavar="PATH",
                 help="Folder that holds kernels of yours; see docs/adding-a-kernel.md."),
    package_option,
    click.option("--path", multiple=True, metavar="PATH",
                 help="Folder that comes first where modules are looked for; may be repeated."),
)  # fmt: skip

where = _all(
    click.option("--sweep", default="quick", show_default=True, help="A built-in sweep or a TOML file."),
    click.option(
        "--data", metavar="SCAN", help="Scan to take object and positions from, of any known format [built-in]."
    ),
    kernels,
    click.option("--candidate", default="batched", show_default=True,
                 help="What is judged: a name, or module:function."),
    click.option("--reference", metavar="MODULE:FUNCTION", help="What it is held against [the kernel's reference]."),
    click.option("--reference-path", metavar="PATH",
                 help="Folder that comes first for the reference alone: another checkout, say."),
    click.option("--candidate-path", metavar="PATH", help="The same for the candidate alone."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
)  # fmt: skip

clusters = _all(
    click.option("--scheduler", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler."),
    click.option("--local-cluster", "local_workers", type=click.IntRange(min=1), metavar="N",
                 help="Run on a Dask cluster of N workers on this machine."),
    click.option("--cluster", "cluster_class", metavar="MODULE:CLASS",
                 help="Run on a cluster that this class makes, such as dask_jobqueue:SLURMCluster."),
    click.option("--cluster-options", "class_options", metavar="YAML", help="Arguments of the class."),
    click.option("--tls-ca-file", metavar="PEM", help="Certificate authority of the cluster."),
    click.option("--tls-cert", metavar="PEM", help="Certificate of this run."),
    click.option("--tls-key", metavar="PEM", help="Its key."),
    click.option("--worker-wait", "worker_wait_s", type=click.FloatRange(min=0), default=600.0,
                 show_default=True, metavar="SECONDS", help="How long a cluster may be without workers."),
)  # fmt: skip
CLUSTER_OPTIONS = (
    "scheduler",
    "local_workers",
    "cluster_class",
    "class_options",
    "tls_ca_file",
    "tls_cert",
    "tls_key",
)

processes = _all(
    click.option("--out", required=True, metavar="DIR", help="Folder of the run."),
    click.option("--resume", is_flag=True, help="Continue the run that the folder holds."),
    click.option("--start", type=click.Choice(["fork", "spawn"]), default="fork", show_default=True),
    click.option("--threads", type=click.IntRange(min=1), help="Threads of the kernels [all usable cores]."),
    click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=600.0,
                 show_default=True),
    click.option("--memory-limit", "memory_limit_gib", type=click.FloatRange(min=0, min_open=True), metavar="GIB",
                 help="Memory that one child may take [80 % of what is available]."),
    click.option("--keep-env", multiple=True, metavar="NAME",
                 help="Keep a variable that changes allocators or compilers; may be repeated."),
    click.option("--json", "as_json", is_flag=True, help="Tell the progress as JSON lines."),
)  # fmt: skip
