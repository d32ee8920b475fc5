"""Faults, attackers and load, on purpose: what was tried, what survived, what was lost. Prints one table.

`python -m hardness` (with the repository and `tests/` on the path; see `make hardness`) runs it all, and
`tests/test_hardness.py` a little of each. Every part runs in a process of its own: some of them fork, and those must
have no threads.
"""
