"""What Hypothesis draws: the same examples wherever and whenever the tests run, or others at every run.

``fixed`` is what every run of the tests takes. ``HYPOTHESIS_PROFILE=explore`` looks for what nobody has met yet
(`make explore`); what it finds is kept as an ``@example`` of its test.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

VARIABLE = "HYPOTHESIS_PROFILE"


def load():
    """Make both profiles known, and take the one that the environment names."""
    # No deadline and no check of speed: how long an example takes is a matter of the machine, and not what is tested.
    common = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("fixed", common, derandomize=True, database=None)
    settings.register_profile("explore", common, derandomize=False, database=None)
    name = os.environ.get(VARIABLE, "fixed")
    settings.load_profile(name)
    if name == "fixed":
        # Hypothesis mixes in the numbers and words of the sources that happen to be imported, and so the examples
        # of one test would depend on the tests before it and on every change of a constant.
        providers._get_local_constants = lambda: providers._local_constants
    return name
