"""Pages in Markdown, and what their code blocks say, so that tests can run them.

A comment above a block says what no reader needs to see:

- `<!-- file: NAME -->`: the block is a file that the page's code and commands read;
- `<!-- printed -->`: the page's code prints the block, `…` for the folder it runs in;
- `<!-- needs: MODULE -->`: the block is left out where there is no such module.
"""

import ast
import contextlib
import dataclasses
import importlib.util
import io
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/kerasrnn/kerasrnn"
_BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n\n)?^```(\w+)\n(.*?)^```$", re.S | re.M)


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of a page: its language, what stands in it, from which line, and the comment."""

    language: str
    text: str
    line: int
    comment: str

    @property
    def there(self) -> bool:
        """Whether what the block needs is there."""
        kind, _, module = self.comment.partition(": ")
        return kind != "needs" or importlib.util.find_spec(module) is not None


class Page:
    """A page of Markdown."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.blocks = [
            Block(found[2], found[3], self.text.count("\n", 0, found.start(3)), found[1] or "")
            for found in _BLOCK.finditer(self.text)
        ]

    def __repr__(self) -> str:
        return str(self.path.relative_to(ROOT))

    def of(self, language: str) -> list[str]:
        """The text of all blocks in a language."""
        return [block.text for block in self.blocks if block.language == language]

    def code(self) -> str:
        """All Python of the page in one file that has the page's line numbers."""
        lines = [""] * (self.text.count("\n") + 1)
        for block in self.blocks:
            if block.language == "python" and block.there:
                code = block.text.splitlines()
                lines[block.line : block.line + len(code)] = code
        return "\n".join(lines)

    def commands(self) -> list[str]:
        """The lines of all shell blocks, those joined by `&&` one by one, without comments."""
        lines = [
            line.split("  #")[0].strip()
            for block in self.blocks
            if block.language == "sh" and block.there
            for line in block.text.splitlines()
        ]
        return [part for line in lines if line and line[0] != "#" for part in line.split(" && ")]

    def write_files(self, folder: Path) -> None:
        """Write the files that the page shows."""
        for block in self.blocks:
            kind, _, name = block.comment.partition(": ")
            if kind == "file":
                (folder / name).write_text(block.text, encoding="utf-8")

    def run(self, folder: Path) -> dict[str, Any]:
        """Run the page's Python from top to bottom, and check what the page says of values.

        These are `# [...]` or `# '...'` in the line below an expression, its `repr`;
        `# (2, 3)` behind one, its shape; and the blocks that are printed.

        Args:
            folder: where to run it, with the files that the page shows.

        Returns:
            The names that there are at the end.
        """
        self.write_files(folder)
        code, names = self.code(), {"__name__": "page"}
        lines = [*code.splitlines(), ""]
        output = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(output):
            for node in ast.parse(code).body:
                if isinstance(node, ast.Expr):
                    self._check(node, lines, names)
                else:
                    exec(compile(ast.Module([node], []), str(self.path), "exec"), names)
        printed = output.getvalue().replace(str(folder), "…")
        for block in self.blocks:
            assert block.comment != "printed" or block.text in printed, printed
        return names

    def _check(self, node: ast.Expr, lines: list[str], names: dict[str, Any]) -> None:
        value = eval(compile(ast.Expression(node.value), str(self.path), "eval"), names)
        where = f"{self}, line {node.lineno}: {value!r}"
        assert node.end_lineno is not None
        behind, below = lines[node.end_lineno - 1], lines[node.end_lineno]
        if re.match(r"# [\['\"]", below):
            assert below.startswith(f"# {value!r}"), where
        if shape := re.search(r"  # (\((?:\d+, ?)*\d*\))$", behind):
            found = value if isinstance(value, tuple) else tuple(value.shape)
            assert found == ast.literal_eval(shape[1]), where

    def lost(self) -> list[str]:
        """What Markdown takes for HTML and does not show: `a<t>` outside of code."""
        prose = re.sub(
            r"^```.*?^```$|`[^`\n]*`|^    .*$|<!--.*?-->", "", self.text, flags=re.S | re.M
        )
        return re.findall(r".{0,20}(?<!\\)<(?!/?(?:sub|sup|br)>)\w[^>\n]*>", prose)

    def check_links(self) -> None:
        """Check that what the page links to in the repository is there."""
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", self.text):
            place = re.match(rf"{REPOSITORY}/(?:blob|tree)/main/(.*)", target)
            if place:
                assert (ROOT / place[1]).exists(), f"{self}: {target}"
            elif "://" not in target and not target.startswith(MADE):
                assert (self.path.parent / target).exists(), f"{self}: {target}"


# Pages that are made when the site is: Sphinx checks that they are there.
MADE = ("api/", "presets/", "examples/")
