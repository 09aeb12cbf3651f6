"""Stands in TensorFlow's place in `make check`: a test that starts TensorFlow has the marker for it."""

raise ImportError("this test starts TensorFlow: mark it with pytest.mark.tensorflow, and `make check` leaves it out")
