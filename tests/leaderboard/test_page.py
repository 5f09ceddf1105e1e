"""The page shows every value as it was recorded, tells the kinds of missing apart, and trusts no text."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_factory import METRICS, contaminated, failure, make_record, metric, score, scores, write_all

from bench.errors import BadInput
from bench.runs.record import Record
from bench.store.index import Store
from bench.store.summary import summarise
from bench_leaderboard.page import html, render

REPO = Path(__file__).parents[2]
EVIL = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "</style><b>",
    "{{ 7 * 7 }}",
    "\"'><svg onload=alert(1)>",
    "\u202egnp.exe",
)


def no_defaults(kind: str, name: str, version: str) -> None:
    """As if nothing were installed: the page then depends on the records alone."""


class Table(HTMLParser):
    """Rows of all tables: the text of each cell, and the exact numbers in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.numbers: list[list[float]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
            self.numbers.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        elif tag == "data":
            self.numbers[-1].append(float(dict(attrs)["value"] or ""))

    def handle_endtag(self, tag: str) -> None:
        self._in_cell &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data

    def row(self, start: str) -> list[str]:
        return next(row for row in self.rows if row and row[0].startswith(start))


def page(results: Path, *made: Record, **options: Any) -> str:
    write_all(results, *made)
    return render(results, results / "leaderboard", **{"defaults": no_defaults, **options}).read_text(encoding="utf-8")


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FINITE, min_size=4, max_size=4))
def test_record_to_page_is_lossless(values: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        names = [m["name"] for m in METRICS]
        record = make_record(dict(zip(names, values, strict=True)), task__aggregate={}, task__main_metric="nmi")
        write_all(Path(folder), record)
        store = Store(Path(folder))
        store.sync()
        table = Table(html(summarise(store), no_defaults))
    assert values in table.numbers


def test_values_of_controls_and_aggregates_are_shown(tmp_path: Path) -> None:
    table = Table(page(tmp_path, make_record()))
    assert [round(x, 12) for x in table.numbers[1]] == [0.39, 0.45, 0.3, 0.5, 0.4, 0.3, 1.0]
    assert table.rows[0][1].startswith("aggregate")
    assert table.row("shuffled")[0].split() == ["shuffled", "floor"]
    assert table.row("truth")[0].split() == ["truth", "ceiling"]
    assert "baseline" in table.row("pca")[0]


def test_missing_is_said_and_never_zero(tmp_path: Path) -> None:
    text = page(
        tmp_path,
        make_record({"nmi": 0.5, "ari": None, "ilisi": 0.3, "error": 1.0}),
        failure("oom", "out of memory", model__name="scvi"),
        failure("incompatible", "cannot embed", model__name="harmony"),
        make_record(model__name="uce", dataset__name="other", dataset__identity="other"),
    )
    table = Table(text[text.index('id="exam-2"') :])
    assert table.row("pca")[5] == "not defined"
    assert table.row("pca")[1] == "not defined"  # and so is the aggregate
    assert set(table.row("scvi")[1:8]) == {"failed"}
    assert "oom: out of memory" in table.row("scvi")[0]
    assert set(table.row("harmony")[1:8]) == {"not applicable"}
    assert re.search(r"Not run</span> in this track here: <bdi>uce</bdi>", text)
    models = ("pca", "scvi", "harmony")
    assert all(0.0 not in n for row, n in zip(table.rows, table.numbers, strict=True) if row[0].startswith(models))


def test_the_best_value_is_bold_only_above_the_floor(tmp_path: Path) -> None:
    low = {"nmi": -0.2, "ari": 0.4, "ilisi": 0.3, "error": 2.5}
    text = page(tmp_path, make_record(low), make_record({**low, "ari": 0.15, "nmi": -0.3}, model__name="hvg"))
    bold = {float(value) for value in re.findall(r"<strong><data value=\"([^\"]+)\">", text)}
    assert 0.4 in bold
    assert not {-0.2, -0.3, 2.5, 0.15} & bold


def test_configurations_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    made = (make_record(), make_record(model__config={"n_components": 30}), make_record(model__name="hvg"))
    plain = page(tmp_path / "a", *made)
    assert plain.count("(n_components=30)") == plain.count("(n_components=50)") == 1  # unknown default: both say it
    known = page(tmp_path / "b", *made, defaults=lambda *_: {"n_components": 50, "split_seed": 0})
    assert known.count("(n_components=30)") == 1
    assert "n_components=50" not in known


def test_suspects_untrained_weights_and_simulated_data_are_marked(tmp_path: Path) -> None:
    flags = [{"kind": "suspect", "reason": "nmi is not better than shuffled"}]
    notes = ["random cells: donors on both sides"]
    split = {"by": "cells", "sizes": {}, "held_out": [], "notes": notes, "optimistic": True}
    text = page(
        tmp_path, make_record(flags=flags, model__weights="untrained", dataset__semi_simulated=True, split=split)
    )
    for said in ("suspect: nmi is not better than shuffled", "untrained weights", "semi-simulated", "optimistic split"):
        assert said in text
    assert "random cells: donors on both sides" in text


def test_contamination_is_told_shown_last_and_never_bold(tmp_path: Path) -> None:
    best = {"nmi": 0.99, "ari": 0.8, "ilisi": 0.99, "error": 0.0}
    training = {"model": "net", "verb": "pretrain", "files": ["kang", "zheng"], "cells": 14_261, "steps": 100}
    seen = make_record(best, model__name="seen", model__trained_on=[training], **contaminated(5, 1000, "kang"))
    text = page(tmp_path, seen, make_record(), make_record(dataset__name="zheng", dataset__identity="z"))
    assert "contaminated, not ranked: 5 of 1,000 scored cells were in the training data (kang)" in text
    assert "pretrained on kang, zheng: 14,261 cells, 100 steps" in text
    exam = text[text.index('id="exam-1"') :]
    assert exam.index("pca") < exam.index("seen")
    assert not [number for number in re.findall(r'<strong><data value="([\d.]+)"', exam) if number == "0.99"]
    overall = Table(text[text.index('id="overall"') : text.index('id="exam-1"')])
    assert overall.row("pca")[1] == "1"
    assert overall.row("seen")[1:3] == ["–", "not ranked"]
    assert any("contaminated" in cell for cell in overall.row("seen"))


def test_weights_are_told_apart_where_a_model_has_several(tmp_path: Path) -> None:
    own = [make_record(model__weights="own", model__weights_sha256=letter * 64) for letter in "ab"]
    text = page(tmp_path, *own)
    assert text.count("(weights aaaaaaaa") == text.count("(weights bbbbbbbb") == 1


def test_parts_have_a_table_of_their_own(tmp_path: Path) -> None:
    few = [score("nmi", 0.1 * i, part={"shots": shots}) for i, shots in enumerate(("1", "10", "5", "all"), 1)]
    table = Table(page(tmp_path, make_record(scores=[score("nmi", 0.9), *few])))
    assert ["Model", "1", "5", "10", "all"] in table.rows
    assert table.numbers[table.rows.index(["Model", "1", "5", "10", "all"]) + 1] == [0.1, 0.1 * 3, 0.2, 0.4]


def test_overall_shows_the_three_states(tmp_path: Path) -> None:
    other = {"dataset__name": "kang", "dataset__identity": "kang"}
    text = page(
        tmp_path,
        make_record(),
        make_record(**other),
        make_record(model__name="scvi"),
        failure(model__name="hvg", **other),
    )
    overall = Table(text[text.index('id="overall"') : text.index('id="exam-1"')])
    assert overall.row("pca")[1] == "1"
    assert overall.row("scvi")[1:4] == ["–", "not ranked", "not run"]
    assert "failed" in overall.row("hvg")


@pytest.mark.parametrize("name", EVIL)
def test_names_are_shown_as_text(tmp_path: Path, name: str) -> None:
    evil = {f"{part}__name": name for part in ("model", "task", "dataset")}
    more = {
        "model__config": {name: name},
        "model__summary": name,
        "task__bridge": name,
        "task__config": {"probe": name, "x": name},
    }
    flags = [{"kind": "suspect", "reason": name}, {"kind": name, "reason": name}]
    metrics = [metric(name, summary=name, group=name)]
    rows = [score(name, 0.5), score(name, 0.5, part={name: name})]
    text = page(
        tmp_path,
        make_record(
            **evil,
            **more,
            flags=flags,
            fold=name,
            task__metrics=metrics,
            task__main_metric=name,
            scores=rows,
            controls={name: scores({name: 0.0})},
            task__aggregate={name: 1.0},
            dataset__notices=[name],
        ),
        failure(message=name, seed=1, **evil),
    )
    parsed = Table(text)
    assert name in "".join(cell for row in parsed.rows for cell in row)
    allowed = {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "header",
        "h1",
        "h2",
        "h3",
        "p",
        "nav",
        "ol",
        "ul",
        "wbr",
        "li",
        "details",
        "summary",
        "b",
        "span",
        "main",
        "section",
        "div",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "bdi",
        "data",
        "small",
        "strong",
        "footer",
    }
    assert {tag for tag, _ in parsed.tags} <= allowed
    assert text.count("<style>") == text.count("</style>") == 1
    assert not [key for _, attributes in parsed.tags for key in attributes if key.startswith("on") or key == "style"]
    assert "49" not in re.findall(r"<bdi>([^<]*)</bdi>", text)


@pytest.mark.parametrize(
    ("reference", "link"),
    [
        ("https://example.org/a?b=1", "https://example.org/a?b=1"),
        ("10.1038/s41592-018-0229-2", "https://doi.org/10.1038/s41592-018-0229-2"),
        ("doi:10.1038/x", "https://doi.org/10.1038/x"),
        ("javascript:alert(1)", None),
        ("http://example.org", None),
        ("data:text/html,x", None),
        ("//example.org", None),
        ("https://[bad", None),
        ("Lopez et al. 2018", None),
    ],
)
def test_only_https_links_are_kept(tmp_path: Path, reference: str, link: str | None) -> None:
    parsed = Table(page(tmp_path, make_record(model__reference=reference)))
    links = [
        a["href"] for tag, a in parsed.tags if tag == "a" and not re.match(r"#|records/|results\.", a["href"] or "")
    ]
    assert links == ([link] if link else [])


def test_the_page_is_one_file_without_scripts_or_requests(tmp_path: Path) -> None:
    text = page(tmp_path, make_record())
    assert "<script" not in text
    assert not re.search(r"<(link|img|iframe|object|embed|form)\b|url\(|@import", text)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src &#39;none&#39;; style-src &#39;sha256-{digest}&#39;" in text.replace("'", "&#39;")


def test_everything_linked_lies_beside_the_page(tmp_path: Path) -> None:
    made = [make_record(seed=seed) for seed in range(3)] + [failure(seed=7)]
    parsed = Table(page(tmp_path, *made))
    out = tmp_path / "leaderboard"
    links = [a["href"] for tag, a in parsed.tags if tag == "a" and not (a["href"] or "#").startswith(("#", "https:"))]
    assert len(links) == 2 + 4
    for link in links:
        assert (out / str(link)).is_file()
    copied = json.loads(next((out / "records").glob("*.json")).read_text())
    assert copied["run_id"] in {record["run_id"] for record in made}
    leftovers = [path.name for path in out.rglob(".*")]
    assert leftovers == []
    assert os.stat(out / "index.html").st_mode & 0o044


def test_ids_are_unique_and_regions_are_named(tmp_path: Path) -> None:
    other = make_record(dataset__name="kang", dataset__identity="kang")
    part = [score("nmi", 0.5), score("nmi", 0.1, part={"shots": "1"})]
    parsed = Table(page(tmp_path, make_record(scores=part), make_record(track="zero-shot"), other))
    ids = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in parsed.tags if "aria-labelledby" in a} <= set(ids)
    assert [a["lang"] for tag, a in parsed.tags if tag == "html"] == ["en"]
    assert all("scope" in a for tag, a in parsed.tags if tag == "th")
    assert len([tag for tag, _ in parsed.tags if tag == "caption"]) == len(
        [tag for tag, _ in parsed.tags if tag == "table"]
    )


