"""One module for each system that is measured, run as a process of its own, in an environment of its own.

Nothing here may import more than the standard library, the system it drives and `protocol`.
"""
