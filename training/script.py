"""What every training script does, from its flags to the folder that it leaves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import keras
from rich.console import Console
from rich.table import Table

from kerasrnn.lens import LensCallback
from kerasrnn.serving import serving_command
from kerasrnn.zoo import Task

from . import plots
from .endings import make_console, reporting_errors
from .fitting import (
    RunCallback,
    Speed,
    Stage,
    decaying_adam,
    fit_run,
    parameters_of,
    set_seeds,
)
from .flags import TrainingConfig, UsageError, filled, parse_config, settings_of
from .run_folder import RunFolder


class RunData(Protocol):
    """What a script's `load_data` returns."""

    source: str

    def sizes(self) -> dict[str, int]:
        """How much there is of each part, for `config.toml`."""
        ...


FLOW_PICTURE = "gradient_flow.png"

# How many examples `--lens` measures.
SAMPLE = 8

# After how many batches, at least.
_APART = 500

Config = TypeVar("Config", bound=TrainingConfig)
Data = TypeVar("Data", bound=RunData)


@dataclass(frozen=True)
class Plan:
    """How a model is to be trained.

    Attributes:
        fit: called with `epochs`, `initial_epoch`, `callbacks` and `verbose`, as `model.fit`.
        steps: how many batches an epoch has.
        counted: how much an epoch reads, in what the script's `counted` says, for its speed.
        monitor: the figure that says which weights are best, such as `val_f1`.
        maximize: whether more of it is better.
        figures: what to show of an epoch's logs, and how to call it.
        optimizer: None for Adam with a rising and falling step size.
        adam: the class of that Adam, such as `LazyAdam`.
        compile: further arguments of `compile`.
        unfreeze_after: after how many epochs `unfreeze` is called; None for never.
        unfreeze: lets learn what is frozen.
        sample: a few examples, as `fit` takes them, for `--lens`; the same ones in every run.
    """

    fit: Callable[..., Any]
    steps: int
    counted: int
    monitor: str
    maximize: bool = True
    figures: Mapping[str, str] = field(default_factory=dict)
    optimizer: keras.optimizers.Optimizer | None = None
    adam: type[keras.optimizers.Optimizer] = keras.optimizers.Adam
    compile: Mapping[str, Any] = field(default_factory=dict)
    unfreeze_after: int | None = None
    unfreeze: Callable[[], None] | None = None
    sample: Any = None


