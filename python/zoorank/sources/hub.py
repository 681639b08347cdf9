"""Models that hubs publish: what of them lies in the caches here, and fetching what does not.

Two hubs are known: that of Hugging Face, with its cache of repositories, and the plain
addresses of torch's hub, with its folder of checkpoints. Both are asked only for files that
their cache lacks, only when the environment allows it, and the size is said before.
"""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import urlparse

from zoorank.errors import SourceError
from zoorank.messages import listing, one_line
from zoorank.sources.base import Events

OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")

_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SECONDS = 10.0  # to wait for a hub's first answer
_HASH = re.compile(r"-([a-f0-9]{8,})\.")  # of a checkpoint's file name, as torch.hub reads it


def offline() -> str:
    """The variable of the environment that forbids to ask a hub, or nothing.

    Examples
    --------
    >>> import os
    >>> os.environ["HF_HUB_OFFLINE"] = "1"
    >>> offline()
    'HF_HUB_OFFLINE'
    >>> del os.environ["HF_HUB_OFFLINE"]
    """
    for name in OFFLINE:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            return name
    return ""


def is_repository(identifier: str) -> bool:
    """Whether a text could name a repository: ``name`` or ``organisation/name``."""
    return _REPOSITORY.fullmatch(identifier) is not None


def snapshot(
    repository: str,
    revision: str | None,
    choose: Callable[[Sequence[str]], Iterable[str]],
    lacks: Callable[[Path], str],
    events: Events,
    cache: Path | None = None,
) -> Path:
    """Find a repository of the Hugging Face hub in its cache, fetching only what is not there.

    Parameters
    ----------
    repository : str
        ``organisation/name``.
    revision : str or None
        A branch, a tag or a commit; None for the main branch.
    choose : callable
        Of all files of the repository those that are wanted.
    lacks : callable
        Told a folder, says what it lacks for the model to be used, or nothing.
    events : callable
        Told the number and size of the files before they are fetched.
    cache : Path or None
        Where repositories are kept; None for where huggingface_hub keeps them.

    Returns
    -------
    Path
        The folder of one commit, with all that `choose` wants or at least nothing lacking.

    Raises
    ------
    SourceError
        When something lacks and the hub may not be asked, or cannot be reached.
    """
    cache = cache or _cache()
    cached = find_cached(repository, revision, cache)
    lacking = lacks(cached) if cached else None
    if cached and not lacking:
        return cached
    where = f"{repository}{f'@{revision}' if revision else ''}"
    gap = f"the hub's cache lacks {lacking}" if cached else "not in the hub's cache"
    if reason := offline():
        raise SourceError(f"{where}: {gap}, and {reason} forbids to ask the hub")
    try:
        folder = _fetch(repository, revision, choose, events, cache)
    except Exception as error:  # noqa: BLE001  what a hub's answer raises depends on its library
        raise SourceError(f"{where}: {gap}, and {_said(error)}") from None
    if lacking := lacks(folder):
        raise SourceError(f"{where}: the repository has no {lacking}")
    return folder


def find_cached(repository: str, revision: str | None, cache: Path | None = None) -> Path | None:
    """Find the folder of a repository's commit in the cache, complete or not, asking nobody."""
    home = (cache or _cache()) / f"models--{repository.replace('/', '--')}"
    reference = home / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else revision
    folder = home / "snapshots" / commit if commit else None
    return folder if folder is not None and folder.is_dir() else None


def checkpoint(url: str, events: Events) -> Path:
    """Find a checkpoint in the cache of torch's hub, fetching it only when it is not there.

    Parameters
    ----------
    url : str
        Its address. The digest that ends its file name, if any, is checked after fetching.
    events : callable
        Told the size before it is fetched.

    Raises
    ------
    SourceError
        When it is not there and may not be fetched, or cannot be.
    """
    from torch.hub import download_url_to_file

    name = Path(urlparse(url).path).name
    file = _checkpoints() / name
    if file.is_file():
        return file
    if reason := offline():
        raise SourceError(
            f"{name} is not in the cache of torch's hub, and {reason} forbids to fetch it"
        )
    try:
        head = urllib.request.Request(url, method="HEAD")  # noqa: S310  the library's own address
        with urllib.request.urlopen(head, timeout=_SECONDS) as answer:  # noqa: S310
            size = int(answer.headers.get("Content-Length", 0))
        events(f"fetching {name}, {megabytes(size)}, from {urlparse(url).hostname}")
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = _HASH.search(name)
        download_url_to_file(url, str(file), digest[1] if digest else None, progress=False)
    except Exception as error:  # noqa: BLE001  what a refused connection raises is not one thing
        raise SourceError(
            f"{name} is not in the cache of torch's hub, and {_said(error)}"
        ) from None
    return file


def cached_checkpoint(url: str) -> Path | None:
    """Find a checkpoint in the cache of torch's hub, asking nobody."""
    file = _checkpoints() / Path(urlparse(url).path).name
    return file if file.is_file() else None


def megabytes(size: int) -> str:
    """Say a size as people do.

    Examples
    --------
    >>> megabytes(90_868_376), megabytes(612), megabytes(0)
    ('91 MB', '0.0 MB', 'of unknown size')
    """
    if not size:
        return "of unknown size"
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def _checkpoints() -> Path:
    from torch.hub import get_dir

    return Path(get_dir()) / "checkpoints"


def _cache() -> Path:
    """The cache of repositories, as huggingface_hub finds it."""
    home = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if not home:
        around = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        home = f"{os.environ.get('HF_HOME') or f'{around}/huggingface'}/hub"
    return Path(os.path.expanduser(os.path.expandvars(home)))


def _fetch(
    repository: str,
    revision: str | None,
    choose: Callable[[Sequence[str]], Iterable[str]],
    events: Events,
    cache: Path,
) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=_SECONDS)
    sizes = {each.rfilename: each.size or 0 for each in info.siblings or ()}
    wanted = sorted(choose(sorted(sizes)))
    cached = find_cached(repository, info.sha, cache)
    missing = [name for name in wanted if cached is None or not (cached / name).exists()]
    size = megabytes(sum(sizes[name] for name in missing))
    events(f"fetching {len(missing)} files of {repository}, {size}, into {cache}")
    bars = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        exactly = [re.sub(r"([*?[])", r"[\1]", name) for name in wanted]
        folder = snapshot_download(
            repository, revision=revision, cache_dir=cache, allow_patterns=exactly
        )
    finally:
        if bars:
            enable_progress_bars()
    return Path(folder)


def _said(error: Exception) -> str:
    """What came of asking a hub, in one line."""
    causes = (error, error.__cause__)
    named = list(dict.fromkeys(type(each).__name__ for each in causes if each is not None))
    status = getattr(getattr(error, "response", None), "status_code", None)
    reasons = {
        "GatedRepoError": "the hub wants its conditions accepted and a token (HF_TOKEN)",
        "RepositoryNotFoundError": "the hub has no such repository, or wants a token (HF_TOKEN)",
        "RevisionNotFoundError": "the hub has no such revision of it",
        "ModuleNotFoundError": "fetching needs the package huggingface_hub",
    }
    for name in named:
        if name in reasons:
            return reasons[name]
    answer = f"it answered {status}" if status else f"{listing(named)}: {one_line(error, 120)}"
    return f"the hub cannot be reached ({answer}); connect, or name a file or folder instead"
