"""What a training runs into that is not of its own making, in a sentence: a full disk, too little memory."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bench.downloads.sizes import FULL, shown
from bench.errors import BadInput, BenchError
from bench.training.begun import LAST

_FULL = FULL | {errno.EFBIG}
"""A quota, a limit of this process."""
_NO_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory")


_LOWER = "data.batch_size (with trainer.accumulate as many times higher, the steps stay the same)"


@contextmanager
def explained(out: Path, lower: str = _LOWER, resumes: bool = True) -> Iterator[None]:
    """Tell what the errors mean that the machine raises within, and those of processes that prepare batches.

    Parameters
    ----------
    out
        Folder that is written to.
    lower
        What takes less memory if it is lowered, in words.
    resumes
        Whether what was begun can be gone on with.

    Raises
    ------
    BenchError
        If there is no room on the disk, or no memory.
    BadInput
        If the folder cannot be written to.
    """
    try:
        yield
    except BenchError as error:
        told = str(error).rpartition(f"{type(error).__name__}: ")[2]
        if told == str(error):
            raise
        raise type(error)(told.strip()) from None  # torch adds the traceback of the process that prepared the batch
    except (MemoryError, torch.OutOfMemoryError):
        raise BenchError(f"out of memory: lower {lower}.") from None
    except OSError as error:
        if full := _disk(error, out, resumes):
            raise full from error
        raise
    except RuntimeError as error:
        if any(words in str(error) for words in _NO_MEMORY):
            raise BenchError(f"out of memory: lower {lower}.") from None
        raise


@contextmanager
def writing(path: Path, needed: int) -> Iterator[None]:
    """Say of an error how many bytes were to be written where; torch may hide what the system said."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
        number = cause.errno if isinstance(cause, OSError) else None
        if number is None:
            raise
        raise OSError(number, f"{os.strerror(number)}, and {shown(needed)} are needed", str(path)) from error


def _disk(error: OSError, out: Path, resumes: bool) -> BenchError | None:
    left = f"{out / LAST} is whole" if (out / LAST).exists() else "no checkpoint was written yet"
    if error.errno in _FULL:
        standing = next(path for path in (out, *out.absolute().parents) if path.exists())
        free = shown(shutil.disk_usage(standing).free)
        again = f"go on with --resume ({left})" if resumes else "begin again"
        return BenchError(f"no room in {out}: {error.strerror}, {free} are free; free some and {again}.")
    if error.filename and Path(str(error.filename)).is_relative_to(out):
        kept = f" ({left})" if resumes else ""
        return BadInput(f"cannot write {error.filename}: {error.strerror}; see to the disk and permissions{kept}.")
    return None
