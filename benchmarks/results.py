"""The file of results: written after each case, so that a broken run loses nothing."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.processes import ROOT
from benchmarks.summary import summarise


def check_counts(parser: argparse.ArgumentParser, given: argparse.Namespace, *names: str) -> None:
    """End with an error of the command line unless some of its numbers are at least 1.

    Args:
        parser: the command line.
        given: what was given.
        *names: which of it.
    """
    for name in names:
        if getattr(given, name) < 1:
            flag = name.replace("_", "-")
            parser.error(f"--{flag} must be at least 1. Received: {getattr(given, name)}")


UNITS = {"memory": "MB"}  # all else is in milliseconds


@dataclass
class Record:
    """What was measured of one case.

    Args:
        case: the case.
        rounds: contender -> its figure in each round.
        extra: contender -> other things known of it.
        differences: contender -> the largest relative difference of its results from ours.
        notes: what went wrong.
    """

    case: Case
    rounds: dict[str, list[float]] = field(default_factory=dict)
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """This record as JSON can hold it, with the summary of each contender."""
        return {
            **self.case.to_dict(),
            "unit": UNITS.get(self.case.measure, "ms"),
            "contenders": {
                name: {
                    **{key: round(value, 4) for key, value in summarise(rounds).items()},
                    "rounds": [round(value, 4) for value in rounds],
                    **self.extra.get(name, {}),
                }
                for name, rounds in self.rounds.items()
                if rounds
            },
            "differences": self.differences,
            "notes": self.notes,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """What `to_dict` made."""
        known = {"median", "minimum", "iqr", "rounds"}
        contenders = values["contenders"]
        return cls(
            Case.from_dict(values),
            {name: entry["rounds"] for name, entry in contenders.items()},
            {
                name: extra
                for name, entry in contenders.items()
                if (extra := {key: entry[key] for key in entry if key not in known})
            },
            values["differences"],
            values["notes"],
        )


@dataclass
class Results:
    """All of a run: where, with what and how it was measured, and the records."""

    machine: dict[str, Any]
    versions: dict[str, str]
    settings: dict[str, Any]
    command: str
    started: str
    notes: list[str] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Remember something that a reader of the results must know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def save(self, path: Path) -> None:
        """Write all to a file, which is at no time half written."""
        values = {
            **{name: value for name, value in vars(self).items() if name != "records"},
            "records": {key: record.to_dict() for key, record in self.records.items()},
        }
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote."""
        values = json.loads(path.read_text("utf-8"))
        values["records"] = {
            key: Record.from_dict(record) for key, record in values["records"].items()
        }
        return cls(**values)

    def resume(self, earlier: Results) -> None:
        """Take over the records of an earlier run.

        Raises:
            ValueError: it was another machine, version, setting or state of the code, so that its
                figures and new ones do not belong into one table.
        """
        for name in ("machine", "versions", "settings"):
            before, now = getattr(earlier, name), getattr(self, name)
            changed = [key for key in now if key in before and before[key] != now[key]]
            if changed:
                raise ValueError(
                    f"Cannot resume: {name} differ in "
                    + ", ".join(f"{key} ({before[key]}, now {now[key]})" for key in changed)
                    + ". Start afresh without --resume."
                )
        self.started = earlier.started
        self.notes = list(earlier.notes)
        self.records = dict(earlier.records)


def today() -> str:
    """The date and time, to the minute."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine() -> dict[str, Any]:
    """The computer, as far as it matters for speed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def code_digest() -> str:
    """A short digest of the code that is measured and of that which measures."""
    digest = hashlib.sha256()
    for folder in ("kerasrnn/cells", "kerasrnn/layers", "kerasrnn/recurrence", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
