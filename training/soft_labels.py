"""Texts with the probabilities that a teacher gave to labels, in one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasrnn.data.files import read_arrays
from kerasrnn.storage.atomic import replacing_file

from .flags import UsageError

# Probabilities are kept in steps of 1/255: a teacher's last per mille teaches nothing.
_STEPS = 255


@dataclass(frozen=True)
class SoftLabels:
    """What a teacher said of texts.

    Attributes:
        texts: each a list of words.
        labels: the names of the labels.
        probabilities: for each text float32 `(words, labels)`, or `(labels,)` where a label is that
            of the whole text; each row adds up to 1.
    """

    texts: Sequence[Sequence[str]]
    labels: Sequence[str]
    probabilities: Sequence[np.ndarray]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, without pickle, whole or not at all.

        Args:
            path: an `.npz` file.

        Raises:
            ValueError: if a word is empty, or has a tab or a line break.
        """
        for text in self.texts:
            for word in text:
                if not word or "\t" in word or "\n" in word:
                    raise ValueError(
                        f"A word must not be empty nor have tabs or line breaks. Received: {word!r}"
                    )
        lines = "\n".join("\t".join(text) for text in self.texts)
        rows = np.concatenate([np.atleast_2d(row) for row in self.probabilities])
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(Path(path)) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                texts=np.frombuffer(lines.encode(), np.uint8),
                labels=np.frombuffer("\n".join(self.labels).encode(), np.uint8),
                probabilities=np.round(_STEPS * rows).astype(np.uint8),
                words=np.array(self.probabilities[0].ndim == 2),
            )

    def columns(self, labels: Sequence[str]) -> list[np.ndarray]:
        """The probabilities in the order of a model's labels.

        Args:
            labels: the labels of the model, each once. One that the teacher never saw, such as the
                inside of an entity of one word, has no probability.

        Returns:
            For each text `(words, labels)` or `(labels,)`.

        Raises:
            UsageError: if the teacher knows labels that the model does not know.
        """
        unknown = [label for label in self.labels if label not in labels]
        if unknown:
            raise UsageError(
                f"The teacher's labels must be among those of the data, {', '.join(labels)}. "
                f"Received: {', '.join(unknown)}"
            )
        spread = np.zeros((len(self.labels), len(labels)), np.float32)
        spread[range(len(self.labels)), [list(labels).index(label) for label in self.labels]] = 1
        return [row @ spread for row in self.probabilities]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SoftLabels:
        """Read a file that `save` wrote.

        Args:
            path: the file.

        Returns:
            What was saved; probabilities are multiples of 1/255, divided by their sum.

        Raises:
            UsageError: if there is no such file or it is another.
        """
        try:
            arrays = read_arrays(path)
            lines = arrays["texts"].tobytes().decode().split("\n")
            labels = arrays["labels"].tobytes().decode().split("\n")
            texts = [line.split("\t") for line in lines]
            words = bool(arrays["words"])
            shape = (sum(map(len, texts)) if words else len(texts), len(labels))
            steps = arrays["probabilities"]
            if steps.shape != shape or steps.dtype != np.uint8:
                raise ValueError(
                    f"probabilities {steps.shape} of {steps.dtype} in place of {shape}"
                )
        except (ValueError, KeyError) as error:
            raise UsageError(
                f"--soft-labels: {path} is no file of soft labels, as python -m training.teacher "
                f"writes: {error}"
            ) from error
        rows = steps.astype(np.float32)
        rows /= np.maximum(rows.sum(axis=1, keepdims=True), 1)
        if words:
            ends = np.cumsum([len(text) for text in texts])
            return cls(texts, labels, np.split(rows, ends[:-1]))
        return cls(texts, labels, list(rows))
