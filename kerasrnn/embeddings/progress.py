"""A bar that shows how far a file has been read."""

from __future__ import annotations

from collections.abc import Iterator

from kerasrnn.embeddings.tables import Block, Table


def with_bar(name: str, table: Table) -> Iterator[Block]:
    """The blocks of a table, with a bar on the standard error stream.

    Args:
        name: what the bar says that is read.
        table: the table.

    Yields:
        Its blocks.
    """
    # Takes a moment to load, and only bars need it.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} terms"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=1.0, rows=0)
        rows = 0
        for block in table.blocks:
            rows += len(block.terms)
            yield block
            bar.update(task, completed=table.position(), rows=rows)
        bar.update(task, completed=1.0)
