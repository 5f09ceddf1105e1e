"""Which terms are kinds of which others, from an ontology's file: OBO, or a table of child and parent.

Only what an ontology of cell types, tissues or diseases is needed for here is read, as plain text, by a page of code:
the readers that exist resolve imports over the network. The format is OBO 1.4,
https://owlcollab.github.io/oboformat/doc/GO.format.obo-1_4.html.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from bench.errors import BadInput
from bench.wording import listed, size

LARGEST = 2**28
"""Bytes a file may have: five times what the largest ontology of diseases has."""

_TAGS = frozenset({"id", "name", "is_a", "is_obsolete"})
_VALUE = re.compile(r"(?:\\.|[^\\!{])*")
"""The value of an OBO line up to its comment or qualifiers, `\\` taking the meaning of what follows away."""


@dataclass(frozen=True)
class Ontology:
    """Terms, their names and what they are kinds of."""

    path: Path
    names: Mapping[str, str]
    """Id -> name, its id where it has none; obsolete terms are left out."""
    parents: Mapping[str, frozenset[str]]
    """Id -> ids it is directly a kind of; nothing is a kind of itself, however indirectly."""
    _ids: dict[str, str] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        often = Counter(self.names.values())
        self._ids.update((name, term) for term, name in self.names.items() if often[name] == 1)
        self._ids.update((term, term) for term in self.names)

    def term(self, label: str) -> str | None:
        """The id of a term by its id or its name; None where there is none, or several have that name."""
        return self._ids.get(label)

    def ancestors(self, term: str) -> frozenset[str]:
        """Ids of all that a term is a kind of, itself included."""
        found, waiting = {term}, [term]
        while waiting:
            new = self.parents.get(waiting.pop(), frozenset()) - found
            found |= new
            waiting += new
        return frozenset(found)


def read(path: str | Path) -> Ontology:
    """Read an ontology.

    Parameters
    ----------
    path
        `.obo`: `id`, `name`, `is_a` and `is_obsolete` of the terms are read. `.tsv`: two columns, child and parent,
        whose words are ids and names at once; empty lines and those that begin with `#` are passed over, so is a
        first line `child`, `parent`.

    Raises
    ------
    BadInput
        If the file is missing, too large, no text, of another kind, malformed or empty, or a term is a kind of itself.
    """
    path = Path(path).expanduser()
    readers = {".obo": _obo, ".tsv": _tsv}
    if path.suffix not in readers:
        raise BadInput(f"ontology {path} must end in .obo or .tsv.")
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"ontology {path} has more than {size(LARGEST)}; give the part that is needed as .tsv.")
        found = readers[path.suffix](path)
    except OSError as error:
        raise BadInput(f"cannot read ontology {path}: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise BadInput(f"ontology {path} is no UTF-8 text; unpack or convert it.") from None
    if not found.names:
        raise BadInput(f"ontology {path} holds no term; was it cut off?")
    _refuse_circles(found)
    return found


def _obo(path: Path) -> Ontology:
    names: dict[str, str] = {}
    parents: dict[str, frozenset[str]] = {}
    for number, term in _stanzas(path):
        if term.get("is_obsolete") == ["true"]:
            continue
        if len(term.get("id", [])) != 1:
            raise BadInput(f"ontology {path}: the [Term] in line {number:,} has no id, or several; correct it.")
        name = term["id"][0]
        names[name] = term.get("name", [name])[0]
        parents[name] = parents.get(name, frozenset()) | frozenset(term.get("is_a", []))
    return Ontology(path, names, parents)


def _stanzas(path: Path) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """Every [Term]: the number of its first line, and the values of each tag of `_TAGS`."""
    first = 0
    term: dict[str, list[str]] | None = None
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if line.startswith("["):
                if term is not None:
                    yield first, term
                first, term = number, {} if line == "[Term]" else None
            elif term is not None:
                tag, _, value = line.partition(":")
                if tag in _TAGS:
                    term.setdefault(tag, []).append(_value(value))
    if term is not None:
        yield first, term


def _value(text: str) -> str:
    """An OBO value without comment and qualifiers; `\\n` and the like, which no id or name needs, stay letters."""
    match = _VALUE.match(text)
    return re.sub(r"\\(.)", r"\1", match[0] if match else "").strip()


def _tsv(path: Path) -> Ontology:
    names: dict[str, str] = {}
    parents: dict[str, frozenset[str]] = {}
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            words = [word.strip() for word in line.split("\t")]
            if words == [""] or line.startswith("#") or (number == 1 and words == ["child", "parent"]):
                continue
            if len(words) != 2 or not all(words):
                raise BadInput(f"ontology {path}, line {number:,}: needs child and parent with a tab between them.")
            child, parent = words
            names |= {child: child, parent: parent}
            parents[child] = parents.get(child, frozenset()) | {parent}
    return Ontology(path, names, parents)


def _refuse_circles(ontology: Ontology) -> None:
    try:
        TopologicalSorter(ontology.parents).prepare()
    except CycleError as error:
        circle = listed(reversed(error.args[1]))
        raise BadInput(f"ontology {ontology.path}: a term is a kind of itself ({circle}); take one line out.") from None
