"""Texts and numbers in whatever form they come: taken by all tasks alike, or refused by name."""

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn import zoo
from kerasrnn.data import TaggedSentence
from kerasrnn.text.plain import plain_text, valid
from kerasrnn.zoo import Task
from tests.zoo.tiny_tasks import TASKS, tiny

OF_TEXT = ("SequenceTagger", "TextClassifier", "LanguageModel", "EncoderDecoder")


@pytest.fixture(scope="module", params=OF_TEXT)
def model(request):
    return tiny(request.param)[0]


@pytest.fixture(scope="module", params=["MusicModel", "MemoryModel"])
def of_numbers(request):
    return tiny(request.param)[0]


def test_python_and_tensorflow_replace_the_same(rng):
    """Bytes of chance, many of them beginnings of characters."""
    likely = np.frombuffer("€😀é\ufffe\x00ab".encode() + b"\xed\xa0\x80\xf5\xc0\xff", np.uint8)
    rows = [
        bytes(np.where(rng.random(8) < 0.7, rng.choice(likely, 8), rng.integers(0, 256, 8))[:size])
        for size in rng.integers(1, 9, 2000)
    ] + [bytes(rng.choice(likely, 6).tolist()) for _ in range(2000)]
    expected = [row.decode("utf-8", "replace").encode() for row in rows]
    assert valid(tf.constant(rows)).numpy().tolist() == expected
    assert [plain_text(row).encode() for row in rows] == expected


@pytest.mark.slow
def test_what_is_not_utf8_counts_as_a_replacement(model):
    expected = model.predict(["a\ufffd Paris"])
    for text in (b"a\xff Paris", np.bytes_(b"a\xff Paris"), "a\ud800 Paris"):
        assert model.predict([text]) == expected
    assert len(model.predict(["a\x00 Paris", b"\x00", ""])) == 3


def test_a_model_reads_and_its_graph_reads_the_same_bytes(model):
    """What a server gets is never decoded by Python."""
    graph = model.signatures()["serving_default"].function
    raw = [b"\xff\xe2\x82 Paris", b"a\x00b", b"\xed\xa0\x80"]
    served, replaced = (
        graph(text=tf.constant(texts))
        for texts in (raw, [text.decode("utf-8", "replace") for text in raw])
    )
    for name, values in served.items():
        np.testing.assert_array_equal(values.numpy(), replaced[name].numpy(), name)


@pytest.mark.parametrize(
    "texts",
    [
        lambda: np.array(["to be", "x"]),
        lambda: np.array([b"to be", b"x"]),
        lambda: np.array(["to be", b"x"], object),
        lambda: tf.constant(["to be", "x"]),
        lambda: [tf.constant("to be"), np.str_("x")],
        lambda: (text for text in ("to be", "x")),
        lambda: tf.data.Dataset.from_tensor_slices(["to be", "x"]),
    ],
    ids=["str array", "bytes array", "object array", "tensor", "scalars", "generator", "dataset"],
)
def test_collections_of_texts_are_taken(model, texts):
    given = texts()
    assert model.predict(given) == model.predict(["to be", "x"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (None, "Received: NoneType"),
        (3, "Received: int"),
        ({"text": ["a"]}, "Received: dict"),
        (np.array("a"), "Received: ndarray"),
        (b"\xff", "Received one text"),
        (tf.constant("a"), "Received one text"),
        ([None], "Received NoneType"),
        (["a", float("nan")], "Received float"),
        (np.array([1, 2]), "Received int64"),
    ],
)
def test_what_holds_no_texts_is_refused_by_name(model, texts, message):
    with pytest.raises(ValueError, match=r"^`x` must .*" + message):
        model.predict(texts)


def test_ragged_words_are_lists_of_words():
    tagger = tiny("SequenceTagger")[0]
    words = [["In", "Paris"], ["Ada"]]
    assert tagger.predict(tf.ragged.constant(words)) == tagger.predict(words)
    assert tagger.predict_tags([[b"In", b"\xff"]]) == tagger.predict_tags([["In", "\ud800"]])


def test_ragged_words_are_learnt():
    tagger = tiny("SequenceTagger")[0]
    words, tags = [["In", "Paris"], ["Ada"]], [["O", "B-LOC"], ["B-PER"]]
    expected = tagger.evaluate(words, tags)
    assert tagger.evaluate(tf.ragged.constant(words), tf.ragged.constant(tags)) == expected
    assert tagger.evaluate((row for row in words), np.array(tags, object)) == expected
    for x, y, message in (
        (None, tags, "`x` must be a list of sentences. Received: NoneType"),
        (words, 3, "the tags of x` must be a list of tags. Received: int"),
        (words, "OO", "the tags of x` must be a list of tags. Received one text"),
    ):
        with pytest.raises(ValueError, match=message):
            tagger.evaluate(x, y)
        with pytest.raises(ValueError, match=message):
            tagger.fit(x, y, verbose=0)


