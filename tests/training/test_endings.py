"""Interrupts and errors become a line and an exit status."""

import os
import signal

import pytest
from rich.console import Console

from training.endings import Interrupted, InterruptGuard, reporting_errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_a_safe_place(number):
    with InterruptGuard() as guard:
        guard.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match=signal.Signals(number).name):
            guard.check()


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with InterruptGuard():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_interrupt_ends_at_once():
    # A shell lets the jobs in its background ignore this signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), InterruptGuard():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupts_and_errors_become_an_exit_status(capsys):
    console = Console(width=200)
    with (
        pytest.raises(SystemExit) as stop,
        reporting_errors(console, "python -m training.tagger", lambda: "runs/a"),
    ):
        raise Interrupted(signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGTERM
    assert "python -m training.tagger --out runs/a --resume" in capsys.readouterr().out
    with (
        pytest.raises(SystemExit) as stop,
        reporting_errors(console, "python -m training.tagger", lambda: None),
    ):
        raise ValueError("train.conll, line 3: [expected] a tag")
    assert stop.value.code == 2
    assert "train.conll, line 3: [expected] a tag" in capsys.readouterr().err
