import time
import unicodedata

import keras
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerasrnn.text import Token, Tokenizer

TOKENIZER = Tokenizer()
SPLITTING = Tokenizer(split_contractions=True)

INVISIBLE = {0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
# Dense in what the rules are about, so that they meet each other often.
TRICKY = st.text(
    st.sampled_from(
        "aZsStéßİ0٣.,:/'’-&@#_!?~*=()\"$% \t\n\x00\x02\x85\xa0\u2028\u200b\u200d\u200e\ufe0f\ufeff"
        "\u0301\u20e3مرحَ你好ひカーไทย한나👍🏽👩❤🇩🇪\U000e0067\U0010ffff\ufffd"
    ),
    max_size=40,
)
BROKEN = st.sampled_from(
    [b"a", b" ", b"\xc3", b"\xa9", b"\xf0\x9f", b"\xff", b"\xed\xa0\x80", b"\xf4\x90", b"\xe0\x80"]
)
TEXTS = TRICKY | st.text(max_size=40)


def is_space(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Zs", "Zl", "Zp") or ord(character) in INVISIBLE
    )


def words(text: str, tokenizer: Tokenizer = TOKENIZER) -> list[str]:
    return [token.text for token in tokenizer.tokenize(text)]


def as_lists(output):
    return {name: value.to_list() for name, value in output.items()}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("I don't know, do I?", ["I", "don't", "know", ",", "do", "I", "?"]),
        ("John's and JOHN’S", ["John", "'s", "and", "JOHN", "’S"]),
        ("the dogs' 'bone'", ["the", "dogs", "'", "'", "bone", "'"]),
        ("John 's dog", ["John", "'s", "dog"]),
        ("He left the U.S. today.", ["He", "left", "the", "U.S.", "today", "."]),
        ("He left the U.S.", ["He", "left", "the", "U.S."]),
        ("U.S.A, the U.S economy", ["U.S.A", ",", "the", "U.S", "economy"]),
        ("J. R. Smith, J.R.Smith", ["J.", "R.", "Smith", ",", "J.R.", "Smith"]),
        ("I need vitamin C. ", ["I", "need", "vitamin", "C", "."]),
        ("Dr. No of Acme Inc. left.", ["Dr.", "No", "of", "Acme", "Inc.", "left", "."]),
        ("e.g. this end.Next end.", ["e.g.", "this", "end", ".", "Next", "end", "."]),
        ("3.5% of $1,000.50", ["3.5", "%", "of", "$", "1,000.50"]),
        ("at 10:30am, 24/12/2025.", ["at", "10:30am", ",", "24/12/2025", "."]),
        ("one,two and/or 1, 2", ["one", ",", "two", "and", "/", "or", "1", ",", "2"]),
        ("state-of-the-art R&D -x-", ["state-of-the-art", "R&D", "-", "x", "-"]),
        ("hi @user: #tag!", ["hi", "@user", ":", "#tag", "!"]),
        ("(http://t.co/x).", ["(", "http://t.co/x", ")", "."]),
        ("https://a.org/b?c=d&e=f, www.b.de", ["https://a.org/b?c=d&e=f", ",", "www.b.de"]),
        ("see t.co/x or a.b@c.org.", ["see", "t.co/x", "or", "a.b@c.org", "."]),
        ("wait... what?! --no--", ["wait", "...", "what", "?", "!", "--", "no", "--"]),
        ("snake_case", ["snake_case"]),
        ("e\u0301te\u0301 été", ["e\u0301te\u0301", "été"]),
        ("مرحبا بالعالم،", ["مرحبا", "بالعالم", "،"]),
        ("你好abc ひら", ["你", "好", "abc", "ひ", "ら"]),
        ("안녕 세계", ["안녕", "세계"]),
        ("👍🏽🇩🇪🇫🇷👨‍👩‍👧❤️", ["👍🏽", "🇩🇪", "🇫🇷", "👨‍👩‍👧", "❤️"]),
        ("a\u200bb\ufeffc\x00d\u2028e\u00a0f", list("abcdef")),
        ("co\u00adoperate می\u200cخواهم", ["co\u00adoperate", "می\u200cخواهم"]),
        ("", []),
        (" \t\r\n\u3000\x1f", []),
    ],
)
def test_rules(text, expected):
    assert words(text) == expected


def test_split_contractions_follows_the_penn_treebank():
    text = "I don't, I'm, we've, she'll, he'd, they're, CAN’T, John's; he 'll o'clock"
    expected = (
        "I do n't , I 'm , we 've , she 'll , he 'd , they 're , CA N’T , John 's ; he 'll o'clock"
    )
    assert words(text, SPLITTING) == expected.split()


