"""Faults on purpose: kills, full disks, flipped bytes, rival writers, readers during writes. Prints one table.

`python -m faults` (with the repository and `tests/` on the path; see `make faults`) runs them all, and
`tests/test_faults.py` a few of each. The package forks, so it runs in a process of its own that has no threads.
"""
