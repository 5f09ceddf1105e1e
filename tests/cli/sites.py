"""Distributions that are not installed but lie in a folder of their own, where Python finds them all the same."""

from __future__ import annotations

from pathlib import Path


def install(site: Path, name: str, source: str) -> Path:
    """Put the plugin `name`, one module of this source, into a folder; returns the folder."""
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{name}.py").write_text(source)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bench]\n{name} = {name}\n")
    return site
