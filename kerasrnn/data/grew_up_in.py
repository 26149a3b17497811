"""A sentence whose last word depends on one far away: "I grew up in France … I speak French"."""

from __future__ import annotations

import functools
import random
import re
from dataclasses import dataclass

from kerasrnn.extras import require

SPLITS = ("train", "validation", "test")

# How many clauses stand between what is asked and what tells it. In training, short ones are
# frequent: they teach what is asked for. Some are only measured: a model may have learned no more
# than the distances it has seen.
TRAINED_CLAUSES = (0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 8)
MEASURED_CLAUSES = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20)

_SENTENCES = {"train": 6000, "validation": 360, "test": 1100}

# Each is drawn on its own: nothing in a filler tells of the country or the language.
_CLAUSES = (
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

# English names of territories that take an article.
_WITH_ARTICLE = re.compile("United .*|.* Islands|Maldives|Netherlands")


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
    """Sentences such as "I grew up in France and moved to the United States, worked as a baker,
    learned to sail, therefore I speak French.", with more and more in between.

    The countries and languages are those of the Unicode Common Locale Data Repository (CLDR), which
    Babel carries: for each language with one word for a name the country it most likely belongs to,
    if that is its only official language there. Each language is as likely as any other, and the
    second country has another one: who only reads the last country, or guesses the most frequent
    language, is nearly always wrong.

    Args:
        split: `train`, 6,000 sentences with 0 to 8 clauses in between, short ones more often;
            `validation`, 360 of that kind; or `test`, 100 each with 0, 1, 2, 3, 4, 6, 8, 10, 12,
            16 and 20. No sentence is in two splits.

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
            count = clauses[len(rows) % len(clauses)]
            row = _sentence(chance, countries[home], countries[away], home, count)
            if row.text not in seen:
                seen.add(row.text)
                rows.append(row)
        found[split] = rows
    return found


def _sentence(
    chance: random.Random, country: str, other: str, language: str, clauses: int
) -> GrewUpIn:
    filler = "".join(f", {chance.choice(_CLAUSES)}" for _ in range(clauses))
    prompt = (
        f"I grew up in {_named(country)} and moved to {_named(other)}{filler}, therefore I speak"
    )
    return GrewUpIn(prompt, language, country, clauses)


def _named(country: str) -> str:
    return f"the {country}" if _WITH_ARTICLE.fullmatch(country) else country


def speakers() -> dict[str, str]:
    """The country of each language: CLDR's likeliest, if the language is the only official one.

    Returns:
        English names of countries by English names of languages, in alphabetical order.

    Raises:
        ImportError: Babel is not installed.

    Example:

    >>> from kerasrnn.data.grew_up_in import speakers
    >>> speakers()["French"]
    'France'
    """
    require("babel", "training", "builtin:grew_up_in")
    from babel import Locale
    from babel.core import get_global
    from babel.languages import get_official_languages

    english, likely = Locale("en"), get_global("likely_subtags")
    found = {}
    for code, language in english.languages.items():
        territory = likely.get(code, "").rpartition("_")[2]
        official = get_official_languages(territory, de_facto=True) if territory else ()
        country = english.territories.get(territory, "")
        if (
            [one.split("_")[0] for one in official] == [code]
            and language.isalpha()
            # A country that has its language in its name needs no knowledge.
            and re.fullmatch(r"\w+( \w+)*", country)
            and language not in country.split()
        ):
            found[language] = country
    return dict(sorted(found.items()))
