"""What measuring and judging share.

It imports nothing of either; `reports` imports nothing else of this package.
"""
