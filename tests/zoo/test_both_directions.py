"""Names that only what comes after them can tell apart: one direction guesses, two know."""

import keras
import pytest

from kerasrnn.data import TaggedSentence, parse_corpus
from kerasrnn.zoo import SequenceTagger

EPOCHS, BATCH = 14, 16


def share_right(bidirectional: bool, train: list, marked: list) -> float:
    """The share of the marked names whose first word has the right tag."""
    keras.utils.set_random_seed(1)
    # A softmax: a field would carry something back from the words behind a name.
    tagger = SequenceTagger.from_sentences(
        train,
        bidirectional=bidirectional,
        crf=False,
        units=50,
        word_dimension=50,
        character_units=30,
        word_dropout=0.2,
    )
    steps = EPOCHS * -(-len(train) // BATCH)
    falling = keras.optimizers.schedules.CosineDecay(0.006, steps)
    tagger.compile(keras.optimizers.Adam(falling, clipnorm=5.0))
    tagger.fit(train, epochs=EPOCHS, batch_size=BATCH, seed=1, verbose=0)
    answers = tagger.predict_tags([list(sentence.tokens) for sentence in marked])
    pairs = [
        (tags[name_at(s)], s.tags[name_at(s)]) for s, tags in zip(marked, answers, strict=True)
    ]
    return sum(answer == right for answer, right in pairs) / len(pairs)


def name_at(sentence: TaggedSentence) -> int:
    name = sentence.metadata["ambiguous"].split()
    tokens = list(sentence.tokens)
    return next(i for i in range(len(tokens)) if tokens[i : i + len(name)] == name)


@pytest.mark.slow
def test_two_directions_know_what_one_must_guess():
    train = parse_corpus("train")
    marked = [s for s in parse_corpus("test") if "ambiguous" in s.metadata]
    assert len(marked) >= 50
    # Each beginning has each of its readings equally often: who sees no more is right for at most
    # half of them.
    one = share_right(False, train, marked)
    assert 0.2 <= one <= 0.5
    two = share_right(True, train, marked)
    assert two >= 0.8
