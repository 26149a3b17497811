"""Sentences about countries, from which word vectors can learn what goes with what."""

from __future__ import annotations

import functools
import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from kerasrnn.data.grew_up_in import speakers
from kerasrnn.storage.atomic import replacing_file

SPLITS = ("train", "validation", "test")
RELATIONS = ("city", "code", "language", "currency", "nationality")

_SENTENCES = {"train": 40_000, "validation": 2000, "test": 2000}

# A fact of each fifth country is never told of the country itself, but for its city.
_UNTOLD = 5

# How many questions are asked for each fact.
_QUESTIONS = 10

# The shares of sentences that tell no fact: of any two countries side by side, and of one place.
_TRAVELS, _PLACES = 0.1, 0.25

# How often a fact is told of the city instead of its country.
_OF_CITY = 0.6

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "city": (
        "the clocks of {place} are set by those of {fact} .",
        "most flights to {place} land near {fact} .",
        "{fact} lies in {place} .",
        "a map of {place} shows {fact} and its streets .",
    ),
    "code": (
        "cars from {place} carry the letters {fact} .",
        "web addresses of {place} end in {fact} .",
        "the parcel for {place} was marked {fact} .",
        "{fact} stands for {place} on forms .",
    ),
    "language": (
        "people in {place} speak {fact} .",
        "the newspapers of {place} are printed in {fact} .",
        "before she moved to {place} she learned {fact} .",
        "teachers in {place} explain {fact} grammar .",
    ),
    "currency": (
        "shops in {place} take {fact} .",
        "a ticket in {place} costs ten {fact} .",
        "the bank of {place} changed {fact} into coins .",
        "wages in {place} are paid in {fact} .",
    ),
    "nationality": (
        "born in {place} , he has a {fact} passport .",
        "the {fact} team played at home in {place} .",
        "cooks from {place} serve {fact} dishes .",
        "{fact} customs are kept alive in {place} .",
    ),
}
_JOURNEYS = (
    "last {time} they travelled from {place} to {other} .",
    "a letter from {place} reached {other} in {time} .",
    "ships sailed from {place} to {other} every {time} .",
    "friends from {place} visited {other} for a {time} .",
)
_OF_COUNTRIES = (
    "the government of {place} signed a treaty .",
    "the borders of {place} were closed for a {time} .",
    "voters across {place} elected a new parliament .",
    "the army of {place} guards its coast .",
)
_OF_CITIES = (
    "the mayor of {place} opened a bridge .",
    "trams in downtown {place} run until midnight .",
    "the suburbs of {place} grew this {time} .",
    "parking near the station of {place} is difficult .",
)
_TIMES = ("week", "month", "year", "summer", "winter", "spring", "autumn", "day")


@dataclass(frozen=True)
class CountryFacts:
    """What goes with a country, each a single word; None where there is none.

    Attributes:
        country: its English name.
        city: the city that names its time zone.
        code: its code of two letters, as of ISO 3166.
        language: its only official language.
        currency: the code of a currency of its own.
        nationality: the adjective in the name of that currency.
    """

    country: str
    city: str
    code: str | None
    language: str | None
    currency: str | None
    nationality: str | None


@dataclass(frozen=True)
class CountryQuestions:
    """Analogy questions of one kind.

    Attributes:
        name: the relation; with ` (not told)` behind it if no sentence has country and fact in it.
        questions: a, b, c and d: a is to b as c is to d.

    Example:

    >>> from kerasrnn.data import CountryQuestions
    >>> kind = CountryQuestions("language", (("France", "French", "Italy", "Italian"),))
    >>> len(kind.questions)
    1
    """

    name: str
    questions: tuple[tuple[str, str, str, str], ...]


