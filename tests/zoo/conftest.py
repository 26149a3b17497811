"""A tiny task that a tagger of a few weights learns in a second or two."""

import itertools

import pytest

from kerasrnn.data import TaggedSentence
from kerasrnn.zoo import SequenceTagger

NAMES = ["Ada", "Bo", "Cy", "Dee"]
PLACES = ["Rome", "Oslo", "New York", "Lima"]
SMALL = {
    "units": 8,
    "word_dimension": 8,
    "character_dimension": 4,
    "character_units": 4,
    "dropout": 0.0,
}


def sentence(text: str, label: str | None = None) -> TaggedSentence:
    """`Ada|PER lives in New York|LOC` as a sentence; neighbours of one label are one entity."""
    tokens, tags = [], []
    previous = ""
    for word in text.split():
        token, _, kind = word.partition("|")
        tokens.append(token)
        tags.append(f"{'I' if kind == previous else 'B'}-{kind}" if kind else "O")
        previous = kind
    return TaggedSentence(tuple(tokens), tuple(tags), label)


def toy_sentences() -> list[TaggedSentence]:
    sentences = []
    for name, place in itertools.product(NAMES, PLACES):
        where = " ".join(f"{word}|LOC" for word in place.split())
        sentences.append(sentence(f"{name}|PER lives in {where} .", "fact"))
        sentences.append(sentence(f"Where is {name}|PER ?", "question"))
        sentences.append(sentence(f"Is {where} far ?", "question"))
    return sentences


@pytest.fixture(scope="session")
def toy() -> list[TaggedSentence]:
    return toy_sentences()


@pytest.fixture
def small(toy):
    """Makes an untrained tagger of few weights; arguments replace the small ones."""

    def make(**arguments) -> SequenceTagger:
        return SequenceTagger.from_sentences(toy, **{**SMALL, **arguments})

    return make


@pytest.fixture(scope="session")
def trained(toy) -> SequenceTagger:
    """A tagger with labels that knows the toy sentences by heart."""
    import keras

    keras.utils.set_random_seed(3)
    tagger = SequenceTagger.from_sentences(toy, **SMALL)
    tagger.compile(keras.optimizers.Adam(0.02))
    tagger.fit(toy, epochs=15, batch_size=8, seed=1, verbose=0)
    return tagger
