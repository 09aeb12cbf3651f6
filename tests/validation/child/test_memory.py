"""Bar of the memory meter: known blocks, held 20 ms, warm and cold, read within 2 %."""

import contextlib
import os
import subprocess
import sys

import msgspec
import pytest

from validation.child import memory

pytestmark = pytest.mark.tensorflow

# Runs in a fresh process; prints the readings as JSON. ``settings`` can be left out to see that they matter.
_PROGRAM = """
import sys, time
import msgspec
import numpy as np
from validation.child import memory
if {settings}:
    memory.return_freed_memory()
size = {mebibytes} * 2**20

def touch_numpy():
    block = np.ones(size // 8)
    time.sleep(0.02)
    return float(block[-1])

def touch_tensorflow():
    import tensorflow as tf
    block = tf.ones([size // 4], tf.float32)
    time.sleep(0.02)
    return float(block[-1])

touch = touch_{library}
touch() if {warm} else None
if not {warm} and "{library}" == "tensorflow":
    import tensorflow as tf
    float(tf.ones([4])[-1])  # the runtime itself starts; the block does not
baseline, peak, _ = memory.high_water(touch)
sys.stdout.buffer.write(msgspec.json.encode([baseline, peak]))
"""


# The peak of a process is its own: memory is metered beside other work (`validation.run.lanes`).
_BUSY = """
import numpy as np
print("busy", flush=True)
while True:
    np.ones(2**24)
"""


def read_increment(library, mebibytes, warm, settings=True):
    program = _PROGRAM.format(library=library, mebibytes=mebibytes, warm=warm, settings=settings)
    # TensorFlow switches oneDNN, and with it the arena that hides a warm call, on by the processor; here always.
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}
    environment.pop("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", None)  # an earlier test may have put it there
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, timeout=250, env=environment
    )
    baseline, peak = msgspec.json.decode(done.stdout)
    return (peak - baseline) / 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's high-water mark is Linux's")
class TestHighWaterMark:
    @pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
    @pytest.mark.parametrize(
        "mebibytes", [pytest.param(64, marks=pytest.mark.slow), 256, pytest.param(1024, marks=pytest.mark.slow)]
    )
    @pytest.mark.parametrize("library", ["numpy", "tensorflow"])
    def test_a_known_block_is_read_within_2_percent(self, library, mebibytes, warm):
        assert read_increment(library, mebibytes, warm) == pytest.approx(mebibytes, rel=0.02)

    @pytest.mark.parametrize("library", ["numpy", "tensorflow"])
    def test_beside_work_that_takes_and_frees_memory_a_block_is_read_as_well(self, library):
        with contextlib.ExitStack() as beside:
            for _ in range(2 * (os.cpu_count() or 1)):
                busy = beside.enter_context(subprocess.Popen([sys.executable, "-c", _BUSY], stdout=subprocess.PIPE))
                beside.callback(busy.kill)
                assert busy.stdout.readline() == b"busy\n"
            assert read_increment(library, 256, True) == pytest.approx(256, rel=0.02)

    def test_without_the_allocator_settings_a_warm_call_reads_wrong(self):
        assert read_increment("tensorflow", 256, True, settings=False) < 0.5 * 256


_POISON = """
import sys
import numpy as np
from validation.child import memory
memory.poison_allocations()
import tensorflow as tf
made = [np.empty(300_000, np.float32), tf.raw_ops.Empty(shape=[300_000], dtype=tf.float32, init=False).numpy()]
sys.exit(0 if all((abs(one) > 1e38).all() for one in made) else 3)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the poison is glibc's")
def test_memory_that_was_never_written_shows():
    subprocess.run([sys.executable, "-c", _POISON], check=True, timeout=250, capture_output=True)


_TIMELINE = """
import sys, time
import numpy as np
import msgspec
from validation.child import memory

def two_steps():
    time.sleep(0.5)  # what was there before
    first = np.ones(2**25)
    time.sleep(0.5)  # the sampler gets its turn, also on a busy machine
    second = np.ones(2**25)
    time.sleep(0.5)

if __name__ == "__main__":
    memory.return_freed_memory()
    sys.stdout.buffer.write(msgspec.json.encode(memory.measure_timeline(two_steps, "two steps")))
"""


def test_the_time_line_shows_what_rose_when(tmp_path):
    from validation.contract.measurements import Timeline

    script = tmp_path / "two_steps.py"
    script.write_text(_TIMELINE)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, check=True, timeout=250)
    found = msgspec.json.decode(done.stdout, type=Timeline)
    assert len(found.time_s) == len(found.resident_bytes) <= 400
    assert list(found.time_s) == sorted(found.time_s)
    risen = [resident - min(found.resident_bytes) for resident in found.resident_bytes]
    # A sampler misses some: it draws, and never decides.
    assert max(risen) == pytest.approx(512 * 2**20, rel=0.1)
    # Half of it stands for about half of the time.
    assert any(0.4 * 512 < one / 2**20 < 0.6 * 512 for one in risen)


@pytest.mark.parametrize("devices", [[], ["GPU:0"]])
def test_beside_a_gpu_the_meter_says_what_it_does_not_read(monkeypatch, devices):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices if kind == "GPU" else [])
    assert memory.recorded_meter() == memory.meter() + (", the GPU's memory not read" if devices else "")