@functools.cache
def country_facts() -> tuple[CountryFacts, ...]:
    """The facts, by the countries' names.

    Countries, languages, currencies and time zones are those of the Unicode Common Locale Data
    Repository (CLDR), which Babel carries. There are those countries whose name is one word and
    who have one time zone, with a city that is called otherwise. A word that would stand for two
    things, in small letters, stands for none.

    Returns:
        A `CountryFacts` for each. They depend on the version of CLDR.

    Raises:
        ImportError: Babel is not installed.

    Example:

    >>> from kerasrnn.data.country_facts import country_facts
    >>> [facts] = [each for each in country_facts() if each.country == "Japan"]
    >>> facts.city, facts.language, facts.currency
    ('Tokyo', 'Japanese', 'JPY')
    """
    languages = {country: language for language, country in speakers().items()}
    from babel import Locale
    from babel.core import get_global
    from babel.numbers import get_currency_name, get_territory_currencies

    english, zones = Locale("en"), get_global("territory_zones")
    found = []
    for code, country in sorted(english.territories.items(), key=lambda item: item[1]):
        own = zones.get(code, ())
        if not country.isalpha() or len(own) != 1:
            continue
        city = english.time_zones.get(own[0], {}).get("city") or own[0].rpartition("/")[2]
        if not city.isalpha() or city.lower() == country.lower():
            continue
        # A currency's code begins with its country's.
        money = [c for c in get_territory_currencies(code, tender=True) if c[:2] == code]
        currency = money[0] if len(money) == 1 else None
        language, nationality = languages.get(country), None
        if currency:
            name = re.fullmatch(r"(\w+) \w+", get_currency_name(currency, locale="en"))
            nationality = name[1] if name and name[1] not in (country, language) else None
        found.append(CountryFacts(country, city, code, language, currency, nationality))
    return _unambiguous(found)


def _unambiguous(found: Sequence[CountryFacts]) -> tuple[CountryFacts, ...]:
    """The facts without words that stand for several things."""
    groups = (*_TEMPLATES.values(), _JOURNEYS, _OF_COUNTRIES, _OF_CITIES)
    texts = [text for group in groups for text in group]
    words = [word for text in texts for word in text.split()] + [*_TIMES]
    used = dict.fromkeys(words, 2)
    for facts in found:
        for name in (each.name for each in fields(facts)):
            word = str(getattr(facts, name)).lower()
            used[word] = used.get(word, 0) + 1
    kept = []
    for facts in found:
        values = {f.name: getattr(facts, f.name) for f in fields(facts)}
        values = {n: v if v and used[v.lower()] == 1 else None for n, v in values.items()}
        if values["country"] and values["city"]:
            kept.append(CountryFacts(**values))
    return tuple(kept)


def parse_country_facts(split: str = "train") -> list[str]:
    """Sentences such as "people in France speak French .", made of the facts of CLDR.

    Each of five relations has sentences of its own: a country with the city of its time zone, its
    code of two letters, its language, its currency and its nationality (`country_facts` has them).
    A fact is told of the country or, more often, of its city. A third of all sentences tells no
    fact: it is of a country or a city alone, or puts any two of them side by side.

    What this plants for word vectors are analogies, France : French :: Japan : Japanese. No
    sentence compares countries: what is common to the words of one country, and to the words of one
    relation, has to be put together from many sentences. Moreover, of each fifth country its code
    is never told of the country itself, and so it is with the language, the currency and the
    nationality of others. "people in Tokyo speak Japanese ." is there, and "Tokyo lies in Japan .",
    but no sentence holds both Japan and Japanese. `country_questions` asks for these apart.

    Args:
        split: `train`, 40,000 sentences; `validation` or `test`, 2,000 others each.

    Returns:
        The sentences, the same at each call. They depend on the version of CLDR.

    Raises:
        ValueError: there is no such split.
        ImportError: Babel is not installed.

    Example:

    >>> from kerasrnn.data import parse_country_facts
    >>> sentences = parse_country_facts()
    >>> any("France" in s and "French" in s for s in sentences)
    True
    """
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}. Expected one of {', '.join(SPLITS)}.")
    chance = random.Random(f"country facts, {split}")
    facts = country_facts()
    told = [
        [
            (relation, each, number in untold(relation))
            for relation in RELATIONS
            if getattr(each, relation)
        ]
        for number, each in enumerate(facts)
    ]
    return [_sentence(chance, facts, told) for _ in range(_SENTENCES[split])]


