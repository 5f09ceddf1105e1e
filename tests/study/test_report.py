"""The page is a function of the records, and says what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench_study import facts, keep, measures, outline, report
from bench_study.measures import Kept
from made_up import DONORS, keep_study
from tests.store.record_factory import failure, write_all

from bench.errors import BadInput

SKILL = {"ours-finetuned": 0.05, "ours-pretrained": -0.2, "ours-from-scratch": 0.05, "vae-mlp": 0.02}


def kept(file: Path) -> Kept:
    return measures.load(outline.read(file), *measures.kept_files(file))


def page(folder: Path) -> str:
    return report.text(kept(folder / "study.toml"), None, "figures")


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}")[2].partition("\n## ")[0]


def test_answers_follow_from_the_scores(copied: Path) -> None:
    keep_study(copied / "study.toml", lambda name: SKILL.get(name, 0.0))
    said = section(page(copied), "Answers")
    fine_tuned = next(line for line in said.splitlines() if line.startswith("*ours, pretrained and fine-tuned*"))
    assert " is better than *logistic regression on genes*; *neural network on genes*; " in fine_tuned
    assert "; it is not to be told from *ours, the same without pretraining*." in fine_tuned
    answers = dict(re.findall(r"- (.+\?) (.+)\.", said))
    of = {question: answer.partition(":")[0].strip("*") for question, answer in answers.items()}
    assert of["Is the fine-tuned transformer better than logistic regression?"] == "Yes"
    assert of["Does pretraining help the transformer when it is frozen?"] == "No, it is worse"
    assert (
        of["Does pretraining help the transformer when it is fine-tuned for about one pass?"] == "Not distinguishable"
    )
    assert re.fullmatch(r"\*\*Yes\*\*: \+0\.05\d \(\+0\.04\d to \+0\.05\d\)", answers[list(answers)[2]])


def test_with_few_labels_models_are_compared_by_donor_too(copied: Path) -> None:
    keep_study(copied / "study.toml", lambda name: SKILL.get(name, 0.0))
    _, _, paired = section(page(copied), "With few labels").partition("paired by donor:")
    row = next(line for line in paired.splitlines() if line.startswith("| ours, pretrained, probe"))
    gaps = [float(cell.split()[0]) for cell in row.split("|")[2:-1]]
    assert len(gaps) == 2  # of 1 and 10 labels per type
    assert all(-0.22 < gap < -0.18 for gap in gaps)
    assert "| logistic regression on genes |" not in paired


def test_few_donors_decide_nothing(copied: Path) -> None:
    keep_study(copied / "study.toml", lambda name: SKILL.get(name, 0.0), units=7)
    text = page(copied)
    assert "**Not decided**: +0.05" in section(text, "Answers")
    assert "**Yes**" not in text


@pytest.mark.slow
def test_the_same_records_make_the_same_page_and_figures(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("study.toml", "ablations.toml"):
        keep_study(copied / name, lambda name: SKILL.get(name, 0.0))
    found = [kept(copied / name) for name in ("study.toml", "ablations.toml")]
    made = []
    monkeypatch.chdir(copied.parent)
    for where in (copied.parent / "study.md", Path("study.md")):
        report.write(*found, where)
        figures = {path.name: path.read_bytes() for path in (copied / "figures").iterdir()}
        made.append(((copied.parent / "study.md").read_text(encoding="utf-8"), figures))
    assert made[0] == made[1]
    assert set(made[0][1]) == {"differences.svg", "few-shot.svg", "ablations.svg"}
    for figure in re.findall(r"\]\((.+?\.svg)\)", made[0][0]):
        assert (copied.parent / figure).exists()
    assert "input: ranks" in section(made[0][0], "Ablations")


def test_tables_hold_every_entry_and_control_best_first(copied: Path) -> None:
    study = keep_study(copied / "study.toml", lambda name: SKILL.get(name, 0.0))
    text = page(copied)
    table = section(text, "Kang 2018: each of 8 donors").splitlines()
    labels = [line.split(" | ")[0].strip("| ") for line in table if line.startswith("| ")][2:]
    assert set(labels) == {e.label for e in study.entries if "kang" in e.exams} | {"*(majority)*"}
    assert labels[0] in {study.entry(n).label for n in ("ours-finetuned", "ours-from-scratch")}
    assert labels[-2:] == [study.entry("ours-pretrained").label, "*(majority)*"]
    assert "| 3.4 M | 2.1 min |" in section(text, "What it costs")
    assert "in none of" in section(text, "What was pretrained")
    assert "95 % of the pairs" in section(text, "What was pretrained")
    assert text.count("\n| PCA (50) |") == 2  # clustering and integration, without the probe


def test_a_contaminated_run_is_told_of(copied: Path) -> None:
    keep_study(copied / "study.toml", lambda name: 0.0)
    records, _ = measures.kept_files(copied / "study.toml")
    flag = '"flags": [{"kind": "contaminated", "reason": "7 of 9 scored cells were trained on"}]'
    records.write_text(records.read_text().replace('"flags": []', flag))
    assert "not known not to be**: 7 of 9 scored cells were trained on." in page(copied)


def test_runs_without_a_score_are_told_of_by_why(study_folder: Path, tmp_path: Path) -> None:
    study = outline.read(study_folder / "study.toml")
    write_all(tmp_path, *(failure(status, model__name=status) for status in ("oom", "incompatible", "timeout")))
    keep.pack(tmp_path, tmp_path / "study.jsonl")
    facts.write(tmp_path / "study.trained.json", [])
    found = measures.load(study, tmp_path / "study.jsonl", tmp_path / "study.trained.json")
    assert report.failed(found) == "2 runs failed. Not begun, as model and data do not go together: 1 run."
    assert report.failed(Kept(study, (), {}, {})) == "No run failed."


def test_two_runs_for_one_row_are_refused(copied: Path) -> None:
    keep_study(copied / "study.toml", lambda name: 0.0)
    records, _ = measures.kept_files(copied / "study.toml")
    twin = next(r for r in keep.read(records) if r["model"]["name"] == "logreg" and r["fold"] == DONORS[0])
    write_all(copied / "results", {**twin, "run_id": "0" * 20})  # type: ignore[typeddict-item]
    keep.pack(copied / "results", records)
    with pytest.raises(BadInput, match=r"entry logreg has two runs of a fold of kang"):
        page(copied)


def test_the_committed_page_is_that_of_the_committed_records(study_folder: Path) -> None:
    study, ablations = (kept(study_folder / name) for name in ("study.toml", "ablations.toml"))
    made = report.text(study, ablations, "study/figures")
    assert made == (study_folder.parent / "study.md").read_text(encoding="utf-8")
