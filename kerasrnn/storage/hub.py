"""Names of repositories on the Hugging Face hub, and what its client fetches from there."""

from __future__ import annotations

import contextlib
import logging
import re
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kerasrnn._version import __version__
from kerasrnn.extras import require

HUB_PREFIX = "hf://"

# As the hub has names, and what Git allows in those of branches and tags but for rare signs.
_PART = re.compile(r"(?!.*(?:--|\.\.|\.git$))\w(?:[\w.-]{0,94}\w)?", re.ASCII)
_REVISION = re.compile(r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))\w(?:[\w.+/-]*[\w+-])?", re.ASCII)

_LONGEST = 200  # signs of a message of the client's that are passed on
_TOKEN = "log in with `hf auth login`, or set HF_TOKEN"


@dataclass(frozen=True)
class HubName:
    """A repository on the hub and a revision of it: `hf://owner/name@revision`.

    Attributes:
        repository: `owner/name`.
        revision: A branch, a tag or a commit; None for what the hub shows first, `main`.

    Example:

    >>> from kerasrnn.storage.hub import HubName
    >>> HubName.parse("hf://owner/tagger@v1")
    HubName(repository='owner/tagger', revision='v1')
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str, name: str = "`preset`") -> Self:
        """Take a name apart.

        Args:
            text: the name.
            name: what it is called in an error.

        Raises:
            ValueError: if it has another form.
        """
        repository, at, revision = str(text).removeprefix(HUB_PREFIX).partition("@")
        parts = repository.split("/")
        if (
            not str(text).startswith(HUB_PREFIX)
            or len(parts) != 2
            or not all(map(_PART.fullmatch, parts))
            or (at and not _REVISION.fullmatch(revision))
        ):
            raise ValueError(
                f"{name} must have the form hf://owner/name or hf://owner/name@revision, whose "
                "revision is a branch, a tag or a commit. "
                f"Received: {reprlib.repr(text)}"
            )
        return cls(repository, revision if at else None)

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{HUB_PREFIX}{self.repository}{revision}"


def client(name: HubName, token: str | bool | None = None) -> Any:
    """The hub's own client, a `huggingface_hub.HfApi`.

    Args:
        name: what it is needed for.
        token: an access token; None for the one that the client finds.

    Raises:
        ImportError: if it is not installed.
    """
    hub = require("huggingface_hub", "hub", str(name))
    return hub.HfApi(token=token, library_name="kerasrnn", library_version=__version__)


def fetched(name: HubName, patterns: Sequence[str]) -> Path:
    """Fetch files of a repository into the cache of the hub's client, where they are not yet.

    Args:
        name: the repository and its revision.
        patterns: which files.

    Returns:
        The folder that holds them, which has the commit's name.

    Raises:
        FileNotFoundError: if there is no such repository or revision.
        PermissionError: if the hub wants a token, or another one.
        ConnectionError: if the hub cannot be reached, and the cache does not have all of them.
        OSError: if the hub gives an answer that makes no sense.
    """
    api = client(name)
    with speaking_plainly(name, "fetched", api.endpoint):
        folder = api.snapshot_download(
            name.repository, revision=name.revision, allow_patterns=list(patterns)
        )
    return Path(folder)


@contextlib.contextmanager
def speaking_plainly(name: HubName, done: str, endpoint: str) -> Iterator[None]:
    """Turn what the hub's client raises into errors of Python's own, of a line or two.

    Args:
        name: the repository.
        done: what is done with it, such as `"fetched"`.
        endpoint: the hub's address.

    Raises:
        FileNotFoundError: there is no such repository or revision.
        PermissionError: the hub wants a token, or another one.
        ConnectionError: the hub cannot be reached.
        OSError: anything else.
    """
    from huggingface_hub import errors

    try:
        with _quiet():
            yield
    except errors.GatedRepoError as error:
        raise PermissionError(
            f"{name} is gated: ask for access at {endpoint}/{name.repository}, and {_TOKEN}."
        ) from error
    except errors.RevisionNotFoundError as error:
        revision = name.revision or "main"
        raise FileNotFoundError(
            f"{name.repository} on the hub {endpoint} has no branch, tag or commit {revision!r}."
        ) from error
    except errors.RepositoryNotFoundError as error:
        if done == "uploaded":
            raise PermissionError(
                f"{name} cannot be uploaded: the hub {endpoint} wants a token that may write "
                f"there: {_TOKEN}."
            ) from error
        raise FileNotFoundError(
            f"The hub {endpoint} has no repository {name.repository}, or it is private: then "
            f"{_TOKEN}."
        ) from error
    except Exception as error:
        cause: BaseException = error
        if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__:
            cause = error.__cause__  # why it looked in the cache
        if isinstance(cause, errors.OfflineModeIsEnabled):
            raise ConnectionError(
                f"{name} cannot be {done} while HF_HUB_OFFLINE is set"
                + (": the cache lacks it." if done == "fetched" else ".")
            ) from error
        text = f"{name} cannot be {done}: the hub {endpoint}"
        response = getattr(cause, "response", None)
        status = getattr(response, "status_code", 0)
        if status:
            said = getattr(cause, "server_message", None)
            text += f" answered {status}{f', {_line(said)}' if said else ''}."
            if status in (401, 403):
                raise PermissionError(f"{text} You need a token that may: {_TOKEN}.") from error
            raise OSError(text) from error
        if _is_of_the_network(cause, errors.HfHubHTTPError):
            raise ConnectionError(f"{text} cannot be reached: {_line(cause)}.") from error
        if isinstance(cause, OSError) and cause.errno:  # of this machine, such as a full disk
            raise OSError(f"{name} cannot be {done}: {_line(cause)}.") from error
        raise OSError(f"{text} gave no good answer: {_line(cause)}.") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Lets the client say nothing of each try, unless it was asked to say more than warnings."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    if logger.getEffectiveLevel() == logging.WARNING:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _is_of_the_network(error: Any, http_error: type[Exception]) -> bool:
    """Whether a request was not answered: an error of the library that the client makes it with."""
    library = http_error.__bases__[0].__module__.partition(".")[0]
    own = type(error).__module__.partition(".")[0] == library
    return own or isinstance(error, ConnectionError | TimeoutError)


def _line(error: object) -> str:
    """A text in a line, without what a terminal would take for commands."""
    text = " ".join(str(error).split()).rstrip(".")
    text = "".join(sign for sign in text if sign.isprintable())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
