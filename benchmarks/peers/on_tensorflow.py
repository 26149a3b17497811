"""Layers of this project and of Keras, as functions of TensorFlow with and without XLA."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import kerasrnn
from benchmarks.cases import Case, Weights, gradients_by_name, negate_update_gate
from kerasrnn import layers

CLASSES = {
    "simple": "SimpleRNN",
    "gru": "GRU",
    "lstm": "LSTM",
    "bidirectional": "LSTM",
    "simplified_gru": "SimplifiedGRU",
}
GRAPH, XLA, SEGMENTS = "graph", "xla", "graph-segments"


class LayersOnTensorFlow:
    """`kerasrnn.layers` or `keras.layers`.

    Args:
        library: "kerasrnn" or "keras".
        threads: threads within an op, and ops at a time.
    """

    def __init__(self, library: str, threads: int) -> None:
        self.library = library
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def modes(self) -> tuple[str, ...]:
        has_segments = "segment_length" in inspect.signature(layers.RNN).parameters
        if self.library == "kerasrnn" and has_segments:
            return GRAPH, XLA, SEGMENTS
        return GRAPH, XLA

    def versions(self) -> dict[str, str]:
        return {
            "kerasrnn": kerasrnn.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        }

    def warm_up(self, mode: str) -> None:
        weights = tf.Variable(tf.ones((4, 4)))

        @tf.function(jit_compile=mode == XLA)
        def step(x: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                y = tf.tanh(x @ weights)
            return tape.gradient(y, weights)

        step(tf.ones((2, 4)))

    def runner(self, case: Case, mode: str) -> TensorFlowRunner:
        return TensorFlowRunner(self, case, mode)

    def export(self, case: Case, path: str) -> None:
        layer = self.layer(case, GRAPH)
        model = keras.Sequential([keras.Input((None, case.point.input_dim)), layer])
        model.export(path, format="tf_saved_model", verbose=False)

    def layer(self, case: Case, mode: str) -> Any:
        """The layer of a case, with its weights."""
        arguments: dict[str, Any] = {"return_sequences": True}
        if self.library == "keras" and case.cell == "gru":
            arguments["reset_after"] = False
        if mode == SEGMENTS:
            arguments["segment_length"] = "sqrt"
        module = keras.layers if self.library == "keras" else layers
        layer = getattr(module, CLASSES[case.cell])(case.point.units, **arguments)
        if case.directions == 2:
            layer = module.Bidirectional(layer)
        layer.build((None, None, case.point.input_dim))
        for cell, weights in zip(cells_of(layer), case.weights(), strict=True):
            kernel, recurrent_kernel, bias = self.translate(case, weights)
            cell.kernel.assign(kernel)
            cell.recurrent_kernel.assign(recurrent_kernel)
            cell.bias.assign(bias)
        return layer

    def translate(self, case: Case, weights: Weights) -> Weights:
        """Weights, or gradients by them, from our convention to the library's or back."""
        if self.library == "keras" and case.cell == "gru":
            return negate_update_gate(weights)
        return weights


class TensorFlowRunner:
    """One network as a function of TensorFlow, with its inputs at hand."""

    def __init__(self, peer: LayersOnTensorFlow, case: Case, mode: str) -> None:
        self._peer, self._case = peer, case
        layer = peer.layer(case, mode)
        data = case.data()
        mask = None if data.mask is None else tf.constant(data.mask)
        weights = [
            variable.value
            for cell in cells_of(layer)
            for variable in (cell.kernel, cell.recurrent_kernel, cell.bias)
        ]

        def infer(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
            return layer(x, mask=mask, training=False)

        def train(x: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, mask=mask, training=True)
            return tape.gradient(y, [x, *weights], output_gradients=upstream)

        self._function = tf.function(train if case.trains else infer, jit_compile=mode == XLA)
        self._arguments = tf.constant(data.inputs), tf.constant(data.upstream)

    def __call__(self) -> Any:
        # On a CPU, TensorFlow returns when all is computed.
        return self._function(*self._arguments)

    def results(self) -> dict[str, np.ndarray]:
        if not self._case.trains:
            return {"output": self().numpy()}
        d_inputs, *d_weights = (gradient.numpy() for gradient in self())
        return gradients_by_name(
            d_inputs,
            [
                self._peer.translate(self._case, Weights(*d_weights[3 * i : 3 * i + 3]))
                for i in range(self._case.directions)
            ],
        )


def cells_of(layer: Any) -> list[Any]:
    """The cell of a layer, or the two of a bidirectional one."""
    if hasattr(layer, "forward_layer"):
        return [layer.forward_layer.cell, layer.backward_layer.cell]
    return [layer.cell]