@pytest.mark.parametrize(
    "x", [None, 3, [None], [1.5], [np.float32(1)], np.zeros(3), b"ab", tf.constant(["a"]), {"a": 1}]
)
def test_what_is_no_music_and_no_sequence_is_refused_by_name(of_numbers, x):
    for call in (of_numbers.predict, of_numbers.evaluate, of_numbers.fit):
        with pytest.raises(ValueError, match=r"`x`(, piece 1|, piece 1: a piece)? must "):
            call(x)


def test_memory_refuses_words_by_name():
    with pytest.raises(ValueError, match="`x` must be an array of numbers"):
        tiny("MemoryModel")[0].predict([[b"\xff", "\ud800"]])


@pytest.mark.slow
def test_words_that_are_not_utf8_are_learnt():
    """A record of data refuses them by name, as no file holds them; lists of words do not."""
    tags = ("O", "B-LOC")
    with pytest.raises(ValueError, match=r"tokens must hold valid Unicode.*lone surrogate"):
        TaggedSentence(("In", "\ud800"), tags)
    tagger = zoo.SequenceTagger.from_sentences(
        [TaggedSentence(("In", "\ufffd"), tags)],
        units=4,
        word_dimension=4,
        spelling="none",
        crf=False,
    )
    tagger.fit([["In", "\ud800"]], [tags], epochs=1, verbose=0)
    expected = tagger.evaluate([["In", "\ufffd"]], [tags])
    for words in (["In", "\ud800"], [b"In", b"\xff"], np.array(["In", b"\xff"], object)):
        assert tagger.evaluate([words], [tags]) == expected


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("TextClassifier", ([b"good \xff", b"bad"], ["good", "bad"])),
        ("EncoderDecoder", ([b"two \xff", b"four"], [b"2", b"\xff"])),
        ("LanguageModel", ([b"to be \xff"],)),
    ],
)
@pytest.mark.slow
def test_fit_and_evaluate_read_bytes_as_predict_does(name, data):
    model, _ = tiny(name)
    cleaned = [[plain_text(text) for text in texts] for texts in data]
    assert model.evaluate(*data) == model.evaluate(*cleaned)


# === Numbers ===


@pytest.mark.parametrize("name", TASKS)
def test_numpys_numbers_are_numbers(name, tmp_path):
    size = "dimension" if name == "WordVectors" else "units"
    numbers = {size: np.int64(3)}
    if size == "units":
        numbers |= {"dropout": np.float32(0.25), "depth": np.int32(1)}
    model, _ = tiny(name, **numbers)
    settings = model.get_config()
    assert all(type(value) in (int, float, bool, str, list, tuple, dict, type(None))
               for value in settings.values())  # fmt: skip
    again = Task.from_preset(model.save_to_preset(tmp_path / "preset"))
    assert again.get_config()[size] == 3


@pytest.mark.slow
def test_numpys_numbers_in_calls():
    model, _ = tiny("LanguageModel")
    text = ["to be"]
    numbers = {"temperature": np.float32(0.5), "top_k": np.int64(3), "top_p": np.float32(0.75)}
    plain = {name: value.item() for name, value in numbers.items()}
    assert model.generate(
        text, max_tokens=np.int64(4), seed=np.int64(1), batch_size=np.int32(2), **numbers
    ) == model.generate(text, max_tokens=4, seed=1, **plain)
    assert model.generate(
        text, max_tokens=np.int64(4), beam_width=np.int64(2), length_penalty=np.float32(0.5)
    ) == model.generate(text, max_tokens=4, beam_width=2, length_penalty=0.5)
    music = zoo.MusicModel(units=3, outputs="independent")
    np.testing.assert_array_equal(
        music.generate(frames=np.int64(3), temperature=np.float32(0.5), seed=1),
        music.generate(frames=3, temperature=0.5, seed=1),
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "1", None, np.float32("nan")])
def test_a_setting_that_is_no_number_is_refused_by_name(value):
    model = zoo.LanguageModel("ab", units=3)
    with pytest.raises(ValueError, match="`temperature` must be"):
        model.generate(["a"], temperature=value)
    with pytest.raises(ValueError, match="`top_p` must be"):
        model.generate(["a"], top_p=value)
    with pytest.raises(ValueError, match="`length_penalty` must be"):
        model.generate(["a"], beam_width=2, length_penalty=value)
    with pytest.raises(ValueError, match="`temperature` must be"):
        zoo.MusicModel(units=3, outputs="independent").generate(frames=2, temperature=value)
    with pytest.raises(ValueError, match="`dropout` must be"):
        zoo.LanguageModel("ab", units=3, dropout=value)