class Script(ABC, Generic[Config, Data]):
    """A training script: one for each model of the zoo.

    A subclass says where data comes from and what the model is; the order of things is here: flags,
    data, model, training with checkpoints, preset, export, figures, pictures, and a few answers.

    Class attributes:
        name: the script's name: it is started as `python -m training.NAME`.
        description: a sentence for `--help`.
        example: flags that `--help` shows as an example.
        config_class: the flags.
        task_class: the model.
        counted: what speeds count, such as `words`.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    example: ClassVar[str] = ""
    config_class: ClassVar[type[TrainingConfig]]
    task_class: ClassVar[type[Task]]
    counted: ClassVar[str]

    # === What a script says ===

    @abstractmethod
    def load_data(self, config: Config, *, hold_out: bool = True) -> Data:
        """Read the data that the flags name.

        Args:
            config: the settings.
            hold_out: whether to split off validation data where there is none.

        Returns:
            All parts of the data.

        Raises:
            ValueError: if data cannot be read; the file and line are named.
        """

    def with_defaults(self, config: Config, data: Data) -> Config:
        """Fill in the settings that depend on the data.

        Args:
            config: the settings, None where the data decides.
            data: the data.

        Returns:
            Settings without such gaps.
        """
        return config

    @abstractmethod
    def new_model(self, config: Config, data: Data, options: dict[str, Any]) -> Task:
        """A new model, not yet compiled.

        Args:
            config: the settings, without gaps.
            data: the data; its training part gives the vocabularies.
            options: the arguments of the model that flags name.
        """

    def for_preset(self, config: Config, model: Task) -> Config:
        """The settings with which data is read for a preset: the options are those of its model."""
        return config.of_preset(model.settings)

    def adapted(self, config: Config, data: Data, model: Task) -> Task:
        """The model of a preset as the data wants it, such as with a new head.

        Args:
            config: the settings, without gaps.
            data: the data.
            model: the preset's model, or another that stands on its weights.
        """
        return model

    def check(self, model: Task, config: Config, data: Data) -> None:
        """Raise a ValueError, with the file's name, for data that the model cannot take."""

    @abstractmethod
    def describe(self, config: Config, data: Data, model: Task) -> str:
        """Two lines on the data and the model, printed before the training."""

    @abstractmethod
    def plan(self, config: Config, data: Data, model: Task) -> Plan:
        """How to train the model."""

    @abstractmethod
    def measure(self, model: Task, data: Data, config: Config) -> dict[str, dict[str, Any]]:
        """The figures of the `train`, `validation` and `test` parts, empty where there is none."""

    @abstractmethod
    def draw(
        self,
        folder: RunFolder,
        model: Task,
        data: Data,
        run: RunCallback,
        config: Config,
        metrics: Mapping[str, Any],
    ) -> None:
        """Draw the pictures of a run into `folder.plots`, which exists."""

    @abstractmethod
    def show(self, console: Console, model: Task, data: Data, metrics: Mapping[str, Any]) -> None:
        """Print the figures, and a few answers of the model."""

    @abstractmethod
    def requests(self, model: Task, data: Data) -> list[dict[str, Any]]:
        """Requests to `serving_default`, each of at most 32 items, to measure its speed with."""

    @abstractmethod
    def served(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> int:
        """How much of what is `counted` a request to `serving_default` was."""

    # === What all scripts do ===

    def main(
        self, arguments: Sequence[str] | None = None, command: str | None = None
    ) -> dict[str, Any]:
        """Run the script.

        Args:
            arguments: the command line without the program's name; None for that of the process.
            command: how it was started; None for `python -m training.NAME`.

        Returns:
            The content of `metrics.json`.

        Raises:
            SystemExit: with another status than 0, where the run ends before its time.
        """
        command = command or f"python -m training.{self.name}"
        console = make_console()
        config: Config | None = None
        with reporting_errors(console, command, lambda: config.out if config else None):
            config = parse_config(
                self.config_class,
                arguments,
                name=self.name,
                description=self.description,
                example=self.example,
                command=command,
            )  # type: ignore[assignment]
            assert config is not None
            with RunFolder(config.out or "", resume=config.resume) as folder:
                if config.evaluate_only:
                    return self.evaluate(config, folder, console)
                return self.train(config, folder, console)

    def make_model(self, config: Config, data: Data) -> Task:
        """A new model with the options that the flags name.

        Args:
            config: the settings, without gaps.
            data: the data.

        Returns:
            A model, not yet compiled.
        """
        return self.new_model(config, data, {"dtype": config.precision, **config.options})

    def preset_model(self, config: Config) -> tuple[Task, Config]:
        """The model of `--preset`, and the settings with which its data is read."""
        options = {"dtype": config.precision, **config.overrides}
        model = self.task_class.from_preset(config.preset or "", **options)
        return model, self.for_preset(config, model)

    def train(self, config: Config, folder: RunFolder, console: Console) -> dict[str, Any]:
        """Load data, train, save, export, measure, draw.

        Args:
            config: the settings.
            folder: where everything goes.
            console: where to print.

        Returns:
            The content of `metrics.json`.
        """
        set_seeds(config.seed)
        model = None
        if config.preset:
            model, config = self.preset_model(config)
        data = self.load_data(config)
        config = self.with_defaults(config, data)
        config.check()  # of what the data decides, too
        if model is None:
            model = self.make_model(config, data)
        else:
            model = self.adapted(config, data, model)
        config = config.with_settings(model.settings)
        self.set_frozen(config, model)
        self.check(model, config, data)
        folder.write_config(config, data=data.sizes())
        console.print(
            f"{self.describe(config, data, model)}, {parameters_of(model):,} weights"
            f"{_frozen(model)}, seed {config.seed} → {config.out}",
            highlight=False,
            markup=False,
        )
        lens = self.lens(config, folder)
        plan, run = self.fit(config, data, model, folder, console, lens)
        # Best first: a preset and an export exist even if something goes wrong in a picture.
        model.save_to_preset(folder.preset, extra={"training": settings_of(config)})
        report = model.export(folder.savedmodel, version=1, overwrite=True)
        metrics = {
            **self._head(config, data, model),
            "epochs": len(run.history),
            "best_epoch": run.best_epoch,
            "seconds": round(run.seconds, 1),
            "counted": self.counted,
            "counted_per_second": round(plan.counted * len(run.history) / max(run.seconds, 1e-9)),
            **self.measure(model, data, config),
        }
        folder.write_metrics(metrics)
        folder.plots.mkdir(exist_ok=True)
        self.draw(folder, model, data, run, config, metrics)
        if lens is not None and lens.measurements:
            plots.save_figure(lens.figure(), folder.plots / FLOW_PICTURE)
        self.show(console, model, data, metrics)
        console.print(f"\n{report}", style="bold", highlight=False, markup=False, soft_wrap=True)
        command = serving_command(folder.savedmodel, self.name)
        console.print(f"\n{command}", highlight=False, markup=False, soft_wrap=True)
        return metrics

    def lens(self, config: Config, folder: RunFolder) -> LensCallback | None:
        """What measures the gradient's flow with `--lens`; None without."""
        if not config.lens:
            return None
        log_dir = folder.tensorboard / "lens" if config.tensorboard else None
        return LensCallback(examples=SAMPLE, log_dir=log_dir)

    def fit(
        self,
        config: Config,
        data: Data,
        model: Task,
        folder: RunFolder,
        console: Console,
        lens: LensCallback | None = None,
    ) -> tuple[Plan, RunCallback]:
        """Train a model as its plan says, and go back to its best weights.

        Args:
            config: the settings, without gaps.
            data: the data.
            model: the model, which is compiled here.
            folder: where checkpoints and the history go; a run that lies there is gone on with.
            console: where progress is shown.
            lens: what measures the gradient's flow.

        Returns:
            The plan, and the run's history.
        """
        plan = self.plan(config, data, model)
        epochs = filled(config.epochs)
        if lens is not None:
            lens.x = plan.sample
            lens.every = _batches_apart(plan, epochs)

        def stage(begin: int, end: int, prepare: Callable[[], None] | None = None) -> Stage:
            def start() -> None:
                if prepare is not None:
                    prepare()
                optimizer = plan.optimizer or decaying_adam(
                    filled(config.learning_rate), (end - begin) * plan.steps, kind=plan.adam
                )
                model.compile(optimizer, **plan.compile)

            return Stage(end, start)

        after = plan.unfreeze_after
        stages = [stage(0, epochs)]
        if after is not None:
            stages = [stage(0, after), stage(after, epochs, plan.unfreeze)]
        run = fit_run(
            plan.fit,
            model,
            folder,
            console,
            epochs=epochs,
            stages=stages,
            steps=plan.steps,
            monitor=plan.monitor,
            maximize=plan.maximize,
            figures=plan.figures,
            patience=config.patience,
            average_weights=config.average_weights,
            callbacks=_tensorboard(folder) if config.tensorboard else (),
            speed=Speed(plan.counted, self.counted),
            lens=lens,
        )
        return plan, run

    def set_frozen(self, config: Config, model: Task) -> None:
        """Freeze what the flags name; nothing where a script has none for it."""

    def evaluate(self, config: Config, folder: RunFolder, console: Console) -> dict[str, Any]:
        """Measure a preset on all data that is named, to its end, and do nothing else.

        Args:
            config: the settings; `preset` is set.
            folder: where `config.toml` and `metrics.json` go.
            console: where to print.

        Returns:
            The content of `metrics.json`.
        """
        model, config = self.preset_model(config)
        data = self.load_data(config, hold_out=False)
        self.check(model, config, data)
        parts = self.measure(model, data, config)
        if not any(parts.values()):
            raise UsageError(f"{data.source} has nothing that could be measured.")
        metrics = {**self._head(config, data, model), "epochs": 0, "seconds": 0.0, **parts}
        folder.write_config(config, data=data.sizes())
        folder.write_metrics(metrics)
        self.show(console, model, data, metrics)
        console.print(f"\n{folder.path / 'metrics.json'}", highlight=False)
        return metrics

    def _head(self, config: Config, data: Data, model: Task) -> dict[str, Any]:
        return {
            "model": type(model).__name__,
            "dataset": data.source,
            "seed": config.seed,
            "parameters": parameters_of(model),
        }


def _batches_apart(plan: Plan, epochs: int) -> int:
    """After how many batches `--lens` measures: at ends of epochs, the same in every run.

    A measurement takes as long as some eight training steps, or some 25 of those that XLA compiles,
    which are so much faster. It is done midway and at the end in any case.
    """
    least = _APART * (3 if plan.compile.get("jit_compile") else 1)
    times = max(2, epochs * plan.steps // least)
    return plan.steps * max(1, -(-epochs // times))


def print_figures(console: Console, metrics: Mapping[str, Any], *, loss: str) -> None:
    """Print a table of the figures of each part of the data.

    Args:
        console: where to print.
        metrics: the content of `metrics.json`.
        loss: what the loss is measured in.
    """
    table = Table(title="figures", title_justify="left")
    parts = {name: metrics[name] for name in ("train", "validation", "test") if metrics[name]}
    figures = dict.fromkeys(
        key for part in parts.values() for key, value in part.items() if isinstance(value, float)
    )
    table.add_column("data")
    for figure in figures:
        table.add_column(loss if figure == "loss" else figure.replace("_", " "))
    for name, part in parts.items():
        table.add_row(name, *(f"{part[key]:.4f}" if key in part else "" for key in figures))
    console.print()
    console.print(table)


def _frozen(model: Task) -> str:
    return f", {' and '.join(model.frozen)} frozen" if model.frozen else ""


def _tensorboard(folder: RunFolder) -> list[keras.callbacks.Callback]:
    # Without the graph, of which a task's text side is no part.
    return [keras.callbacks.TensorBoard(str(folder.tensorboard), write_graph=False)]