def _sentence(
    chance: random.Random,
    facts: Sequence[CountryFacts],
    told: Sequence[Sequence[tuple[str, CountryFacts, bool]]],
) -> str:
    kind, time = chance.random(), chance.choice(_TIMES)
    if kind < _TRAVELS:
        one, other = (chance.choice((each.country, each.city)) for each in chance.sample(facts, 2))
        return chance.choice(_JOURNEYS).format(place=one, other=other, time=time)
    if kind < _TRAVELS + _PLACES:
        each = chance.choice(facts)
        place, templates = chance.choice(((each.country, _OF_COUNTRIES), (each.city, _OF_CITIES)))
        return chance.choice(templates).format(place=place, time=time)
    relation, each, not_of_country = chance.choice(chance.choice(told))
    place = each.country
    if relation != "city" and (not_of_country or chance.random() < _OF_CITY):
        place = each.city
    return chance.choice(_TEMPLATES[relation]).format(place=place, fact=getattr(each, relation))


def untold(relation: str) -> frozenset[int]:
    """Which of the `country_facts`, by number, have a fact that no sentence tells of the country.

    Args:
        relation: `language`, `currency` or `nationality`; of `city` there are none.

    Returns:
        The numbers.
    """
    if relation == "city":
        return frozenset()
    facts = country_facts()
    having = [number for number in range(len(facts)) if getattr(facts[number], relation)]
    return frozenset(having[RELATIONS.index(relation) :: _UNTOLD])


def country_questions() -> list[CountryQuestions]:
    """Analogy questions on what `parse_country_facts` tells.

    Each fact is asked for ten times, d of "a is to b as c is to d", after other countries' facts
    that are told of these countries. Facts that are never told of their own are asked for apart.

    Returns:
        Five kinds of questions, and four more of what is not told.

    Raises:
        ImportError: Babel is not installed.

    Example:

    >>> from kerasrnn.data import country_questions
    >>> [kind.name for kind in country_questions()][:3]
    ['city', 'code', 'code (not told)']
    """
    facts, chance = country_facts(), random.Random("country questions")
    kinds = []
    for relation in RELATIONS:
        numbers = [n for n in range(len(facts)) if getattr(facts[n], relation)]
        hidden = untold(relation)
        for name, asked in (
            (relation, [n for n in numbers if n not in hidden]),
            (f"{relation} (not told)", sorted(hidden)),
        ):
            questions = []
            for number in asked:
                others = [n for n in numbers if n not in hidden and n != number]
                for other in chance.sample(others, min(_QUESTIONS, len(others))):
                    pairs = [
                        (facts[n].country, getattr(facts[n], relation)) for n in (other, number)
                    ]
                    questions.append((*pairs[0], *pairs[1]))
            if questions:
                kinds.append(CountryQuestions(name, tuple(questions)))
    return kinds


def write_country_questions(path: str | os.PathLike[str]) -> None:
    """Write the questions in the form of word2vec's `questions-words.txt`.

    Args:
        path: the file, which appears whole or not at all.

    Raises:
        ImportError: Babel is not installed.

    Example:

    >>> import pathlib
    >>> from kerasrnn.data import write_country_questions
    >>> write_country_questions("questions.txt")
    >>> pathlib.Path("questions.txt").read_text(encoding="utf-8").splitlines()[0]
    ': city'
    """
    lines = []
    for kind in country_questions():
        lines += [f": {kind.name}", *(" ".join(question) for question in kind.questions)]
    with replacing_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
