"""The conformance kit: is a model or a task what it says it is?

`examine` runs every check that applies to a plugin in a process of its own and returns a `Report`.
"""

from bench.conformance.examine import examine
from bench.conformance.report import Report, Row

__all__ = ["Report", "Row", "examine"]
