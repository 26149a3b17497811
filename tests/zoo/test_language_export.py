"""What a language model serves: scores, texts, samples and single steps, without Python."""

import numpy as np
import pytest
import tensorflow as tf

from kerasrnn.zoo import LanguageModel

VERSE = "the cat sat on the mat, the rat sat on the hat. "


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    model = LanguageModel.from_texts(
        [VERSE], cell="lstm", units=8, depth=2, dimension=6, tied=True, max_tokens=9, beam_width=3
    )
    rng = np.random.default_rng(5)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 0.6, weight.shape))
    return model


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    report = model.export(tmp_path_factory.mktemp("served") / "writer")
    assert report.verified
    loaded = tf.saved_model.load(str(report.path))

    def call(name, **inputs):
        function = loaded.signatures[name]
        specs = function.structured_input_signature[1]
        tensors = {key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in function(**tensors).items()}

    call.loaded = loaded  # signatures do not keep it alive
    return call


@pytest.mark.slow
def test_scores_are_those_of_python(model, served):
    texts = ["the cat", "", "XYZ the mat is", "t"]
    output = served("serving_default", text=texts)
    for row, score in enumerate(model.score(texts)):
        length = output["lengths"][row]
        tokens = [token.decode() for token in output["tokens"][row, :length]]
        assert tuple(tokens) == score.tokens
        found = output["log_probabilities"][row]
        np.testing.assert_allclose(found[:length], score.log_probabilities, atol=1e-5)
        assert not found[length:].any()
        assert output["log_probability"][row] == pytest.approx(score.log_probability, abs=1e-4)
        assert output["loss"][row] == pytest.approx(score.loss, abs=1e-5)
    assert served("serving_default", text=["", ""])["log_probability"].tolist() == [0.0, 0.0]


@pytest.mark.slow
def test_texts_are_those_of_python(model, served):
    prompts = ["the cat", "", "on", "the mat, the rat sat"]
    texts = [text.decode() for text in served("generate", prompt=prompts)["text"]]
    assert texts == model.generate(prompts, beam_width=3)
    alone = [served("generate", prompt=[prompt])["text"][0].decode() for prompt in prompts]
    assert alone == texts


@pytest.mark.slow
def test_samples_are_those_of_python(model, served):
    prompts, seeds = ["the cat", "", "on"], [7, 8, 9]
    settings = {"temperature": [0.8] * 3, "top_k": [6] * 3, "top_p": [0.9] * 3}
    output = served("sample", prompt=prompts, seed=seeds, max_tokens=[9] * 3, **settings)
    texts = [text.decode() for text in output["text"]]
    assert texts == model.generate(prompts, seed=seeds, temperature=0.8, top_k=6, top_p=0.9)
    # Each row has a limit of its own.
    output = served("sample", prompt=prompts, seed=seeds, max_tokens=[9, 0, 4], **settings)
    short = [text.decode() for text in output["text"]]
    assert short == [texts[0], "", texts[2][: len("on") + 4]]


@pytest.mark.slow
def test_steps_add_up_to_a_score_and_to_a_text(model, served):
    text = "the cat"
    states = {f"state_{i}": np.zeros((1, 8)) for i in range(1, 5)}
    total, tokens = 0.0, ["", *text]
    for token, following in zip(tokens, text, strict=False):
        output = served("step", token=[token], **states)
        states = {name: output[name] for name in states}
        row = dict(zip(output["candidates"][0], output["log_probabilities"][0], strict=True))
        assert output["next"][0] == output["candidates"][0, 0]
        normal = tf.nn.log_softmax(output["logits"][0]).numpy()
        total += normal[model.text_units([following]).numpy()[0, 0]]
        assert following.encode() in row
    assert total == pytest.approx(model.score([text])[0].log_probability, abs=1e-4)

    # Go on from there, always with the likeliest.
    output = served("step", token=[text[-1]], **states)
    written = ""
    for _ in range(9):
        token = output["next"][0].decode()
        if not token:
            break
        written += token
        states = {name: output[name] for name in states}
        output = served("step", token=[token], **states)
    assert model.generate([text], temperature=0) == [text + written]


@pytest.mark.slow
def test_steps_of_a_batch_are_on_their_own(served):
    rng = np.random.default_rng(1)
    states = {f"state_{i}": rng.normal(size=(3, 8)) for i in range(1, 5)}
    together = served("step", token=["t", "", "XY"], **states)
    for row, token in enumerate(["t", "", "X"]):  # of a longer string, the first unit counts
        own = {name: state[row : row + 1] for name, state in states.items()}
        alone = served("step", token=[token], **own)
        np.testing.assert_allclose(alone["logits"][0], together["logits"][row], atol=1e-5)
