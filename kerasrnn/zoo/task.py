"""What every task model has in common: presets, exports and its text side."""

from __future__ import annotations

import functools
import inspect
import os
import platform
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
import tomlkit

from kerasrnn._version import __version__
from kerasrnn.layers.parts import PARTS, LayerOfLayers, trainable_config
from kerasrnn.serving.finite import check_finite_weights
from kerasrnn.text.term_files import read_terms, write_terms
from kerasrnn.zoo.files import replacing_folder, reserve
from kerasrnn.zoo.preset_arguments import (
    KERAS_ARGUMENTS,
    check_arguments,
    check_overrides,
    constructor_arguments,
)
from kerasrnn.zoo.presets import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    keep_other_files,
    preset_file,
    preset_target,
    read_config,
    resolve_preset,
)
from kerasrnn.zoo.weight_files import WEIGHTS_DTYPES, copy_weights
from kerasrnn.zoo.weight_reader import opened_weights

# What HDF5 adds to a weight, with the groups in which it lies, at most.
_HDF5_BYTES = 16_000


class Task(LayerOfLayers, keras.Model):
    """A model of the zoo: a network, its head and its text side in one object.

    A task takes raw inputs (text, a piano roll) everywhere: in `fit`, `predict`, `evaluate` and
    in the SavedModel that `export` writes. A subclass

    - passes each constructor argument to an attribute and returns it from `get_config`;
    - makes all of its weights in the constructor, so that a preset's weights can be loaded;
    - names the arguments that are lists of terms in `vocabulary_arguments`: they become text files
      of a preset;
    - sets `input_dtype` and returns its signatures and sample requests from `signatures` and
      `samples`, which `export` needs.

    Args:
        **kwargs: Passed to `keras.Model`: `name`, `dtype` (a precision policy), `trainable`.
    """

    vocabulary_arguments: ClassVar[tuple[str, ...]] = ()
    input_dtype: ClassVar[str] = "string"
    settings: dict[str, Any]
    _classes: ClassVar[dict[str, type[Task]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Inside of what `LayerOfLayers` puts around it, which looks for itself in the class.
        if "__init__" in cls.__dict__:
            cls.__init__ = _with_plain_arguments(cls.__init__)  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)
        Task._classes[cls.__name__] = cls

    # === Training ===

    def compile(
        self, optimizer: Any = "adam", *, jit_compile: bool | str = "auto", **kwargs: Any
    ) -> None:
        """Set the optimizer. The loss is the task's own.

        Args:
            optimizer: A Keras optimizer or its name.
            jit_compile: Whether to compile training steps with XLA. Unlike in other Keras models
                it is done where it is asked for, also with deterministic ops. `"auto"` leaves it
                off, for the length of a batch changes from step to step, and XLA compiles anew for
                each length; a `MemoryModel`, whose sequences have one length, turns it on.
            **kwargs: Passed to `keras.Model.compile`, except `loss`, which is refused.

        Raises:
            TypeError: if `loss` is given.
            ValueError: if `jit_compile` is none of these, or asks for XLA where there is none: with
                `run_eagerly`, and of a `MusicModel`.
        """
        if kwargs.get("loss") is not None:
            raise TypeError(f"{type(self).__name__} has its own loss; `loss` cannot be set.")
        if jit_compile not in (True, False, "auto"):
            raise ValueError(
                f"`jit_compile` must be True, False or 'auto'. Received: {jit_compile!r}"
            )
        if jit_compile == "auto":
            jit_compile = self._compiles_by_itself and not kwargs.get("run_eagerly")
        elif jit_compile and (self._not_compiled or kwargs.get("run_eagerly")):
            reason = self._not_compiled or "`run_eagerly=True` compiles nothing."
            raise ValueError(f"`jit_compile=True` cannot be: {reason}")
        super().compile(optimizer=optimizer, jit_compile=bool(jit_compile), **kwargs)

    # Whether `jit_compile="auto"` turns XLA on.
    _compiles_by_itself: ClassVar[bool] = False
    # Why XLA cannot compile a training step; empty where it can.
    _not_compiled: ClassVar[str] = ""

    @property
    def jit_compile(self) -> bool:
        """Whether training steps are compiled with XLA."""
        return bool(self._jit_compile)

    @jit_compile.setter
    def jit_compile(self, value: bool) -> None:
        # Keras sets it to False for a model that has layers of strings, which stand outside of a
        # task's training step, or while ops are deterministic, which XLA's are as well. What XLA
        # cannot compile is an error at the first step.
        self._jit_compile = value

    def get_compile_config(self) -> dict[str, Any] | None:
        """What a `.keras` file needs to compile the model again."""
        if not self.compiled:
            return None
        optimizer = keras.optimizers.serialize(self.optimizer)
        return {"optimizer": optimizer, "jit_compile": self.jit_compile}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        optimizer = keras.optimizers.deserialize(config["optimizer"])
        self.compile(optimizer, jit_compile=config["jit_compile"])
        self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force: bool = False) -> Any:
        """What `fit` and `train_on_batch` call first."""
        self._check_strategy()
        return super().make_train_function(force)

    def train_step(self, data: Any) -> Any:
        """One step of Keras's training loop."""
        self._check_strategy()
        return super().train_step(data)

    def _check_strategy(self) -> None:
        """Raise an error where several replicas would train.

        A loss is a mean over what a replica has; the gradients of all replicas would be added.
        """
        for strategy in (self.distribute_strategy, tf.distribute.get_strategy()):
            served = isinstance(strategy, tf.distribute.ParameterServerStrategy)
            if served or strategy.num_replicas_in_sync > 1:
                raise RuntimeError(
                    f"{type(self).__name__} trains on one device. Expected no tf.distribute "
                    f"strategy, or one with one replica. Received: {type(strategy).__name__} with "
                    f"{strategy.num_replicas_in_sync} replicas, whose gradients would be added up. "
                    "Make the model and train it outside of the strategy's scope."
                )

    _validation: Any = None

    def _fit(
        self, dataset: Any, *, validation: Any, sample: Callable[[Any], Any], **options: Any
    ) -> keras.callbacks.History:
        """`keras.Model.fit`, and after each epoch what `evaluate` says of `validation` in the logs.

        Args:
            dataset: batches, in their own order.
            validation: what `evaluate` finds in `_validation` when Keras calls it; None for none.
            sample: makes a dataset of it for Keras, which wants one to validate with but sees no
                more of it than that it is there.
            **options: passed on.
        """
        self._check_strategy()
        if not self.compiled:
            self.compile()
        # Variables that are made while a step is traced make TensorFlow trace it twice.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        self._validation = validation
        try:
            return keras.Model.fit(
                self,
                dataset,
                validation_data=None if validation is None else sample(validation),
                shuffle=False,
                **options,
            )
        finally:
            self._validation = None

    def _is_validating(self, keywords: Mapping[str, Any]) -> bool:
        """Whether Keras calls `evaluate`, to validate while training, and not a user.

        Args:
            keywords: what `evaluate` got besides its own arguments.

        Raises:
            TypeError: if a user gives a keyword that it does not know.
        """
        if keywords.get("_use_cached_eval_dataset") and self._validation is not None:
            return True
        unknown = sorted(set(keywords) - {"verbose", "return_dict"})
        if unknown:
            raise TypeError(f"evaluate() has no argument {unknown[0]!r}.")
        return False

    # === Presets ===

    @classmethod
    def from_preset(cls, preset: str | os.PathLike[str], **overrides: Any) -> Self:
        """Load a model with its weights and its vocabulary.

        A preset may come from a stranger: it is data. Nothing is read but the folder and nothing
        written, links are refused, and so is what would take more memory than its weights account
        for.

        Args:
            preset: A name from `list_presets()`, a folder, or `hf://owner/name` for a repository on
                the Hugging Face hub.
            **overrides: Constructor arguments that replace those of the preset, such as
                `dropout=0.1` before further training, or `dtype="mixed_bfloat16"`. What the weights
                were trained for cannot be replaced: vocabularies, tags, labels, and choices such
                as `cell` or `scheme`. What was frozen when the preset was saved stays so;
                `trainable=True` lets all of it learn.

        Returns:
            The model. `Task.from_preset` returns an object of whichever class the preset names.

        Raises:
            ValueError: if there is no such preset, if it holds an unknown setting, a value of
                another type, a link, or weights that are not those of its model, or not finite; if
                it belongs to another class than the one that is asked for; or if an override gives
                its weights another meaning.
            FileNotFoundError: if a folder is missing or incomplete.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger.from_preset("ner_en_starter")
        """
        folder = resolve_preset(preset)
        config = read_config(folder)
        task_class = cls._preset_class(config["class"], folder)
        arguments = dict(config["arguments"])
        check_arguments(task_class, arguments, folder / CONFIG_FILE)
        known = constructor_arguments(task_class)
        for name in overrides:
            if name not in known:
                raise ValueError(
                    f"unknown setting {name!r} for {task_class.__name__}. "
                    f"Expected one of {', '.join(sorted(known))}."
                )
        with opened_weights(preset_file(folder, WEIGHTS_FILE)) as weights:
            for name, file in config["vocabulary"].items():
                if name not in task_class.vocabulary_arguments:
                    raise ValueError(
                        f"{folder / CONFIG_FILE}: unknown vocabulary {name!r}. "
                        f"Expected one of {', '.join(task_class.vocabulary_arguments)}."
                    )
                arguments[name] = read_terms(preset_file(folder, file), most=weights.longest)
            check_overrides(task_class, arguments, overrides, folder)
            if "trainable" not in overrides:
                arguments |= config["trainable"]
            # The terms of overrides are those of the preset, perhaps as a tuple or an array.
            terms = task_class.vocabulary_arguments
            arguments |= {name: overrides[name] for name in overrides if name not in terms}
            # Each layer is made before the first of them has weights, which are counted.
            depth = arguments.get("depth", 1)
            if isinstance(depth, int) and depth > len(weights.arrays):
                raise ValueError(
                    f"{folder / CONFIG_FILE}: `depth` is {depth}, and {WEIGHTS_FILE} has "
                    f"{len(weights.arrays)} weights, which are fewer than one for each layer."
                )
            with weights.only_their_size():
                try:
                    task = task_class(**arguments)
                except (TypeError, ValueError) as error:  # also an argument that is missing
                    if overrides or CONFIG_FILE in str(error):
                        raise
                    raise ValueError(f"{folder / CONFIG_FILE}: {error}") from error
            weights.load_into(task)
        return task

    @classmethod
    def _preset_class(cls, name: str, folder: Path) -> type[Task]:
        if name not in Task._classes:
            raise ValueError(
                f"{folder / CONFIG_FILE}: unknown class {name!r}. "
                f"Expected one of {', '.join(sorted(Task._classes))}."
            )
        task_class = Task._classes[name]
        if not issubclass(task_class, cls):
            raise ValueError(
                f"The preset {folder} is a {name}. Load it with {name}.from_preset, "
                f"not {cls.__name__}.from_preset."
            )
        return task_class

    def save_to_preset(
        self,
        folder: str | os.PathLike[str],
        *,
        weights_dtype: str = "float32",
        extra: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write a folder that `from_preset` reads. No pickle and no code is in it.

        The folder appears whole or not at all. A preset that is there already is replaced; files
        in it that are not the preset's own, such as a card, stay.

        Args:
            folder: The folder to write: a new one, an empty one, or one that holds a preset. If it
                is a link to a folder, that folder is written and the link stays. The folder in
                which the process works, or one that this lies in, cannot be replaced.
            weights_dtype: `"float32"`; `"float16"` for half the size on disk; or `"int8"`, which
                halves the tables of embeddings once more, each row with a scale of its own, and
                is `"float16"` else. The weights of a loaded model are float32 in any case.
            extra: Further sections of `config.toml`: `training` (how it was trained) and `card`.

        Returns:
            The folder.

        Raises:
            ValueError: if `weights_dtype` is none of these, or cannot hold a weight; if a weight is
                not finite; or if the folder cannot be replaced, see above.
            FileExistsError: if there is a file of that name, a link that leads nowhere, or a folder
                with something else in it than a preset.

        Example:

        >>> import tempfile
        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger(words=["in", "paris"], tags=["O", "B-LOC", "I-LOC"])
        >>> folder = tagger.save_to_preset(tempfile.mkdtemp() + "/tagger")
        >>> sorted(path.name for path in folder.iterdir())
        ['config.toml', 'model.weights.h5', 'vocabulary']
        """
        if weights_dtype not in WEIGHTS_DTYPES:
            raise ValueError(
                f"`weights_dtype` must be one of {', '.join(WEIGHTS_DTYPES)}. "
                f"Received: {weights_dtype!r}"
            )
        check_finite_weights(self)
        target = preset_target(folder, Task._classes)
        with replacing_folder(target) as temporary:
            self._write_config(temporary, extra or {})
            size = sum(_HDF5_BYTES + 4 * int(np.prod(weight.shape)) for weight in self.weights)
            reserve(temporary, 2 * size)  # the full file, and the one of `weights_dtype`
            full = temporary / ("full." + WEIGHTS_FILE)
            self.save_weights(full)
            copy_weights(full, temporary / WEIGHTS_FILE, weights_dtype)
            full.unlink()
            if (target / CONFIG_FILE).is_file():
                keep_other_files(target, temporary)
        return Path(folder)

    def _write_config(self, folder: Path, extra: Mapping[str, Any]) -> None:
        arguments = self.arguments()
        vocabulary = {}
        for name in self.vocabulary_arguments:
            terms = arguments.pop(name)
            if terms is None:
                continue
            vocabulary[name] = f"vocabulary/{name}.txt"
            (folder / "vocabulary").mkdir(exist_ok=True)
            write_terms(folder / vocabulary[name], terms)
        # TOML has no null: an argument that is None is left out and takes its default, None.
        config = {
            "class": type(self).__name__,
            "arguments": {name: value for name, value in arguments.items() if value is not None},
            "vocabulary": vocabulary,
            "input": {"dtype": self.input_dtype},
            **({"trainable": frozen} if (frozen := trainable_config(self)) else {}),
            "versions": versions(),
            **extra,
        }
        (folder / CONFIG_FILE).write_text(tomlkit.dumps(config), encoding="utf-8")
        # What could not be read back fails here, not for the user.
        arguments = read_config(folder)["arguments"]
        check_arguments(type(self), arguments, folder / CONFIG_FILE)

    def arguments(self) -> dict[str, Any]:
        """The constructor arguments of this task, without those that every Keras model has.

        Returns:
            Plain numbers, strings, lists and None by name.
        """
        config = self.get_config()
        return {n: config[n] for n in config if n not in (*KERAS_ARGUMENTS, PARTS)}

    # === Prediction ===

    def check_answers(self, *answers: np.ndarray) -> None:
        """Raise a ValueError that says why, if some numbers that the model answers are not finite.

        Args:
            *answers: floats of any shape.

        Raises:
            ValueError: if one is NaN or infinite. It names the weight that is not finite, if any.
        """
        if not all(np.isfinite(numbers).all() for numbers in answers):
            check_finite_weights(self)
            raise ValueError(
                f"{type(self).__name__} answers with numbers that are not finite. Its weights are, "
                "but the largest are too large: training has diverged. Train it again with a "
                "smaller learning rate."
            )

    # === Export ===

    def signatures(self) -> dict[str, Any]:
        """The functions that an export serves, by name. Each task defines its own.

        Returns:
            `kerasrnn.serving.Signature` objects, `serving_default` among them.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `signatures`.")

    def samples(self) -> dict[str, dict[str, Any]]:
        """A batch of requests for each signature: an export is warmed up and verified with it.

        Returns:
            By signature, the values by input name.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `samples`.")

    def export(
        self,
        path: str | os.PathLike[str],
        version: int | None = 1,
        *,
        verify: bool = True,
        overwrite: bool = False,
    ) -> Any:
        """Write a SavedModel that a server can run on raw inputs without Python.

        The folder `<path>/<version>/` appears whole or not at all.

        Args:
            path: The folder of the served model.
            version: The number of the folder inside; None for the next free one.
            verify: Load the result through TensorFlow's C API in a fresh process and compare its
                outputs with those of this model before it is moved into place.
            overwrite: Replace the version if it exists.

        Returns:
            A `kerasrnn.serving.ExportReport`.

        Raises:
            FileExistsError: if the version exists and `overwrite` is false.
            ValueError: if a weight is not finite.
            kerasrnn.serving.VerificationError: if the SavedModel differs from this model.

        Example:

        >>> from kerasrnn.zoo import SequenceTagger
        >>> tagger = SequenceTagger.from_preset("ner_en_starter")
        >>> report = tagger.export("serving/tagger", version=1)  # doctest: +SKIP
        """
        # Serving stands beside the models; a user who never exports need not load it.
        from kerasrnn.serving import export_signatures

        return export_signatures(
            self,
            self.signatures(),
            path,
            version,
            samples=self.samples(),
            verify=verify,
            overwrite=overwrite,
        )


def versions() -> dict[str, str]:
    """The versions that a preset or a run was made with.

    Returns:
        Version strings by the names kerasrnn, keras, tensorflow and python.
    """
    return {
        "kerasrnn": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise a ValueError that names the valid choices unless `value` is one of them."""
    if value not in choices:
        raise ValueError(
            f"Unknown value for `{name}`: {value!r}. Expected one of {', '.join(choices)}."
        )


def check_between(name: str, value: Any, low: float, high: float) -> None:
    """Raise a ValueError unless `low` ≤ `value` < `high`. NumPy's numbers are numbers."""
    if not isinstance(value, int | float | np.number) or not low <= value < high:
        raise ValueError(f"`{name}` must be at least {low} and below {high}. Received: {value!r}")


def order_seed(seed: int | None, shuffle: bool) -> int | None:
    """The seed of the epochs' orders, drawn if there is none; None where all have one order."""
    if not shuffle:
        return None
    return random.randrange(2**31) if seed is None else seed


def seeds_of(seed: int | Sequence[int] | None, count: int, what: str) -> list[int]:
    """A seed for each of some things that are drawn.

    Args:
        seed: one for each, or one that is counted up from thing to thing; None draws one.
        count: how many things.
        what: what they are called in an error, such as `prompts`.

    Returns:
        `count` seeds.

    Raises:
        ValueError: if there is another number of seeds.
    """
    if seed is None:
        seed = random.randrange(2**31)
    if isinstance(seed, int | np.integer):
        return [int(seed) + number for number in range(count)]
    seeds = [int(number) for number in seed]
    if len(seeds) != count:
        raise ValueError(
            f"`seed` must be one integer, or one for each of {count} {what}. Received {len(seeds)}."
        )
    return seeds


def check_positive(name: str, value: Any) -> None:
    """Raise a ValueError unless `value` is a positive integer. NumPy's integers are integers."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {value!r}")


def _with_plain_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that takes NumPy's numbers and strings for Python's, which files can hold."""

    def plain(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else value

    @functools.wraps(init)
    def plain_init(self: Any, *arguments: Any, **keywords: Any) -> None:
        init(self, *map(plain, arguments), **{k: plain(v) for k, v in keywords.items()})

    plain_init.__signature__ = inspect.signature(init)  # type: ignore[attr-defined] # Keras reads it
    return plain_init
