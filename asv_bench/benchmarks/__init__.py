"""Benchmarks of ptycho over its history. Read docs/asv.md before changing what one measures."""

import os

# Before TensorFlow is loaded; asv's env_nobuild would rename the result files instead.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