def test_lowercase_leaves_the_offsets_in_the_text_given():
    text = "İstanbul ÉTÉ"  # İ has two characters in small letters
    tokens = Tokenizer(lowercase=True).tokenize(text)
    assert tokens == [Token("i\u0307stanbul", 0, 8), Token("été", 9, 12)]
    assert text[9:12] == "ÉTÉ"


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("x\x02y'\x02s.")
@example("'s's''s s'")
def test_tokens_are_the_text_less_its_spaces(text):
    for tokenizer in (TOKENIZER, SPLITTING):
        tokens = tokenizer.tokenize(text)
        covered = [0] * len(text)
        for token in tokens:
            assert token.text == text[token.start : token.end]
            assert token.text and not any(map(is_space, token.text))
            for position in range(token.start, token.end):
                covered[position] += 1
        assert covered == [0 if is_space(character) else 1 for character in text]
        offsets = [offset for token in tokens for offset in (token.start, token.end)]
        assert offsets == sorted(offsets)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_a_text_is_split_the_same_in_any_batch(texts):
    output = as_lists(TOKENIZER(tf.constant(texts, tf.string)))
    for row, text in enumerate(texts):
        tokens = TOKENIZER.tokenize(text)
        assert [token.decode() for token in output["tokens"][row]] == [t.text for t in tokens]
        assert output["starts"][row] == [token.start for token in tokens]
        assert output["ends"][row] == [token.end for token in tokens]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=30) | st.lists(BROKEN).map(b"".join))
@pytest.mark.slow
def test_bytes_that_are_not_utf8_count_as_python_counts_them(data):
    text = data.decode("utf-8", "replace")
    output = as_lists(TOKENIZER(tf.constant([data])))
    spans = zip(output["tokens"][0], output["starts"][0], output["ends"][0], strict=True)
    assert [(t.decode(), s, e) for t, s, e in spans] == [tuple(t) for t in TOKENIZER.tokenize(text)]


def test_lone_surrogates_count_as_one_character():
    assert TOKENIZER.tokenize("a \ud800 b") == [
        Token("a", 0, 1),
        Token("\ufffd", 2, 3),
        Token("b", 4, 5),
    ]


def test_batches_with_empty_rows_and_without_rows():
    output = TOKENIZER(["", "a b", " "])
    assert output["tokens"].to_list() == [[], [b"a", b"b"], []]
    assert output["starts"].dtype == output["ends"].dtype == tf.int32
    for value in TOKENIZER(tf.constant([], tf.string)).values():
        assert value.to_list() == [] and value.to_tensor().shape == (0, 0)


def test_ten_thousand_tokens_take_linear_time():
    sentence = "He didn't go to the U.S. in 2020, did he? "

    def seconds(repeats: int) -> float:
        text = tf.constant([sentence * repeats])
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter()
            output = TOKENIZER(text)
            best = min(best, time.perf_counter() - begin)
        assert output["tokens"].flat_values.shape[0] == 12 * repeats
        return best

    assert seconds(834) < 2.0  # 17 ms on an idle core
    assert seconds(6672) < 40 * seconds(834)  # eight times the text; 64 if it were quadratic


@pytest.mark.parametrize(
    "unit", ["a", "a-", ".", "1,", "x.y", "a@", "'", "@", "http://", "👩\u200d"]
)
def test_no_pattern_backtracks(unit):
    text = unit * (100_000 // len(unit))
    begin = time.perf_counter()
    tokens = TOKENIZER(tf.constant([text]))["tokens"].to_list()[0]
    assert time.perf_counter() - begin < 5.0
    assert b"".join(tokens).decode() == text


def test_one_string_works_in_a_dataset_map_and_in_a_function():
    dataset = tf.data.Dataset.from_tensor_slices(["Anna's tea.", ""]).map(TOKENIZER)
    rows = [row["tokens"].numpy().tolist() for row in dataset]
    assert rows == [[b"Anna", b"'s", b"tea", b"."], []]
    batched = tf.data.Dataset.from_tensor_slices(["Anna's tea.", ""]).batch(2).map(TOKENIZER)
    assert next(iter(batched))["ends"].to_list() == [[4, 6, 10, 11], []]
    compiled = tf.function(lambda text: TOKENIZER(text))(tf.constant(["Anna's tea.", ""]))
    assert compiled["starts"].to_list() == [[0, 4, 7, 10], []]


def test_configuration_round_trip():
    layer = Tokenizer(lowercase=True, split_contractions=True, name="words")
    config = keras.saving.serialize_keras_object(layer)
    restored = keras.saving.deserialize_keras_object(config)
    assert restored.name == "words" and restored.get_config() == layer.get_config()
    assert words("DON'T", restored) == ["do", "n't"]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"'text' must hold strings\. Received dtype int32"):
        TOKENIZER(tf.constant([1]))
    with pytest.raises(ValueError, match="'text' must hold strings"):
        TOKENIZER([1, 2])
    with pytest.raises(ValueError, match=r"shape \(batch,\).*Received shape \(1, 1\)"):
        TOKENIZER([["a"]])
    with pytest.raises(ValueError, match=r"shape \(batch,\)"):
        TOKENIZER(tf.ragged.constant([["a"], []]))
    with pytest.raises(TypeError, match=r"must be a str. Received b'a' \(bytes\)"):
        TOKENIZER.tokenize(b"a")
