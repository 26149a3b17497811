"""A sentence whose last word depends on one far away: "I grew up in France … I speak French"."""

from __future__ import annotations

import functools
import random
import re
from dataclasses import dataclass

SPLITS = ("train", "validation", "test")

# How many clauses stand between what is asked and what tells it: those of training, and further
# ones only to be measured, since a model may have learned no more than the distances it has seen.
TRAINED_CLAUSES = tuple(range(7))
MEASURED_CLAUSES = tuple(range(13))

_SENTENCES = {"train": 6000, "validation": 350, "test": 1300}

# Each is drawn on its own: nothing in a filler tells of the country or the language.
_LINKS = (", where", ", and there", ", and later", ", but then", ", and for a while")
_PEOPLE = ("I", "my brother", "my aunt", "an old friend", "my wife", "a neighbour")
_DEEDS = (
    "worked as a baker",
    "studied the stars",
    "kept two small dogs",
    "learned to sail",
    "painted old houses",
    "played in a band",
    "sold flowers",
    "drove a night bus",
    "wrote short letters",
    "repaired clocks",
)
_PLACES = (
    "near the harbour",
    "by the river",
    "in a small town",
    "behind the station",
    "on a quiet street",
    "at the edge of a forest",
)
_TIMES = ("for two years", "every summer", "until last spring", "in the evenings", "for a month")

# English names of territories that take an article.
_WITH_ARTICLE = re.compile(
    r"United .*|.*(Islands|Republic|Territories|Territory)|Bahamas|Comoros|Gambia|Maldives|"
    r"Netherlands|Philippines|Seychelles"
)


@dataclass(frozen=True)
class GrewUpIn:
    """A sentence, and what its last word depends on.

    Attributes:
        prompt: the sentence up to the language, without the space before it.
        language: the word that follows.
        country: where the speaker grew up; its language is asked for.
        clauses: how many clauses stand in between.
    """

    prompt: str
    language: str
    country: str
    clauses: int

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.prompt} {self.language}."

    @property
    def distance(self) -> int:
        """How many words and commas lie between the country's last word and the language."""
        between = self.prompt[self.prompt.index(self.country) + len(self.country) :]
        return len(re.findall(r"[\w’'.-]+|,", between))


def parse_grew_up_in(split: str = "train") -> list[GrewUpIn]:
    """Sentences such as "I grew up in France and moved to the United States, therefore I speak
    French.", with a filler of growing length before "therefore".

    The countries and languages are those of the Unicode Common Locale Data Repository (CLDR), which
    Babel carries: the territories with one official language, which has one word for a name. Each
    language is as likely as any other, and the second country has another language: who only reads
    the last country, or guesses the most frequent language, is nearly always wrong.

    Args:
        split: `train`, 6,000 sentences with 0 to 6 clauses of filler; `validation`, 350 of that
            kind; or `test`, 1,300 with 0 to 12. No sentence is in two splits.

    Returns:
        The sentences, the same at each call. They depend on the version of CLDR.

    Raises:
        ValueError: there is no such split.
        ImportError: Babel is not installed.

    Example:

    >>> from kerasrnn.data import parse_grew_up_in
    >>> row = parse_grew_up_in("test")[0]
    >>> row.text.startswith(f"I grew up in {row.country} and moved to ")
    True
    """
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")
    return list(_all_splits()[split])


@functools.lru_cache(maxsize=1)
def _all_splits() -> dict[str, list[GrewUpIn]]:
    countries = speakers()
    languages = sorted(countries)
    chance = random.Random(20140603)
    seen: set[str] = set()
    found: dict[str, list[GrewUpIn]] = {}
    # The splits that are measured come first: they do not depend on how large the other is.
    for split in ("test", "validation", "train"):
        clauses = MEASURED_CLAUSES if split == "test" else TRAINED_CLAUSES
        rows: list[GrewUpIn] = []
        while len(rows) < _SENTENCES[split]:
            home, away = chance.sample(languages, 2)
            row = _sentence(
                chance,
                chance.choice(countries[home]),
                chance.choice(countries[away]),
                home,
                clauses[len(rows) % len(clauses)],
            )
            if row.text not in seen:
                seen.add(row.text)
                rows.append(row)
        found[split] = rows
    return found


def _sentence(
    chance: random.Random, country: str, other: str, language: str, clauses: int
) -> GrewUpIn:
    filler = "".join(
        f"{chance.choice(_LINKS)} {chance.choice(_PEOPLE)} {chance.choice(_DEEDS)} "
        f"{chance.choice(_PLACES)} {chance.choice(_TIMES)}"
        for _ in range(clauses)
    )
    prompt = (
        f"I grew up in {_named(country)} and moved to {_named(other)}{filler}, therefore I speak"
    )
    return GrewUpIn(prompt, language, country, clauses)


def _named(country: str) -> str:
    return f"the {country}" if _WITH_ARTICLE.fullmatch(country) else country


def speakers() -> dict[str, list[str]]:
    """The territories with one official language, by that language, in English.

    Returns:
        Lists of names in alphabetical order.

    Raises:
        ImportError: Babel is not installed.

    Example:

    >>> from kerasrnn.data.grew_up_in import speakers
    >>> "France" in speakers()["French"]
    True
    """
    try:
        from babel import Locale
        from babel.languages import get_official_languages
    except ImportError as error:
        raise ImportError(
            "builtin:grew_up_in takes countries and languages from the package Babel: "
            "pip install 'kerasrnn[training]'"
        ) from error
    english = Locale("en")
    found: dict[str, list[str]] = {}
    for code, name in english.territories.items():
        official = get_official_languages(code, de_facto=True) if len(code) == 2 else ()
        if len(official) != 1 or not re.fullmatch(r"\w[\w’-]*( [\w’-]+)*", name):
            continue
        language = english.languages.get(official[0].split("_")[0])
        # A country that has its language in its name needs no knowledge.
        if language and language.isalpha() and language not in name.split():
            found.setdefault(language, []).append(name)
    return {language: sorted(names) for language, names in sorted(found.items())}
