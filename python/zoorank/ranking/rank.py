"""Rank the sources of a zoo for a target: encode, score, put in order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoorank.encoding.costs import Filters
from zoorank.engine.environment import check_environment
from zoorank.errors import UsageError
from zoorank.partial import reported
from zoorank.ranking.answer import Request
from zoorank.ranking.consensus import deciding_of_numbers, names
from zoorank.ranking.files import prepare
from zoorank.ranking.outcomes import Run
from zoorank.ranking.provenance import Provenance, describe_call
from zoorank.ranking.ranking import Ranking, write
from zoorank.ranking.record import read_record
from zoorank.ranking.settings import Settings
from zoorank.ranking.work import Progress, Silent, Strategy
from zoorank.sources.base import Guarded, Precision
from zoorank.sources.manifest import zoo_of
from zoorank.store.encodings import EncodingStore
from zoorank.store.ledger import Ledger
from zoorank.targets import load_target

if TYPE_CHECKING:
    from zoorank.scores import Score
    from zoorank.sources.manifest import Zoo
    from zoorank.targets.base import Modality, Target, Task
    from zoorank.targets.labelled import Split

PathName = str | os.PathLike[str]


@describe_call
def rank(
    zoo: Any,
    data: Any = None,
    *,
    cuts: str | Sequence[str] | None = None,
    score: str | Sequence[str] | None = None,
    metric: str | None = None,
    out: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    store_quota: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    precision: Precision = "float32",
    workers: int | Literal["auto"] | None = None,
    timeout: float | None = None,
    memory_limit: int | None = None,
    ray: str | None = None,
    gpus: float | None = None,
    budget: float | None = None,
    retry: bool = False,
    save_encodings: bool | None = None,
    max_parameters: float | None = None,
    max_milliseconds: float | None = None,
    licence: str | Sequence[str] = (),
    limit: int | None = None,
    input_column: str | Sequence[str] = (),
    label_column: str | None = None,
    group_column: str | None = None,
    split: Split = "train",
    modality: Modality | None = None,
    task: Task | None = None,
    strict: bool = False,
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
    race: bool = False,
    confidence: float | None = None,
    first_rows: int | None = None,
    random_state: int | None = None,
    record: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
    command: str = "",
) -> Ranking:
    """Rank the sources of a zoo, cut at each layer, for a labelled target.

    Every source encodes the target once for all its cuts; each encoding is
    scored by how well it separates the classes. Encodings are kept in a store,
    so a run that was stopped goes on where it was. A source that cannot be used
    becomes a row with the reason, and one that was trained on the target itself says so.

    Parameters
    ----------
    zoo : path, str, Source, torch.nn.Module, Zoo, or sequence of these
        What to rank: a manifest, references such as ``"timm:resnet18.a1_in1k"``, networks
        with their transforms, or several of these.
    data : path, str, (X, y), dict or Target, optional
        The target; None takes the manifest's ``data``. See :func:`zoorank.load_target`.
    cuts : str or sequence of str, optional
        Where to cut every source: ``"penultimate"``, ``"all"``, module names,
        or several, also comma separated. None takes the manifest's cuts.
    score : str or sequence of str, optional
        Scores to compute, also comma separated and as ``NAME:METRIC``; the first
        decides the rank. ``"consensus"`` asks Euclidean MSC, LogME, the H-score and
        the nearest neighbour for one vote each; ``"informed"`` adds what else is known of the
        sources, their published accuracies and the record, and is the consensus where that is
        nothing. It is the default unless a metric is given, which means ``"silhouette"``.
        Cosine and Euclidean MSC are always shown too. ``"ids"`` compares the target with what
        each source was trained on, where the manifest says what that was. All names are in
        docs/scores.md.
    metric : {"cosine", "euclidean", "sqeuclidean", "manhattan"}, optional
        Distance of the scores that have one and do not say which.
    out : path, optional
        Directory for ``ranking.json`` and ``ranking.csv``.
    store : path, optional
        Directory of the encodings; by default ``encodings`` in ``out``, else
        ``zoorank/encodings`` in the user's cache. Zoos and targets may share one.
    store_quota : int, optional
        Bytes that encodings may take there. Those that were not used for longest are removed
        for new ones; results stay, and no file of others is counted or removed.
    batch_size : int, optional
        Samples in a forward pass; None leaves it to each source: as many as the caches of a
        CPU hold, 32 elsewhere.
    device : {"auto", "cpu", "cuda"}
        Where the networks run.
    precision : {"float32", "bf16"}
        What networks of torch compute in; others are refused bf16. It is faster where the
        hardware has it, and changes encodings: see docs/speed.md.
    workers : int or "auto", optional
        Processes that sources run in, each of which can crash, hang or run out of memory
        without harm to the others; ``"auto"`` is one for every two cores. None runs all in
        this process.
    timeout : float, optional
        Seconds that a source may take; needs ``workers``.
    memory_limit : int, optional
        Bytes that a source may hold; needs ``workers``.
    ray : str, optional
        Run the sources on a Ray cluster: its address, ``"auto"`` for the one that this machine
        is part of, or ``"local"`` to start Ray here. The machines need zoorank, and the files
        of sources and target under the same paths.
    gpus : float, optional
        GPUs of the Ray cluster that a source takes, or the part of one; by default 1 where
        ``device`` is ``"cuda"``, else none.
    budget : float, optional
        Seconds for all. Sources come in the order that promises most for its time; of a large
        target a sample is looked at first where that pays. What still runs when the time is
        over is ended. Rows of status ``"sampled"`` and ``"untried"`` say what was not run on all
        rows, ``out`` holds the table so far at any moment, and the same call with a larger
        budget goes on. See docs/budget.md.
    retry : bool
        Try sources again that crashed, hung or ran out of memory in an earlier run.
    save_encodings : bool, optional
        Whether encodings are written to the store. Without, they stay in the memory of the
        device that computes them, only results are kept there, and a run that is repeated
        computes again what other results are asked for. None writes them, except where they
        lie on a CUDA device that the engine computes on and every score does so too, as
        silhouettes do; other scores need a copy in host memory.
    max_parameters : float, optional
        Rank no cut that keeps more parameters.
    max_milliseconds : float, optional
        Rank no cut that takes longer for a sample, on this machine and in this run.
    licence : str or sequence of str
        Rank no source whose licence is none of these names or patterns, such as
        ``"MIT, Apache-*"``, or is not known. What any of the three keeps out is a row whose
        status is ``"filtered"``, with the reason, and as far as that is known before, it is
        not run.
    limit : int, optional
        Use at most this many samples of the target.
    input_column, label_column, group_column : str, optional
        Columns of a target that has columns: of the samples (two for pairs of texts), the
        labels, and what belongs together, such as a patient. The first two are recognised by
        their usual names.
    split, modality, task : str, optional
        As :func:`zoorank.load_target` takes them.
    strict : bool
        Refuse a target of which a file or a row would have to be left out.
    allow_code : path or sequence of path
        Directories whose modules the manifest may name as factories. Their code
        is run.
    allow_packages : str or sequence of str
        Installed packages, as Python imports them, whose networks the manifest may build
        with any arguments, beside those that zoorank knows.
    race : bool
        Run every source on a sample of the target first, drop the candidates that are
        surely worse than another there, go on with four times as many rows for the rest,
        and run only the last contenders on all rows. Decides by a score whose value does not
        depend on the number of rows: a silhouette, Euclidean MSC by default. See
        docs/racing.md.
    confidence : float, optional
        Of a race: how sure the first row of a full run is to get to the end, in (0, 1);
        0.95 by default. Also of the intervals of the rows that left before.
    first_rows : int, optional
        Of a race: size of the first sample; by default some hundred rows.
    random_state : int, optional
        Of a race: seed of the samples, 0 by default.
    record : path or sequence of path, optional
        Files that ``verify`` or ``evaluate`` appended to: how candidates did on earlier targets.
        See docs/informed.md.
    progress : Progress, optional
        Told of every step.
    command : str, optional
        The command to record; by default this call.

    Returns
    -------
    Ranking
        Rows from best to worst, with one for the raw input without a network. Where no
        source could be scored its ``best`` is None; ``failures``, and the ranking
        printed, give the reasons.

    Raises
    ------
    UsageError
        If an argument or the manifest is wrong, the code of no source may be run, a cut
        exists in no source, the score that decides cannot race, or an environment
        variable of the engine's is wrong.
    DataError
        If the target cannot be read, changes meanwhile, or no score is defined on it.
    StoreError
        If the disk is full or not writable.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> network = '''
    ... from torch import nn
    ... def small():
    ...     return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    ... '''
    >>> manifest = '''
    ... [[model]]
    ... name = "untrained"
    ... factory = "network:small"
    ... weights.random = { seed = 0 }
    ... preprocessing.input = "table"
    ... '''
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "network.py").write_text(network)
    ...     _ = Path(folder, "zoo.toml").write_text(manifest)
    ...     ranking = rank(f"{folder}/zoo.toml", "sklearn:iris", store=folder, allow_code=[folder])
    >>> ranking.best.model, ranking.best.cut, ranking.best.dim
    ('untrained', 'penultimate', 8)
    """
    if cuts is not None and not names(cuts):
        raise UsageError("no cut is named; allowed: penultimate, logits, all, or any module")
    asked = Settings(
        cuts=names(cuts),
        score=score,
        metric=metric,
        store_quota=store_quota,
        batch_size=batch_size,
        device=device,
        precision=precision,
        workers=workers,
        timeout=timeout,
        memory_limit=memory_limit,
        ray=ray,
        gpus=gpus,
        budget=budget,
        retry=retry,
        save_encodings=save_encodings,
        max_parameters=max_parameters,
        max_milliseconds=max_milliseconds,
        licence=names(licence),
        limit=limit,
        input_column=input_column,
        label_column=label_column,
        group_column=group_column,
        split=split,
        modality=modality,
        task=task,
        strict=strict,
        allow_code=_paths(allow_code),
        allow_packages=names(allow_packages),
        race=race,
        confidence=confidence,
        first_rows=first_rows,
        random_state=random_state,
        record=_paths(record),
    )
    return _ranked(zoo, data, asked, out, store, progress or Silent(), command)


def _paths(given: PathName | Sequence[PathName]) -> tuple[str, ...]:
    named = (given,) if isinstance(given, str | os.PathLike) else given
    return tuple(str(Path(path)) for path in named)


def _ranked(
    zoo: Any,
    data: Any,
    asked: Settings,
    out: PathName | None,
    store: PathName | None,
    watcher: Progress,
    command: str,
) -> Ranking:
    """Read all that is asked for, before anything is run; then run it."""
    started = datetime.now(timezone.utc)
    check_environment()
    strategy = Strategy.of(asked)
    deciding, scores = strategy.deciding, strategy.scores
    lines = read_record(asked.record) if asked.record else ()
    limits = asked.max_parameters, asked.max_milliseconds, asked.licence
    filters = None if limits == (None, None, ()) else Filters(*limits)
    zoo = _zoo(zoo, asked, scores)
    target = _target(data, zoo, asked)
    if target.task == "numbers":
        if strategy.race is not None:
            raise UsageError("a race judges by silhouettes, which need classes, not numbers")
        deciding, scores = deciding_of_numbers(asked.score, asked.metric)
        if lines:
            raise UsageError("a record holds accuracies, and the target has numbers to predict")
    if out is not None:
        prepare(out)
    encodings = EncodingStore.of(out, store, asked.store_quota)
    if asked.workers is not None or asked.ray is not None:
        with reported(encodings.directory, target.labels.nbytes):
            target = target.spilled(encodings.directory)
    settings = _settings(asked, strategy, target, encodings)
    request = Request(
        run=Run(
            target=target,
            scores=scores,
            store=encodings,
            # Looked up when it is needed: watchers of before it was asked for have none.
            ledger=Ledger(encodings.directory, lambda text: watcher.remark(text)),  # noqa: PLW0108
            batch_size=asked.batch_size or zoo.batch_size,
            device=asked.device,
            save_encodings=asked.save_encodings,
            precision=asked.precision,
            retry=asked.retry,
            filters=filters,
        ),
        deciding=deciding,
        target=target.facts(),
        lines=lines,
        provenance=Provenance.of(
            command=command, started=started, manifest=zoo.path, settings=settings
        ),
    )
    cuts_of = {source.name: asked.cuts or zoo.cuts_of(source) for source in zoo.models}
    ranking = strategy.ranking(zoo.models, cuts_of, request, watcher, out)
    if out is not None:
        write(ranking, out)
    return ranking


def _zoo(given: Any, asked: Settings, scores: Sequence[Score]) -> Zoo:
    """The sources, refused here where none of them could be run."""
    zoo = zoo_of(given, allow_code=asked.allow_code, allow_packages=asked.allow_packages)
    asking = [score.name for score in scores if score.needs_source_data]
    if asking and all(source.trained_on is None for source in zoo.models):
        raise UsageError(
            f"score {asking[0]!r} compares the target with the data of each source, and "
            f"{zoo.path or 'the zoo'} names none; add `trained_on` to its models"
        )
    # What would refuse every source for one reason does so at once; nothing is imported.
    reasons = {each.refusal() if isinstance(each, Guarded) else "" for each in zoo.models}
    if len(reasons) == 1 and (reason := reasons.pop()):
        raise UsageError(f"no model of the zoo can be built: {reason}")
    return zoo


def _target(data: Any, zoo: Zoo, asked: Settings) -> Target:
    if data is None and zoo.data is None:
        raise UsageError(
            f"no target: give data (--data), or a `data` entry in {zoo.path or 'the zoo'}"
        )
    return load_target(
        zoo.data if data is None else data,
        limit=asked.limit,
        input_column=asked.input_column,
        label_column=asked.label_column,
        group_column=asked.group_column,
        split=asked.split,
        modality=asked.modality,
        task=asked.task,
        strict=asked.strict,
    )


def _settings(
    asked: Settings, strategy: Strategy, target: Target, store: EncodingStore
) -> dict[str, object]:
    """What is recorded of the call, defaults included."""
    of_race = {"race", "confidence", "first_rows", "random_state"}
    settings = {name: value for name, value in asdict(asked).items() if name not in of_race}
    race = None if strategy.race is None else asdict(strategy.race)
    store_at = store.directory.absolute()
    return {"data": target.source, **settings, "race": race, "store": store_at}
