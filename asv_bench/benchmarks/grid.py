"""The cases of the suite, under the names and with the values of the validation sweeps (a test holds it)."""

HEIGHT, WIDTH = 200, 256  # of the object, as in the built-in scan
M = 20

NAMES = ["N", "gridsize", "B", "dtype"]
SMALL = [[64, 128], [1, 2], [10], ["complex64", "complex128"]]
# The loop only repeats itself: its time goes with the patches, and gridsize 1 has a quarter of them.
SMALL_LOOP = [SMALL[0], [2], *SMALL[2:]]
# The reference case's N, gridsize and dtype. More than 100 groups are out of reach of the first attempt, which keeps a
# copy of the object for every patch.
REFERENCE = [[64], [2], [100], ["complex64"]]
# An output of 50 MiB in few patches, which the loop is quick to cut: the meter resolves about half a MiB.
MEMORY = [[256], [2], [25], ["complex64", "complex128"]]
MEMORY_C64 = [*MEMORY[:3], ["complex64"]]
# What stands around the kernels: a dispatcher shows where the work itself is short, and a first call is tracing and
# loading.
FIRST = [[64], [2], [10], ["complex64"]]
REASSEMBLY = [[64], [1], [100], ["complex64"]]
TRANSLATION = [[64, 128], [2], [10], ["complex64", "complex128"]]
GROUPING_NAMES = ["gridsize", "B"]
GROUPING = [[1, 2, 3], [100, 1000]]
GROUPING_LARGEST = [[3], [1000]]
