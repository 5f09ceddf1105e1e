"""Write a new plugin: files from templates, the whole folder or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from bench.errors import BadInput
from bench.scaffold.names import Names, new_names

TEMPLATES = Path(__file__).with_name("templates")
FILES: Mapping[str, str] = {
    "pyproject.toml": "common/pyproject.toml.j2",
    "README.md": "{kind}/README.md.j2",
    ".gitignore": "common/gitignore.j2",
    "src/{module}/__init__.py": "common/init.py.j2",
    "src/{module}/plugin.py": "{kind}/plugin.py.j2",
    "src/{module}/{kind}.py": "{kind}/{kind}.py.j2",
    "tests/test_{stem}.py": "{kind}/test.py.j2",
}
"""What is written -> the template it is made of."""


def create(name: str, kind: str, folder: Path) -> list[Path]:
    """Write a complete small distribution, `folder/bench-NAME/`.

    Parameters
    ----------
    name
        What the model or task is to be called: letters, digits and `-`.
    kind
        `"model"` or `"task"`.
    folder
        Where the distribution's folder is made; it must exist.

    Returns
    -------
    The files written.

    Raises
    ------
    BadInput
        If the name is not allowed or taken, the folder does not exist or cannot be written to, or there is
        something of that name in it. Nothing has been written then.
    """
    names = new_names(name, kind)
    target = folder / names.distribution
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}; make it first, or name another.")
    if target.exists() or target.is_symlink():
        raise BadInput(f"{target} exists; choose another name or folder, nothing there is changed.")
    texts = rendered(names, kind)
    temporary = folder / f".{target.name}.{secrets.token_hex(6)}.tmp"
    try:
        for path, text in texts.items():
            file = temporary / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        os.rename(temporary, target)
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror or error}; name another folder.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [target / path for path in texts]


def rendered(names: Names, kind: str) -> dict[str, str]:
    """Text of every file of a new plugin, by its path in the plugin's folder."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - Python and TOML, made of a checked name; nothing to escape
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    values = {"kind": kind, "module": names.module, "stem": names.stem}
    return {
        path.format(**values): environment.get_template(template.format(**values)).render(
            kind=kind, names=names, bench_version=metadata.version("bench-harness")
        )
        for path, template in FILES.items()
    }
