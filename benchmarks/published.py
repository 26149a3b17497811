"""Published figures, and the commands that measure this project's own beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BAI = "Bai et al. 2018"
HOCHREITER = "Hochreiter & Schmidhuber 1997"
CHUNG = "Chung et al. 2014"

# The figures of these were quoted from memory and not yet compared with the papers.
FROM_MEMORY = (HOCHREITER, CHUNG)

# Figures of an experiment that are not errors but numbers of sequences.
SOLVED_AFTER = "solved_after"


@dataclass(frozen=True)
class Experiment:
    """A row of a table.

    Attributes:
        name: what `python -m benchmarks.tables NAME` calls it, and its file of results.
        title: the task, for people.
        source: who published the figures.
        published: figures by model.
        aim: what is to be reached: at most so much.
        figure: the name of the figure in the `test` part of `metrics.json`, or `SOLVED_AFTER`: the
            number of training sequences until the task was solved.
        unit: what the figure counts.
        arguments: the command line of `python -m training.memory`, without seed and folder.
        note: what a reader must know.
    """

    name: str
    title: str
    source: str
    published: Mapping[str, float | tuple[float, float]]
    aim: float
    figure: str
    unit: str
    arguments: str
    note: str = ""


EXPERIMENTS = (
    Experiment(
        "adding",
        "adding, T = 600, about 70 K parameters",
        BAI,
        {"LSTM": 0.164, "GRU": 5.3e-5, "RNN": 0.177, "TCN": 5.8e-5},
        5e-5,
        "mse",
        "mean squared error, 1,000 test sequences",
        "--task adding --length 600 --cell gru --units 150 --chrono-length 600 --sequences 8000 "
        "--epochs 8 --batch-size 32 --learning-rate 0.01 --no-xla",
        "Numbers uniform in [0, 1), two of the 600 steps marked, any two, as in the authors' "
        "program. Training sequences are new in each epoch; the authors made 50,000 once.",
    ),
    Experiment(
        "copy",
        "copy, T = 1000, about 16 K parameters",
        BAI,
        {"LSTM": 0.0204, "GRU": 0.0197, "RNN": 0.0202, "TCN": 3.5e-5},
        1e-3,
        "loss",
        "cross-entropy in nats, mean over all 1,020 steps of 1,000 test sequences",
        "--task copy --length 1000 --shortest 30 --cell simplified_gru --units 84 "
        "--chrono-length 2000 --sequences 4000 --epochs 120 --batch-size 32 "
        "--learning-rate 0.02 --clip-norm 0.1 --no-xla",
        "Ten symbols out of eight, 1,000 steps, the symbols again. Ours reads symbols as one-hot "
        "vectors, the authors' models the symbol's number; and for nine tenths of the epochs it "
        "is trained on shorter sequences, of 30 blank steps and then twice as many up to 960; the "
        "authors' are always of 1,000. 0.0204 is what a model without memory reaches.",
    ),
    Experiment(
        "temporal_order",
        "temporal order, 2 symbols (6a)",
        HOCHREITER,
        {"LSTM": 31_390},
        31_390,
        SOLVED_AFTER,
        "training sequences until solved",
        "--task temporal_order --until-solved --cell gru --units 32 --sequences 512 "
        "--epochs 60 --batch-size 16 --learning-rate 0.01 --floor 0.2",
        "Solved, by the paper's criterion: the latest 2,000 training sequences, each judged before "
        "the weights were changed for it, had every output within 0.3 of its target; these (here "
        "2,048) are among the sequences counted. The paper's outputs are logistic, ours a "
        "softmax.",
    ),
    Experiment(
        "temporal_order_3",
        "temporal order, 3 symbols (6b)",
        HOCHREITER,
        {"LSTM": 571_100},
        571_100,
        SOLVED_AFTER,
        "training sequences until solved",
        "--task temporal_order_3 --until-solved --cell gru --units 32 --sequences 512 "
        "--epochs 120 --batch-size 16 --learning-rate 0.01 --floor 0.2 --no-xla",
        "Solved as above.",
    ),
    Experiment(
        "reber",
        "embedded Reber grammar (1)",
        HOCHREITER,
        {"LSTM": (8_440, 39_740)},
        8_440,
        SOLVED_AFTER,
        "training sequences until solved",
        "--task reber --until-solved --no-xla",
        "256 strings to train on and 256 others, as in the paper. Solved: after each symbol of "
        "each of the 512 strings, the symbols that may follow have the highest scores; looked at "
        "after each 256 training strings. The paper's range is that of its different networks.",
    ),
)


@dataclass(frozen=True)
class Music:
    """A data set of polyphonic music and its published figures, in nats a frame.

    Attributes:
        name: what `benchmarks.music` calls the data set.
        title: the data set's name.
        published: figures by model, of the test part.
        preset: the preset of the zoo that was trained on it, if there is one.
    """

    name: str
    title: str
    published: Mapping[str, float]
    preset: str = ""


MUSIC = (
    Music("JSB_Chorales", "JSB Chorales", {"tanh": 9.10, "GRU": 8.54, "LSTM": 8.67}, "music_jsb"),
    Music(
        "Nottingham", "Nottingham", {"tanh": 3.13, "GRU": 3.23, "LSTM": 3.20}, "music_nottingham"
    ),
    Music("MuseData", "MuseData", {"tanh": 6.23, "GRU": 5.99, "LSTM": 6.23}),
    Music("Piano_midi", "Piano-midi.de", {"tanh": 9.03, "GRU": 8.82, "LSTM": 9.03}),
)
