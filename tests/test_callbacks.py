"""Running means of the weights: their values, what is measured and kept, and how one goes on."""

import keras
import numpy as np
import pytest

from kerasrnn.callbacks import WeightAverages
from training.endings import make_console
from training.fitting import fit_run
from training.run_folder import RunFolder

pytestmark = pytest.mark.tensorflow


def linear(rate: float = 0.1) -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def examples() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(5).normal(size=(24, 2))
    return x, x @ [[1.0], [-2.0]] + 0.5


def fit_of(model: keras.Model, seen: list | None = None):
    def fit(**options):
        callbacks = options.pop("callbacks")
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: (
                None if seen is None else seen.append(model.get_weights())
            )
        )
        model.fit(
            *examples(),
            batch_size=8,
            shuffle=False,
            validation_data=examples(),
            callbacks=[watch, *callbacks],
            **options,
        )

    return fit


def run(model, folder, epochs, *, seen=None, decay=0.9):
    return fit_run(
        fit_of(model, seen),
        model,
        folder,
        make_console(),
        epochs=epochs,
        steps=3,
        monitor="val_loss",
        maximize=False,
        figures={},
        average_weights=decay,
    )


def means_of(steps: list, first: list, decay: float) -> list:
    means = first
    for t, weights in enumerate(steps, 1):
        share = 1 - min(decay, (1 + t) / (10 + t))
        means = [m + share * (w - m) for m, w in zip(means, weights, strict=True)]
    return means


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.3])
def test_the_means_are_those_of_all_steps(decay):
    model = linear()
    first, seen = model.get_weights(), []
    averages = WeightAverages(decay)
    averages.set_model(model)
    averages.on_train_begin()
    for batch in range(5):
        model.set_weights([weight + 1.0 for weight in model.get_weights()])
        seen.append(model.get_weights())
        averages.on_train_batch_end(batch)
    for mean, expected in zip(averages.means, means_of(seen, first, decay), strict=True):
        np.testing.assert_allclose(mean, expected, rtol=1e-5)
    averages.on_epoch_end(0)
    for found, expected in zip(model.get_weights(), means_of(seen, first, decay), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    averages.on_epoch_begin(1)
    for found, expected in zip(model.get_weights(), seen[-1], strict=True):
        np.testing.assert_array_equal(found, expected)


class Unsized(keras.callbacks.Callback):
    """Hides from the callbacks behind it how many batches an epoch has."""

    def set_params(self, params):
        params["steps"] = None


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("first_seen", [False, True])
def test_any_fit_of_keras_validates_and_saves_the_means(known, first_seen):
    model, seen, validated, saved = linear(), [], [], []
    first = model.get_weights()
    averages = WeightAverages(0.9)
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: (
            seen.append([mean.numpy() for mean in averages.means])
            if averages.swapped
            else seen.append(model.get_weights())
        ),
        on_epoch_end=lambda epoch, logs: saved.append(model.get_weights()),
    )
    callbacks = [watch, averages] if first_seen else [averages, watch]
    history = model.fit(
        *examples(),
        batch_size=8,
        shuffle=False,
        epochs=3,
        verbose=0,
        validation_data=examples(),
        callbacks=callbacks if known else [Unsized(), *callbacks],
    ).history
    plain = linear()
    for epoch in range(3):
        means = means_of(seen[: 3 * (epoch + 1)], first, 0.9)
        plain.set_weights(means)
        validated.append(plain.evaluate(*examples(), verbose=0))
        for found, expected in zip(saved[epoch], means, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(history["val_loss"], validated, rtol=1e-4)
    assert averages.swapped
    for found, expected in zip(model.get_weights(), saved[-1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_second_fit_goes_on_with_the_weights():
    models = [linear(), linear()]
    for model, parts in zip(models, ([4], [2, 4]), strict=True):
        averages, begin = WeightAverages(0.9), 0
        for end in parts:
            model.fit(
                *examples(),
                batch_size=8,
                shuffle=False,
                initial_epoch=begin,
                epochs=end,
                verbose=0,
                callbacks=[averages],
            )
            begin = end
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_means_are_measured_and_kept_and_the_weights_trained(tmp_path):
    model, seen = linear(), []
    first = model.get_weights()
    history = run(model, RunFolder(tmp_path, resume=False), 4, seen=seen).history
    # The steps are those of a training without means.
    plain, steps = linear(), []
    run(plain, RunFolder(tmp_path / "plain", resume=False), 4, seen=steps, decay=0.0)
    for one, other in zip(seen, steps, strict=True):
        np.testing.assert_array_equal(np.concatenate(one, None), np.concatenate(other, None))
    for epoch, row in enumerate(history, 1):
        plain.set_weights(means_of(seen[: 3 * epoch], first, 0.9))
        loss = plain.evaluate(*examples(), verbose=0)
        assert row["val_loss"] == pytest.approx(loss, rel=1e-4)
    for found, expected in zip(model.get_weights(), means_of(seen, first, 0.9), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_run_goes_on_with_its_means(tmp_path):
    unbroken = linear()
    run(unbroken, RunFolder(tmp_path / "a", resume=False), 4)
    broken = linear()
    run(broken, RunFolder(tmp_path / "b", resume=False), 2)
    again = linear()
    run(again, RunFolder(tmp_path / "b", resume=True), 4)
    for one, other in zip(again.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_decay_of_one_never_moves():
    with pytest.raises(ValueError, match=r"`decay` must be at least 0 and below 1. Received: 1"):
        WeightAverages(1.0)