def test_rendering_again_and_without_results(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    assert "There are no results yet." in page(tmp_path)
    assert "0.500" in page(tmp_path, make_record())
    assert page(tmp_path).count("0.500") == page(tmp_path).count("0.500")


def test_the_results_folder_is_not_overwritten(tmp_path: Path) -> None:
    write_all(tmp_path, make_record())
    with pytest.raises(BadInput, match="the results folder itself"):
        render(tmp_path, tmp_path)


def test_what_was_skipped_is_told(tmp_path: Path) -> None:
    write_all(tmp_path, make_record())
    (tmp_path / "records" / "x.json").write_text("{")
    told: list[str] = []
    render(tmp_path, tmp_path / "out", defaults=no_defaults, notify=told.append)
    assert told == ["skipped records/x.json: invalid JSON at byte 1"]


def test_the_plugin_module_is_light() -> None:
    program = (
        "import sys; from bench_leaderboard.plugin import bench_commands; print(*bench_commands()); print(*sys.modules)"
    )
    paths = os.pathsep.join([str(REPO), str(REPO / "leaderboard")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    command, modules = done.stdout.splitlines()
    assert "bench_leaderboard.command:leaderboard" in command
    assert not {"numpy", "pandas", "duckdb", "jinja2", "anndata", "torch"} & set(modules.split())


def test_the_plugin_imports_only_the_core() -> None:
    for path in (REPO / "leaderboard").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            strangers = [n for n in names if n.startswith("bench_") and not n.startswith("bench_leaderboard")]
            assert strangers == []
