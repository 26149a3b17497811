import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasrnn.data import (
    DataError,
    TaggedSentence,
    check_scheme,
    check_tag_forms,
    convert_scheme,
    infer_scheme,
    load_sentences,
    parse_conll,
    parse_conllu,
)

# The same three entities in every scheme: PER over 0-2, PER touching it at 3, LOC over 5-6.
WRITTEN = {
    "BIO": "B-PER I-PER I-PER B-PER O B-LOC I-LOC",
    "IOB1": "I-PER I-PER I-PER B-PER O I-LOC I-LOC",
    "BIOES": "B-PER I-PER E-PER S-PER O B-LOC E-LOC",
    "BILOU": "B-PER I-PER L-PER U-PER O B-LOC L-LOC",
}
LOSSLESS = sorted(WRITTEN)


def words(text):
    return text.split()


@st.composite
def bio_tags(draw):
    """Legal BIO tags, entities that touch included; labels with hyphens too."""
    tags = []
    pieces = st.tuples(st.sampled_from(["O", "PER", "creative-work", "X"]), st.integers(1, 4))
    for label, length in draw(st.lists(pieces, max_size=8)):
        if label == "O":
            tags += ["O"] * length
        else:
            tags += [f"B-{label}"] + [f"I-{label}"] * (length - 1)
    return tags


@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize("source", LOSSLESS)
def test_the_same_entities_in_every_scheme(source, target):
    assert convert_scheme(WRITTEN[source].split(), source, target) == WRITTEN[target].split()


def test_to_io_and_back_touching_entities_become_one():
    io = convert_scheme(WRITTEN["BIO"].split(), "BIO", "IO")
    assert io == words("I-PER I-PER I-PER I-PER O I-LOC I-LOC")
    back = convert_scheme(io, "IO", "BIO")
    assert back == words("B-PER I-PER I-PER I-PER O B-LOC I-LOC")


def test_mixture_is_read_as_conlleval_reads_it():
    mixture = words("O I-PER I-PER I-LOC B-LOC O I-LOC")
    expected = words("O B-PER I-PER B-LOC B-LOC O B-LOC")
    assert convert_scheme(mixture, "IOB", "BIO") == expected


@settings(deadline=None)
@given(bio_tags(), st.sampled_from(LOSSLESS), st.sampled_from(LOSSLESS))
def test_round_trip_through_any_two_schemes(tags, first, second):
    there = convert_scheme(tags, "BIO", first)
    check_scheme(there, first)
    across = convert_scheme(there, first, second)
    check_scheme(across, second)
    assert convert_scheme(across, second, "BIO") == tags


@settings(deadline=None)
@given(bio_tags(), st.sampled_from(["IO", *LOSSLESS]))
def test_inferred_scheme_reads_the_same_entities(tags, scheme):
    written = convert_scheme(tags, "BIO", scheme)
    expected = convert_scheme(written, scheme, "BIO")
    inferred = infer_scheme([written])
    assert convert_scheme(written, inferred, "BIO") == expected


@settings(deadline=None)
@given(st.lists(st.sampled_from(words("O B-A I-A E-A S-A B-B I-B E-B S-B")), max_size=6))
def test_check_accepts_bioes_exactly_when_it_can_be_written(tags):
    # Independent of the checker: legal tags are those that survive a round trip of their spans.
    spans, start = [], None
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, label = tag.partition("-")
        if prefix == "S":
            spans.append((label, i, i + 1))
        elif prefix == "B":
            start = (label, i)
        elif prefix == "E" and start and start[0] == label:
            spans.append((label, start[1], i + 1))
            start = None
    rewritten = ["O"] * len(tags)
    for label, first, last in spans:
        middle = [f"I-{label}"] * (last - first - 2)
        single = last - first == 1
        rewritten[first:last] = [f"S-{label}"] if single else [f"B-{label}", *middle, f"E-{label}"]
    try:
        check_scheme(tags, "BIOES")
        accepted = True
    except DataError:
        accepted = False
    assert accepted == (rewritten == tags)


@pytest.mark.parametrize(
    ("scheme", "tags", "message"),
    [
        ("BIO", "O I-PER", "B-PER or I-PER before I-PER.*'O' before token 2"),
        ("BIO", "I-PER", "the start of the sentence before token 1"),
        ("BIO", "B-PER I-LOC", "B-LOC or I-LOC before I-LOC.*'B-PER' before token 2"),
        ("BIO", "S-PER", r"O, B-LABEL, I-LABEL.*'S-PER' for token 1"),
        ("BIO", "PER", "'PER' for token 1"),
        ("BIO", "B-", "'B-' for token 1"),
        ("IO", "B-PER", "O, I-LABEL.*'B-PER'"),
        ("IOB1", "O B-PER", "B-PER or I-PER before B-PER"),
        ("BIOES", "B-PER O", "E-PER, the end of the entity, before O"),
        ("BIOES", "B-PER I-PER", "after I-PER.*the end of the sentence after token 2"),
        ("BIOES", "O E-PER", "before E-PER"),
        ("BIOES", "B-PER S-PER", "E-PER, the end"),
        ("BILOU", "B-PER O", "L-PER, the end"),
    ],
)
def test_check_names_the_fault(scheme, tags, message):
    with pytest.raises(DataError, match=message):
        check_scheme(tags.split(), scheme)


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["B-X I-X", "O"], "BIO"),
        (["I-X B-X"], "IOB1"),
        (["I-X I-X O"], "IO"),
        (["B-X E-X O S-X"], "BIOES"),
        (["B-X L-X", "U-X"], "BILOU"),
        (["DET NOUN", "NOUN"], "none"),
        (["-LRB- NN O"], "none"),
        (["O O"], "BIO"),
        ([], "BIO"),
    ],
)
def test_infer(sentences, scheme):
    assert infer_scheme([tags.split() for tags in sentences]) == scheme


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (["B-X", "O I-X", "O B-X"], "'O' before token 2 in sentence 2"),
        (["B-X O", "PER"], "only O and tags with a prefix, such as B-X, got 'PER'.*sentence 2"),
        (["B-X E-X", "U-X"], "'U-X' for token 1 in sentence 2"),
    ],
)
def test_infer_names_what_no_scheme_allows(sentences, message):
    with pytest.raises(DataError, match=message):
        infer_scheme([tags.split() for tags in sentences])


