"""Keep what libraries say to themselves, so that what a training says is read."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")


@contextlib.contextmanager
def quiet(*others: str) -> Iterator[None]:
    """Keep the chatter of Lightning, and of other loggers by name, away; what they print goes to stderr."""
    loggers = [logging.getLogger(name) for name in (*LOGGERS, *others)]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            # advice on data loader workers, tensor cores and lengths of epochs
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
