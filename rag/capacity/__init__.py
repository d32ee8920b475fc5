"""How much memory, disk, machines, time and money an index of some size takes, and what breaks first.

Arithmetic on figures that were measured on small indexes; what is larger than they were is estimated. docs/SCALE.md
says which is which, and by which command. Pure functions on values: nothing is opened, read or printed.
"""

from .machines import Plan, plan
from .request import Wanted, wanted
from .telling import told

__all__ = ["Plan", "Wanted", "plan", "told", "wanted"]
