"""The report of a case in lines a person reads: from `type.json` of ours or of PASTA-Gen-30K."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from panlesion.ct.organs import V1_NAMES


def report_lines(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, value): our own reports condensed to what a radiologist would say, others field by field in their own order.

    Reads both spellings of `type.json`: fields directly under the organ's label, and the long template inside a list.
    """
    lesions = _our_lesions(report)
    if len(lesions) == 1:
        return _lesion_lines(lesions[0])
    if lesions:
        words = ("; ".join(value[:1].lower() + value[1:] for _, value in _lesion_lines(lesion)) for lesion in lesions)
        return [(f"Lesion {number} of {len(lesions)}", text) for number, text in enumerate(words, 1)]
    return _foreign_lines(report)


def lesion_centres(report: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Voxel of the centre of each lesion, in the report's order; empty for reports that are not ours."""
    lesions = _our_lesions(report)
    centres = [lesion["centre_ijk"] for lesion in lesions if lesion.get("centre_ijk")]
    return [(int(i), int(j), int(k)) for i, j, k in centres] if len(centres) == len(lesions) else []


def _our_lesions(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = [entry for entry in report.values() if isinstance(entry, Mapping)]
    return [lesion for entry in entries for lesion in entry.get("lesions", [entry]) if _is_ours(lesion)]


def organ_name(label: str | int) -> str:
    """The structure's name in words, e.g. "Kidney left" for 3; empty for what is no v1 label."""
    name = V1_NAMES.get(int(label), "") if str(label).isdigit() else ""
    return _british(name).capitalize()


def _british(name: str) -> str:
    return name.replace("_", " ").replace("esophagus", "oesophagus")


def _is_ours(lesion: Any) -> bool:
    return isinstance(lesion, Mapping) and {"Shape", "Density", "diameter_mm", "mean_hu", "organ"} <= lesion.keys()


def _lesion_lines(lesion: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One lesion in our long template: every fact once, numbers beside the words they stand for."""
    lines = [
        ("Location", _location(_british(str(lesion["organ"])), str(lesion.get("location in organ", "")))),
        ("Size", f"{lesion['diameter_mm']:g} mm"),
        ("Shape", _joined(lesion["Shape"], lesion.get("shape"))),
        ("Density", f"{_joined(lesion['Density'], lesion.get('density'))}; mean {lesion['mean_hu']:.0f} HU"),
        ("Heterogeneity", str(lesion.get("Heterogeneity", ""))),
        ("Margin", _joined(lesion.get("Surface", ""), lesion.get("surface characteristics"))),
        ("Relation to neighbours", str(lesion.get("Invasion", ""))),
        ("Specific features", str(lesion.get("specific features", ""))),
    ]
    return [(field, value) for field, value in lines if value]


def _location(organ: str, seat: str) -> str:
    """Organ and seat with no word twice: "kidney left" and "left lower pole" become "kidney, left lower pole"."""
    if not seat:
        return organ
    said = set(seat.lower().split())
    rest = " ".join(word for word in organ.split() if word.lower() not in said and not word.isdigit())
    return ", ".join(filter(None, (rest, seat)))


def _joined(public: str, long: str | None) -> str:
    """The public loader's word, and what the long template adds to it; nothing said twice."""
    words = [public]
    for part in filter(None, (long or "").split(", ")):
        if _letters(public) in _letters(part):
            words[0] = part[:1].upper() + part[1:] if len(_letters(part)) > len(_letters(public)) else public
        elif _letters(part) not in _letters(public):
            words.append(part)
    return ", ".join(words)


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))


def _foreign_lines(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for label, entry in report.items():
        for found in _tables(entry):
            rows = [(_field(name), _value(name, value)) for name, value in found.items()]
            lines += [("Organ", organ_name(label))] if not lines and organ_name(label) else []
            lines += [(field, value) for field, value in rows if value and (field, value) not in lines]
    return lines


def _tables(entry: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping inside a report entry, outermost first."""
    if isinstance(entry, Mapping):
        plain = {name: value for name, value in entry.items() if not isinstance(value, Mapping)}
        if plain:
            yield plain
        for value in entry.values():
            if isinstance(value, Mapping):
                yield from _tables(value)
    elif isinstance(entry, list):
        for part in entry:
            yield from _tables(part)


def _field(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _value(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, (_value(name, part) for part in value)))
    if isinstance(value, float):
        return f"{value:g}"
    text = re.sub(r",(?=\S)", ", ", str(value).strip().strip(",").strip())
    if "location" in name.lower() and organ_name(text):
        return organ_name(text).lower()
    sizes = re.fullmatch(r"\[*\s*(\d+)\s+(\d+)\s+(\d+)\s*\]*\s*pixel", text)
    return f"{' × '.join(sizes.groups())} voxels" if sizes else text
