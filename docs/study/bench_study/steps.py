"""From a study to commands of `bench`, in order; each is one that a reader could type."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.weights import trained
from bench_study.outline import UNTRAINED, CorpusFile, Entry, Exam, Pretraining, Study, corpus


@dataclass(frozen=True)
class Places:
    """Where a study reads and writes."""

    data: Path
    """The folder that the files of `corpus.tsv` are in."""
    work: Path
    """Of everything that is made: the corpus, trained models, results."""
    bench: str = "bench"
    """The program."""
    cores: int = 2

    @property
    def results(self) -> Path:
        """What `bench run` calls `--results`."""
        return self.work / "results"

    def corpus(self, file: CorpusFile) -> Path:
        """A file of the corpus as it is trained on."""
        return self.work / "corpus" / Path(file.file).name

    def weights(self, name: str) -> Path:
        """The folder of a trained model."""
        return self.work / "trained" / name

    def filled(self, text: str) -> str:
        """A path of the study's file, with the folders in their places."""
        return text.replace("@DATA@", str(self.data)).replace("@WORK@", str(self.work))


@dataclass(frozen=True)
class Step:
    """One command."""

    title: str
    command: tuple[str, ...]
    stage: str
    """What must be over before the next stage begins."""
    threads: int = 1
    """Of each of its processes."""
    cores: int = 1
    """That it keeps busy."""
    made: Path | None = None
    """What is there once it has succeeded: then it is not run again. Runs are left to `bench run`, which knows."""
    needs: tuple[Path, ...] = field(default=())
    """What it cannot begin without."""

    def __str__(self) -> str:
        return f"OMP_NUM_THREADS={self.threads} {shlex.join(self.command)}"

    @property
    def done(self) -> bool:
        """Whether what it makes is there, whole."""
        return self.made is not None and _whole(self.made)

    @property
    def missing(self) -> list[Path]:
        """What it needs and is not there."""
        return [path for path in self.needs if not _whole(path)]


def _whole(path: Path) -> bool:
    """A file, or the folder of a training that has ended."""
    return path.is_file() or (path.is_dir() and trained.manifest(path) is not None)


def steps(study: Study, places: Places) -> list[Step]:
    """Every command of a study: the corpus, then what is trained, then what is examined."""
    used = [file for file in corpus(study.folder) if file.use]
    return [
        *(_prepare(file, places) for file in used),
        *(_pretrain(asked, used, places) for asked in study.pretrainings),
        *_runs(study, places),
    ]


def write_sets(study: Study, places: Places) -> None:
    """Write the sets of the study where its exams look for them, with the paths of this machine."""
    places.work.mkdir(parents=True, exist_ok=True)
    for exam in study.exams:
        if exam.dataset.endswith(".toml"):
            name = Path(exam.dataset).name
            text = (study.folder / name).read_text(encoding="utf-8")
            Path(places.filled(exam.dataset)).write_text(places.filled(text), encoding="utf-8")
            for labels in study.folder.glob("*_labels.tsv"):
                (places.work / labels.name).write_bytes(labels.read_bytes())


def _prepare(file: CorpusFile, places: Places) -> Step:
    source, made = places.data / file.file, places.corpus(file)
    # what has no Ensembl id is no gene that another file could share
    names = ("--map-genes", "ensembl", "--drop-unmapped")
    command = (places.bench, "data", "prepare", str(source), "--out", str(made), *names)
    return Step(f"prepare {file.file}", command, "prepare", made=made, needs=(source,))


def _pretrain(asked: Pretraining, used: Sequence[CorpusFile], places: Places) -> Step:
    files, made = [places.corpus(file) for file in used], places.weights(asked.name)
    command = [places.bench, "pretrain", "--model", asked.model, "--data", *map(str, files), "--out", str(made)]
    command += ["--config", asked.config] if asked.config else []
    command += _options("--set", asked.set)
    command += ["--seed", str(asked.seed), "--resume-if-there"]
    cores = min(asked.cores or places.cores, places.cores)
    return Step(f"pretrain {asked.name}", tuple(command), "pretrain", cores, cores, made, tuple(files))


def _runs(study: Study, places: Places) -> Iterator[Step]:
    """Entries that differ in the model alone share a command, so that none of the cores waits."""
    for exam in study.exams:
        groups: defaultdict[tuple[str, str, int], list[Entry]] = defaultdict(list)
        for entry in (entry for entry in study.entries if exam.name in entry.exams):
            groups[entry.weights, probe(entry, exam), entry.seed].append(entry)
        for entries in groups.values():
            for distinct in _distinct_models(entries):
                yield _run(exam, distinct, places)


def probe(entry: Entry, exam: Exam) -> str:
    """The probe of an entry, which only classification asks for."""
    return entry.probe if exam.task == "classification" else ""


def _distinct_models(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """One command takes each model once: two settings of it are two commands."""
    left = list(entries)
    while left:
        first = {entry.model: entry for entry in reversed(left)}
        now = [entry for entry in left if first[entry.model] is entry]
        yield now
        left = [entry for entry in left if entry not in now]


def _run(exam: Exam, entries: Sequence[Entry], places: Places) -> Step:
    models, weights = [entry.model for entry in entries], entries[0].weights
    command = [places.bench, "run", "--model", ",".join(models), "--task", exam.task]
    command += ["--dataset", places.filled(exam.dataset), "--results", str(places.results)]
    jobs = min(exam.jobs, places.cores)
    command += ["--seed", str(entries[0].seed), "--jobs", str(jobs), "--retry-failed"]
    command += _options("--obs", exam.obs)
    command += _options("--set", {f"{e.model}.{k}": value for e in entries for k, value in e.set.items()})
    command += ["--task-set", f"probe={on_top}"] if (on_top := probe(entries[0], exam)) else []
    command += _options("--task-set", exam.set)
    folder = places.weights(weights)
    command += ["--weights", weights if weights == UNTRAINED else str(folder)] if weights else []
    title = f"{exam.name}: {', '.join(entry.name for entry in entries)}"
    needs = () if weights in ("", UNTRAINED) else (folder,)
    return Step(title, tuple(command), exam.name, cores=jobs, needs=needs)


def _options(flag: str, options: Mapping[str, Any]) -> list[str]:
    """The flag before each option, as a shell would have it."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in options.items()}
    return [word for key, text in texts.items() for word in (flag, f"{key}={text}")]
