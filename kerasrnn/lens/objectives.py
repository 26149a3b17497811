"""What a derivative is taken of: the loss of a batch, or what a model puts out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from kerasrnn.lens.inputs import Batch
from kerasrnn.zoo import Task

# So many numbers that a model puts out are differentiated one by one. Of more, as many random sums
# as are enough for a few per cent.
_EXACT = 32
_SUMS = 16


def objectives(
    model: Any,
    batch: Batch,
    outputs: Any,
    *,
    loss: Any,
    at: Any,
    masks: list[Any],
    sums: int | None = None,
) -> list[Any]:
    """Scalars, of which the squares of the derivatives are added up.

    Args:
        model: the model.
        batch: what it has read; with targets for the loss, without for what it puts out.
        outputs: what it put out.
        loss: a loss of Keras, its name or a function, in the place of that of `compile`; or None.
        at: `"each"`, `"end"` or the number of a step.
        masks: masks `(batch, time)` of its layers, to find the end with.
        sums: of how many random sums at most of what is put out; None for as many as are exact, or
            near to it.

    Raises:
        ValueError: there is no loss, or none for a single step.
    """
    if batch.targets is None:
        return _of_outputs(model, outputs, at, masks, sums)
    value = _loss(model, batch, outputs, loss, at, masks)
    return [tf.cast(value, tf.float64)]


def has_steps(model: Any, outputs: Any) -> bool:
    """Whether there is an answer at each step, and not one for a whole example."""
    return any(len(getattr(x, "shape", ())) > 2 for x in tree.flatten(_answers(model, outputs)))


def _answers(model: Any, outputs: Any) -> Any:
    """What a model answers, without what else it puts out."""
    is_named = isinstance(model, Task) and model.scores_output
    return outputs[model.scores_output] if is_named else outputs


# === The loss ===


def _loss(model: Any, batch: Batch, outputs: Any, loss: Any, at: Any, masks: list[Any]) -> Any:
    inputs, targets, _ = batch
    if isinstance(model, Task) and loss is None:
        if at != "each":
            raise ValueError(
                f"`at` must be 'each' for the loss of {type(model).__name__}, which is that of "
                f"whole examples. Received: at={at!r}. Without targets the derivative is that of "
                "the scores at a step."
            )
        terms = model.loss_terms(inputs, targets, outputs)
        mean = sum(total / tf.maximum(tf.cast(count, total.dtype), 1) for total, count in terms)
        return mean * tf.cast(_rows(outputs), mean.dtype)
    function = _single(loss if loss is not None else getattr(model, "loss", None))
    if function is not None and not isinstance(outputs, dict | list | tuple):
        return _of_steps(function, targets, outputs, at, masks)
    if loss is not None:
        raise ValueError(
            "`loss` must be one loss for one output: its name, a keras.losses.Loss or a function "
            f"of (y_true, y_pred). Received: loss={loss!r} for outputs {_shapes(outputs)}"
        )
    if not getattr(model, "compiled", False):
        raise ValueError(
            "`loss` must be given, or the model be compiled with one, to take the derivative of a "
            "loss. Without `y` the derivative is that of what the model puts out."
        )
    if at != "each":
        raise ValueError(
            f"`at` must be 'each' for a model of several outputs or losses. Received: at={at!r}"
        )
    mean = model.compute_loss(x=inputs, y=targets, y_pred=outputs, sample_weight=None)
    return mean * tf.cast(_rows(outputs), mean.dtype)


def _single(loss: Any) -> Any:
    """A function of targets and outputs that returns a loss for each row or step, or None."""
    if loss is None or isinstance(loss, dict | list | tuple):
        return None
    found = keras.losses.get(loss)
    return found.call if isinstance(found, keras.losses.Loss) else found


def _of_steps(function: Any, targets: Any, outputs: Any, at: Any, masks: list[Any]) -> Any:
    targets = tf.convert_to_tensor(targets)
    each = tf.convert_to_tensor(function(targets, outputs))
    mask = getattr(outputs, "_keras_mask", None)
    rows = tf.cast(_rows(outputs), each.dtype)
    if each.shape.rank == 0:
        if at != "each":
            raise ValueError(
                "`at` must be 'each' for a loss that is one number for a whole batch. "
                f"Received: at={at!r}"
            )
        return each * rows
    if each.shape.rank == 1:  # one loss for each example, whatever `at` is
        return tf.reduce_sum(each)
    if at != "each":
        return tf.reduce_sum(_at_step(each, at, _mask_for(outputs, masks)))
    if mask is None:
        return tf.reduce_mean(each) * rows
    weights = tf.cast(tf.broadcast_to(mask, tf.shape(each)), each.dtype)
    return tf.reduce_sum(each * weights) / tf.maximum(tf.reduce_sum(weights), 1) * rows


# === What is put out ===


def _of_outputs(model: Any, outputs: Any, at: Any, masks: list[Any], sums: int | None) -> list[Any]:
    if at == "each":
        raise ValueError(
            "`at` must be 'end' or the number of a step where the derivative is that of what the "
            f"model puts out. Received: at={at!r}"
        )
    parts = []
    for output in tree.flatten(_answers(model, outputs)):
        output = tf.convert_to_tensor(output) if not isinstance(output, tf.Tensor) else output
        if not output.dtype.is_floating:
            continue
        if output.shape.rank > 2:
            output = _at_step(output, at, _mask_for(output, masks))
        parts.append(tf.reshape(output, (tf.shape(output)[0], -1)))
    if not parts:
        raise ValueError(f"`model` must put out numbers. It puts out {_shapes(outputs)}.")
    numbers = tf.cast(tf.concat(parts, axis=-1), tf.float64)  # (batch, numbers)
    size = numbers.shape[-1] or int(tf.shape(numbers)[-1])
    if size <= (_EXACT if sums is None else sums):
        return [tf.reduce_sum(numbers[:, i]) for i in range(size)]
    # E[(vᵀJ)²] = ‖J‖² for signs v by chance.
    sums = sums or _SUMS
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (sums, size)) / sums**0.5
    return [tf.reduce_sum(numbers @ tf.constant(v[:, None])) for v in signs]


# === Steps ===


def _at_step(values: Any, at: Any, mask: Any) -> Any:
    """One step of `(batch, time, …)` for each example."""
    time = tf.shape(values)[1]
    if at == "end":
        if mask is None:
            return values[:, -1]
        steps = tf.range(tf.shape(mask)[1])
        last = tf.reduce_max(tf.where(mask, steps, 0), axis=1)
        return tf.gather(values, last, axis=1, batch_dims=1)
    known = values.shape[1]
    if known is not None and not -known <= at < known:
        raise ValueError(
            f"`at` must be the number of a step, from {-known} to {known - 1}. Received: at={at}"
        )
    return tf.gather(values, at % time, axis=1)


def _mask_for(outputs: Any, masks: list[Any]) -> Any:
    """Which steps of an output are there: by its own mask, or that of a layer as long."""
    mask = getattr(outputs, "_keras_mask", None)
    for found in [mask, *reversed(masks)]:
        if found is not None and found.shape[:2] == outputs.shape[:2]:
            return found
    return None


def _rows(outputs: Any) -> Any:
    return tf.shape(tree.flatten(outputs)[0])[0]


def _shapes(outputs: Any) -> str:
    return ", ".join(str(tuple(getattr(x, "shape", ()))) for x in tree.flatten(outputs))
