"""Requests to exported signatures with a row that makes no sense: the others get their answers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.tiny_tasks import tiny

NAN, INFINITE = float("nan"), float("inf")


def served(model, signature):
    """A signature as a server runs it: a graph."""
    found = model.signatures()[signature]
    graph = tf.function(
        lambda inputs: dict(found.function(**inputs)),
        input_signature=[dict(found.input_specs)],
        autograph=False,
    )

    def answer(**inputs):
        specs = found.input_specs
        given = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in graph(given).items()}

    return answer


def assert_others_alike(one, other, row=1):
    for name, values in one.items():
        np.testing.assert_array_equal(
            np.delete(values, row, axis=0), np.delete(other[name], row, axis=0), name
        )


def test_sample():
    sample = served(tiny("LanguageModel")[0], "sample")
    sensible = {
        "prompt": ["to", "be", "or"],
        "seed": [1, 2, 3],
        "temperature": [0.7, 0.9, 0.8],
        "top_k": [0, 0, 5],
        "top_p": [1.0, 0.9, 0.8],
        "max_tokens": [6, 6, 6],
    }
    expected = sample(**sensible)

    def with_row(**changes):
        inputs = {name: list(values) for name, values in sensible.items()}
        for name, value in changes.items():
            inputs[name][1] = value
        answer = sample(**inputs)
        assert_others_alike(answer, expected)
        assert np.isfinite(answer["log_probability"]).all()
        return answer["text"][1]

    likeliest = with_row(temperature=0.0)
    for temperature in (NAN, -INFINITE, -1.0, 1e-45):
        assert with_row(temperature=temperature) == likeliest
    assert with_row(temperature=INFINITE) == with_row(temperature=3e38)
    for top_p in (NAN, INFINITE, 7.0):
        assert with_row(top_p=top_p) == with_row(top_p=1.0)
    for top_p in (-INFINITE, -1.0, 0.0):
        assert with_row(top_p=top_p) == likeliest
    assert with_row(top_k=-(2**31)) == with_row(top_k=0)
    assert with_row(max_tokens=-5) == b"be"
    with_row(seed=-(2**63))
    with_row(prompt=b"\xff\x00")


@pytest.mark.parametrize("name", ["LanguageModel", "MusicModel", "MemoryModel"])
def test_states_that_are_no_numbers(name):
    model, _ = tiny(name)
    step, inputs = served(model, "step"), dict(model.samples()["step"])
    expected = step(**inputs)
    for state in [key for key in inputs if key.startswith("state_")]:
        inputs[state] = np.array(inputs[state], np.float32)
        inputs[state][1] = NAN
    assert_others_alike(step(**inputs), expected)


def test_frames_that_are_no_numbers():
    model, _ = tiny("MusicModel")
    step, inputs = served(model, "step"), dict(model.samples()["step"])
    inputs["frame"] = np.array(inputs["frame"])
    inputs["frame"][1] = 0
    silent = step(**inputs)
    inputs["frame"][1] = NAN
    for name, values in step(**inputs).items():
        np.testing.assert_array_equal(values, silent[name], name)


def test_music_at_temperatures_without_sense():
    model, _ = tiny("MusicModel")
    generate, inputs = served(model, "generate"), dict(model.samples()["generate"])
    likeliest = generate(**{**inputs, "temperature": 0.0})["chords"]
    for temperature in (NAN, -1.0, -INFINITE):
        answer = generate(**{**inputs, "temperature": temperature})["chords"]
        np.testing.assert_array_equal(answer, likeliest)
    assert 0 < generate(**{**inputs, "temperature": INFINITE})["chords"].mean() < 1
    assert generate(**{**inputs, "frames": -2})["chords"].shape == (3, 0, 88)
    assert generate(**{**inputs, "lengths": [-4, 99, 2]})["chords"].shape == (3, 5, 88)


def test_a_beam_without_sense():
    generate = served(tiny("EncoderDecoder")[0], "generate")
    text = ["two", ""]
    plain = generate(text=text, beam_size=2, length_penalty=0.0)
    for penalty in (NAN, INFINITE, -INFINITE):
        answer = generate(text=text, beam_size=2, length_penalty=penalty)
        np.testing.assert_array_equal(answer["texts"], plain["texts"])
        np.testing.assert_array_equal(answer["scores"], plain["scores"])
    one = generate(text=text, beam_size=1, length_penalty=0.6)
    np.testing.assert_array_equal(
        generate(text=text, beam_size=-3, length_penalty=0.6)["texts"], one["texts"]
    )
