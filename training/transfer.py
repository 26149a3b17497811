"""Transfer in the scripts of models that read words: a new head, frozen parts, new words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

from kerasrnn.embeddings import read_vectors
from kerasrnn.zoo import LanguageModel, Task

from .data import check_vectors, data_path
from .flags import COUNT, TrainingConfig, UsageError, flag
from .pretrained_words import WordVectorConfig
from .script import RunData, Script

_FROZEN = ("none", "words", "body")

Model = TypeVar("Model", bound=Task)


def _check_new_words(source: str) -> None:
    if source not in ("none", "pieces"):
        check_vectors(source)


@dataclass
class TransferConfig(WordVectorConfig):
    """The flags of scripts that can carry a model to new data."""

    group: ClassVar[str] = "start"

    new_head: bool = flag(
        False, "keep the body of --preset, and learn the labels of --data with a new head"
    )
    new_words: str | None = flag(
        None,
        "add the words of --data to those of --preset, with vectors made of their pieces, or of "
        "what --embeddings takes: none, pieces or a source",
        check=_check_new_words,
    )
    freeze: str | None = flag(
        None,
        "what is kept as it is: words (their vectors) or body (all but the head)",
        choices=_FROZEN,
        shown="what is frozen in --preset",
    )
    unfreeze_after: int | None = flag(
        None, "after how many epochs what --freeze names learns, too", within=COUNT
    )

    def check(self) -> None:
        super().check()
        for name in ("new_head", "new_words"):
            if getattr(self, name) and not self.preset:
                raise UsageError(f"--{name.replace('_', '-')} needs --preset, whose body is kept.")
        if self.freeze == "body" and not self.preset:
            raise UsageError("--freeze body needs --preset: a new body has learnt nothing.")
        if self.freeze == "words" and not self._has_vectors:
            raise UsageError(
                "--freeze words needs --preset or --embeddings: new vectors have learnt nothing."
            )
        if self.evaluate_only:
            for name in ("new_head", "new_words", "freeze", "unfreeze_after"):
                if name in self.given:
                    raise UsageError(
                        f"--evaluate-only trains nothing: --{name.replace('_', '-')} cannot be set."
                    )
        if self.unfreeze_after is None:
            return
        if self.freeze not in ("words", "body"):
            raise UsageError("--unfreeze-after needs --freeze words or --freeze body.")
        if self.epochs is not None and self.unfreeze_after >= self.epochs:
            raise UsageError(
                f"--unfreeze-after must be below --epochs, which is {self.epochs}. "
                f"Received: {self.unfreeze_after}"
            )

    @property
    def _has_vectors(self) -> bool:
        return bool(self.preset or self.embeddings)

    # === The preset ===

    @property
    def allowed_with_preset(self) -> frozenset[str]:
        """The options of new models that a new head takes, too."""
        return self.head_options if self.new_head else frozenset()

    @property
    def overrides(self) -> dict[str, Any]:
        """The options that replace those of a preset; those of a new head come with its labels."""
        return {n: v for n, v in super().overrides.items() if n not in self.allowed_with_preset}

    @property
    def head_changes(self) -> dict[str, Any]:
        """What is set of the arguments of a new head."""
        return {n: v for n, v in self.options.items() if n in self.head_options}

    def of_preset(self, settings: Mapping[str, Any]) -> Self:
        own = {name: getattr(self, name) for name in self.allowed_with_preset & set(self.of_model)}
        return replace(super().of_preset(settings), **own)

    def with_new_words(self, model: Model, words: Iterable[str]) -> Model:
        """A model that knows the words of its new data, as `--new-words` says.

        Args:
            model: a model with a `vocabulary` of words.
            words: those of the data.

        Returns:
            The model, or another with the same weights.
        """
        if self.new_words in (None, "none"):
            return model
        words = list(dict.fromkeys(words))
        if self.new_words == "pieces":
            return model.with_words(words, "pieces")
        vocabulary: Any = model.vocabulary
        terms = list(dict.fromkeys([*vocabulary.terms, *vocabulary.forms(words)]))
        vectors = read_vectors(data_path(self.new_words or ""), terms)
        known = [term for term, found in zip(terms, vectors.found, strict=True) if found]
        return model.with_words(words, (known, vectors.matrix[vectors.found]))

    # === What is frozen ===

    def set_frozen(self, model: Task) -> None:
        """Freeze what the flags name, and no more."""
        if self.freeze is not None:
            model.unfreeze()
            if self.freeze != "none":
                model.freeze(self.freeze)

    def unfreeze(self, model: Task) -> None:
        """Let learn what was frozen."""
        model.unfreeze()
        if self.freeze == "words":
            model.unfreeze("words")  # also those that the constructor keeps as they are


Config = TypeVar("Config", bound=TransferConfig)
Data = TypeVar("Data", bound=RunData)


class TransferScript(Script[Config, Data]):
    """A script whose model can be carried to new data."""

    def preset_model(self, config: Config) -> tuple[Task, Config]:
        """The model of `--preset`; of a language model's one that stands on its weights."""
        if config.new_head:
            model = Task.from_preset(config.preset or "")
            if isinstance(model, LanguageModel):
                options = {"dtype": config.precision, **config.overrides}
                task_class: Any = self.task_class
                # With labels that are there until the data is read.
                started = task_class.from_language_model(model, ["O", "B-X"], **options)
                return started, self.for_preset(config, started)
        return super().preset_model(config)

    def set_frozen(self, config: Config, model: Task) -> None:
        config.set_frozen(model)


@contextlib.contextmanager
def naming_new_head(config: TrainingConfig) -> Iterator[None]:
    """Within this block, an error of labels that a preset does not know names the way out."""
    try:
        yield
    except ValueError as error:
        if config.preset and not config.evaluate_only and not getattr(config, "new_head", False):
            error.args = (f"{error} For other labels than the preset's: --new-head.",)
        raise
