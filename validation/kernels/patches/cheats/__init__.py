"""Implementations that talk a judge round: each does less than it is measured for, or more than it says.

They are slow, hungry or wrong, and each has one trick that hides it; the catalogue is
`validation.kernels.patches.mutants`, the kinds are told in ``docs/threat-model.md``. None of them can be chosen by
accident: they are no candidates.
"""