def test_names():
    assert convert_scheme(["B-X"], "iob2", "IOBES") == ["S-X"]
    assert convert_scheme(["NOUN"], "none", "none") == ["NOUN"]
    with pytest.raises(ValueError, match=r"Unknown scheme 'BOI'. Expected one of BIO, BIOES"):
        check_scheme(["O"], "BOI")
    with pytest.raises(ValueError, match=r"only schemes with spans"):
        convert_scheme(["NOUN"], "none", "BIO")
    with pytest.raises(ValueError, match=r"only for reading"):
        convert_scheme(["B-X"], "BIO", "IOB")


# === Malformed tags in files ===

CONLLU = "\t".join(["{}", "x", "_", "{}"]) + "\t_" * 6


@pytest.mark.parametrize(
    ("tags", "line", "message"),
    [
        (["B-PER", "FOO", "O"], 2, "only O and tags with a prefix, such as B-PER, got 'FOO' for"),
        (["B-PER", "O", "B-"], 3, "only O and tags with a prefix, such as B-LABEL, got 'B-' for"),
        (["O", "I-", "O"], 2, "such as I-LABEL, got 'I-' for token 2"),
        (["NOUN", "B-", "VERB"], 2, "such as B-LABEL, got 'B-' for token 2"),
        (["B-PER", "I-LOC", "E-PER"], 2, "got 'B-PER' before token 2"),
        (["B-PER", "o", "O"], 2, "got 'o' for token 2"),
    ],
)
def test_a_malformed_tag_names_its_file_and_line(tmp_path, tags, line, message):
    path = tmp_path / "my.conll"
    path.write_text("\n\na O\n\n" + "".join(f"x {tag}\n" for tag in tags))
    sentences = parse_conll(path)
    for find in (lambda: infer_scheme(sentences, path), lambda: parse_conll(path, scheme="BIO")):
        with pytest.raises(DataError, match=message) as caught:
            find()
        assert (caught.value.line, caught.value.path) == (line + 4, path)
        assert f"my.conll, line {line + 4}: expected" in str(caught.value)


def test_in_conllu_the_line_counts_rows_that_are_no_words(tmp_path):
    path = tmp_path / "my.conllu"
    rows = [CONLLU.format("1", "B-PER"), CONLLU.format("2-3", "_"), CONLLU.format("2", "O")]
    rows += [CONLLU.format("2.1", "_"), CONLLU.format("3", "FOO")]
    path.write_text("# a = b\n" + "\n".join(rows))
    (sentence,) = parse_conllu(path)
    assert [sentence.line_of(i) for i in range(3)] == [2, 4, 6]
    for find in (
        lambda: infer_scheme([sentence], path),
        lambda: load_sentences(path, scheme="BIO"),
        lambda: check_tag_forms([sentence], "BIO", path),
    ):
        with pytest.raises(DataError, match=r"my.conllu, line 6: expected .*got 'FOO'"):
            find()


def test_check_tag_forms_takes_the_order_as_it_is():
    check_tag_forms([TaggedSentence(["a", "b"], ["O", "I-PER"])], "BIO")
    check_tag_forms([TaggedSentence(["a"], ["FOO"])], "none")
    for tag in ("FOO", "B-", "S-PER", "b-PER", "-PER"):
        with pytest.raises(DataError, match=rf"a tag of scheme BIO .*got '{tag}' for token 1 in s"):
            check_tag_forms([TaggedSentence(["a"], [tag])], "bio")


@pytest.mark.parametrize("name", ["tokens", "tags"])
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("ab", TypeError),
        (None, TypeError),
        (3, TypeError),
        (["a", None], TypeError),
        (["a", b"b"], TypeError),
        (["a", np.int64(1)], TypeError),
        (["a", "\ud800"], ValueError),
        (["a", ""], ValueError),
    ],
)
def test_what_is_no_text_in_a_sentence_is_refused_by_name(name, wrong, error):
    with pytest.raises(error, match=rf"{name} must "):
        TaggedSentence(**{"tokens": ["a", "b"], "tags": ["O", "O"], name: wrong})
    assert TaggedSentence(np.array(["a"]), np.array(["O"])).tokens == ("a",)
