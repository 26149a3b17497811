"""What needs training: named entities, transfer, and a word that depends on one far away."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasrnn.lens.lecture.drawing import DASHES, LIGHT, finish, panels
from kerasrnn.lens.lecture.page import item
from kerasrnn.themes import LABEL_SIZE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@item(
    "Named entities, with one direction and with two",
    code=(
        "kerasrnn/zoo/sequence_tagger.py::SequenceTagger",
        "kerasrnn/networks/tagger.py::TaggerNetwork",
        "kerasrnn/data/corpus_reader.py::parse_corpus",
    ),
    tests=(
        "tests/zoo/test_both_directions.py::test_two_directions_know_what_one_must_guess",
        "tests/networks/test_tagger.py::test_one_direction_does_not_see_what_comes_after",
    ),
    within=12,
    slow=True,
)
def named_entities() -> Any:
    """ "He said, Tesla is …": a unit, a company or an inventor? Only what follows can tell. The
    embedded corpus marks such names, and each beginning has each of its readings equally often, so
    that a tagger which reads from the left is right for at most half of them, whatever it has
    learned.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from kerasrnn.data import parse_corpus
    from kerasrnn.zoo import SequenceTagger

    train, test = parse_corpus("train"), parse_corpus("test")
    marked = [sentence for sentence in test if "ambiguous" in sentence.metadata]
    asked = [s for s in marked if " ".join(s.tokens).startswith("He said , Tesla")]

    def place(sentence):  # of the name's first word
        return sentence.tokens.index(sentence.metadata["ambiguous"].split()[0])

    shares, chances, EPOCHS = {}, {}, 20
    for name, bidirectional in {"one direction": False, "two directions": True}.items():
        keras.utils.set_random_seed(1)
        tagger = SequenceTagger.from_sentences(
            train,
            bidirectional=bidirectional,
            crf=False,
            units=50,
            word_dimension=50,
            spelling="none",
            capitals=True,
            word_dropout=0.2,
        )
        rate = keras.optimizers.schedules.CosineDecay(0.006, EPOCHS * len(train) // 16)
        tagger.compile(keras.optimizers.Adam(rate, clipnorm=5.0))
        tagger.fit(train, epochs=EPOCHS, batch_size=16, seed=1, verbose=0)

        answers = tagger.predict_tags([list(s.tokens) for s in marked])
        pairs = zip(answers, marked, strict=True)
        shares[name] = np.mean([tags[place(s)] == s.tags[place(s)] for tags, s in pairs])
        print(f"{name}: {shares[name]:.0%} of {len(marked)} names right")
        for s in asked:
            scores = tagger(tagger.features(tf.constant([s.tokens])))["tags"][0, place(s)]
            each = tf.nn.softmax(scores).numpy()
            probability = dict(zip(tagger.inventory.tags, each, strict=True))
            chances[name, " ".join(s.tokens[4:])] = probability
            best = tagger.inventory.tags[int(np.argmax(each))]
            print(f"    {' '.join(s.tokens):58} “{best}”, right: {s.tags[place(s)]}")
    assert shares["one direction"] <= 0.5 < 0.75 <= shares["two directions"]
    return chances


@named_entities.picture(
    "How probable each tag of “Tesla” is. With one direction the three are the same: the tagger "
    "has read the same words."
)
def _(chances: Any) -> Figure:
    figure, [axes] = panels(1, 2, inches=(7.4, 3.4), sharey=True)
    endings = list(dict.fromkeys(ending for _, ending in chances))
    tags = ("B-MISC", "B-ORG", "B-PER")
    for ax, name in zip(axes, dict.fromkeys(name for name, _ in chances), strict=True):
        for number, tag in enumerate(tags):
            heights = [chances[name, ending][tag] for ending in endings]
            places = np.arange(len(endings)) + 0.27 * (number - 1)
            ax.bar(places, heights, 0.25, color=LIGHT.groups[number], label=tag)
        ax.set_xticks(range(len(endings)), [_wrapped(ending) for ending in endings])
        ax.set_ylim(0, 1.18)
        finish(ax, title=name)
    axes[0].set_ylabel("probability")
    axes[0].legend(
        fontsize=LABEL_SIZE, frameon=False, loc="upper center", ncols=3, labelcolor=LIGHT.text
    )
    return figure


def _wrapped(text: str) -> str:
    return textwrap.fill(f"… {text.removesuffix(' .')}", 16)


@item(
    "Transfer learning",
    code=(
        "kerasrnn/zoo/task.py::Task.new_head",
        "kerasrnn/zoo/task.py::Task.freeze",
        "kerasrnn/zoo/sequence_tagger.py::SequenceTagger.set_word_vectors",
    ),
    tests=(
        "tests/zoo/test_transfer.py::test_a_new_head_stands_on_the_same_body",
        "tests/zoo/test_transfer.py::test_what_is_frozen_does_not_move",
    ),
    within=12,
    slow=True,
)
def transfer() -> Any:
    """Few labelled sentences are enough for one who already knows the language. Word embeddings
    that were learned from much text are one such start; a network that was trained for another
    task is a better one: its body is kept, and gets a new head for the new labels. At first the
    head learns alone, then all of it. Here taggers learn persons, places, organisations and other
    names from 25, 50 and 100 sentences; the body is that of `ner_en_wnut17`, which was trained on
    tweets, for other types of names.
    """
    import keras
    import numpy as np

    from kerasrnn.data import parse_corpus
    from kerasrnn.embeddings import EmbeddingMatrix
    from kerasrnn.zoo import SequenceTagger

    train, test = (
        [s for s in parse_corpus(split) if "ambiguous" not in s.metadata]
        for split in ("train", "test")
    )
    order = np.random.default_rng(1).permutation(len(train))
    E = EmbeddingMatrix.load("words_en")

    def fit(tagger, sentences, epochs, rate):
        tagger.compile(keras.optimizers.Adam(rate, clipnorm=5.0))
        tagger.fit(sentences, epochs=epochs, batch_size=8, seed=1, verbose=0)

    def from_nothing(few):
        tagger = SequenceTagger.from_sentences(few, crf=False, units=64, word_dimension=50)
        fit(tagger, few, 30, 0.005)
        return tagger

    def from_embeddings(few):
        tagger = SequenceTagger.from_sentences(
            few,
            extra_words=E.terms,
            crf=False,
            units=64,
            word_dimension=50,
            spelling="none",
            capitals=True,
        )
        words = ["", "", *tagger.vocabulary.terms]  # ids 0 and 1: padding and unknown
        found = np.array([word in E for word in words])
        vectors = np.array([E[word] if word in E else np.zeros(50) for word in words])
        tagger.set_word_vectors(vectors, found)
        tagger.freeze("words")
        fit(tagger, few, 30, 0.005)
        return tagger

    def from_another_task(few):
        preset = SequenceTagger.from_preset("ner_en_wnut17")
        tagger = preset.new_head(**SequenceTagger.head_of(train))
        tagger.freeze("body")
        fit(tagger, few, 8, 0.01)
        tagger.unfreeze()
        fit(tagger, few, 6, 0.001)
        return tagger

    sizes = (25, 50, 100)
    figures: dict[str, list[float]] = {}
    print("labelled sentences   ", *(f"{size:5}" for size in sizes))
    for start in (from_nothing, from_embeddings, from_another_task):
        figures[start.__name__] = row = []
        for size in sizes:
            keras.utils.set_random_seed(1)
            tagger = start([train[i] for i in order[:size]])
            row.append(tagger.evaluate(test, verbose=0)["f1"])
        print(f"{start.__name__:18} F1:", *(f"{f1:5.0%}" for f1 in row))
    assert all(figures["from_nothing"][k] < figures["from_another_task"][k] for k in range(3))
    return sizes, figures


@transfer.picture("F1 of whole entities on the test sentences, by how many were labelled.")
def _(values: Any) -> Figure:
    sizes, figures = values
    figure, [[ax]] = panels(inches=(5.8, 3.2))
    names = ("from nothing", "with embeddings of words", "with the body of another task")
    for number, (name, row) in enumerate(zip(names, figures.values(), strict=True)):
        colour, marker = LIGHT.groups[number], "os^"[number]
        ax.plot(sizes, row, marker=marker, ls=DASHES[number], c=colour, label=name, lw=1.8)
    ax.set_xscale("log")
    ax.set_xticks(sizes, map(str, sizes))
    ax.minorticks_off()
    ax.set_ylim(0, 1)
    finish(ax, x="labelled sentences", y="F1", legend={"loc": "upper left"})
    return figure


@item(
    "I grew up in France … therefore I speak ___",
    code=(
        "kerasrnn/data/grew_up_in.py::parse_grew_up_in",
        "kerasrnn/zoo/text_classifier.py::TextClassifier",
        "kerasrnn/lens/flow.py::gradient_flow",
    ),
    tests=("tests/lens/test_lecture.py::test_what_is_trained_comes_out_as_on_the_page",),
    within=25,
    slow=True,
    needs=("babel",),
)
def grew_up_in() -> Any:
    """The last word depends on one near the beginning, with more and more in between. There are 49
    languages, and a second country that leads astray. Each cell learns from sentences with 0 to 8
    clauses in between, and is asked with up to 20. The gradient says why one fails: its scores
    hardly depend any longer on what it had in mind when it read where the speaker grew up.
    """
    import keras
    import numpy as np

    from kerasrnn.data import parse_grew_up_in
    from kerasrnn.lens import gradient_flow
    from kerasrnn.zoo import TextClassifier

    train, test = parse_grew_up_in("train"), parse_grew_up_in("test")
    prompts, languages = [row.prompt for row in train], [row.language for row in train]
    longest = [row for row in test if row.clauses == 20]
    france = next(row for row in longest if row.country == "France")
    clauses = sorted({row.clauses for row in test})
    words = france.prompt.split()
    print(" ".join(words[:9]), "…", " ".join(words[-6:]), "___")
    shares, flows = {}, {}
    for cell in ("simple", "simplified_gru", "gru", "lstm"):
        keras.utils.set_random_seed(1)
        model = TextClassifier.from_texts(
            prompts,
            languages,
            cell=cell,
            units=64,
            token_dimension=32,
            pooling="last",
            bidirectional=False,
            dropout=0.0,
        )
        model.compile(keras.optimizers.Adam(0.003, clipnorm=1.0))
        model.fit(prompts, languages, epochs=12, batch_size=32, seed=1, verbose=0)

        answers = model.predict([row.prompt for row in test])
        right = np.array([a.label == row.language for a, row in zip(answers, test, strict=True)])
        share = {n: np.mean(right[[row.clauses == n for row in test]]) for n in clauses}
        [flows[cell]] = gradient_flow(model, [row.prompt for row in longest[:32]]).memories
        shares[cell] = list(share.values())
        print(
            f"{cell:14} 0 clauses: {share[0]:4.0%}, 2: {share[2]:4.0%}, 20: {share[20]:4.0%};",
            f"horizon {flows[cell].horizon}; “{answers[test.index(france)].label}”",
        )
    assert shares["simple"][-1] < 0.5 < min(shares[cell][-1] for cell in ("gru", "lstm"))
    return clauses, shares, flows


@grew_up_in.picture(
    "Left: the share of languages named rightly, by the number of clauses in between. Right: how "
    "much the scores depend on the memory of earlier words, in sentences with 20 clauses, divided "
    "by the value at the last word; the country stands some 90 words back."
)
def _(values: Any) -> Figure:
    from kerasrnn.lens.pictures import plot_flows

    clauses, shares, flows = values
    figure, [[left, right]] = panels(1, 2, inches=(8.0, 3.6), width_ratios=[2, 3])
    for number, (cell, row) in enumerate(shares.items()):
        left.plot(clauses, row, label=cell, c=LIGHT.groups[number], ls=DASHES[number], lw=1.8)
    left.set_ylim(-0.03, 1.08)
    finish(left, x="clauses in between", y="share right")
    plot_flows(flows, ax=right, relative=True, of="output", theme="light")
    left.legend(fontsize=LABEL_SIZE, frameon=False, loc="center right", labelcolor=LIGHT.text)
    return figure
