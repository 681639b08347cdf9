"""Rank the sources of a zoo for a target: encode, score, put in order."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoorank.engine.environment import check_environment
from zoorank.errors import UsageError
from zoorank.ranking.consensus import Consensus
from zoorank.ranking.deciding import deciding_scores, names, racing_scores
from zoorank.ranking.files import prepare, write_results
from zoorank.ranking.guidance import guidance
from zoorank.ranking.order import marked, ranked, verdict
from zoorank.ranking.own_data import noted, trained_on_target
from zoorank.ranking.progress import Progress, Silent
from zoorank.ranking.provenance import call_text, collect
from zoorank.ranking.racing.facts import RaceFacts
from zoorank.ranking.racing.options import RaceOptions, race_options
from zoorank.ranking.racing.race import Race
from zoorank.ranking.ranking import Ranking, TargetFacts
from zoorank.ranking.run import Run, SourceResult

if TYPE_CHECKING:
    from zoorank.scores import Score
    from zoorank.sources.specs import ModelSpec, Zoo
    from zoorank.targets.base import Target


def rank(
    zoo: str | os.PathLike[str] | Zoo,
    data: Any = None,
    *,
    cuts: str | Sequence[str] | None = None,
    score: str | Sequence[str] | None = None,
    metric: str | None = None,
    out: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    save_encodings: bool | None = None,
    limit: int | None = None,
    allow_code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    allow_packages: str | Sequence[str] = (),
    race: bool = False,
    confidence: float | None = None,
    first_rows: int | None = None,
    random_state: int | None = None,
    progress: Progress | None = None,
    command: str | None = None,
) -> Ranking:
    """Rank the sources of a zoo, cut at each layer, for a labelled target.

    Every source encodes the target once for all its cuts; each encoding is
    scored by how well it separates the classes. Encodings are kept in a store,
    so a run that was stopped goes on where it was. A source that cannot be used
    becomes a row with the reason, and one that was trained on the target itself says so.

    Parameters
    ----------
    zoo : path or Zoo
        The manifest, or what :func:`zoorank.zoo.load_zoo` made of one.
    data : path, str, (X, y) or dict, optional
        The target; None takes the manifest's ``data``. See
        :func:`zoorank.zoo.load_target`.
    cuts : str or sequence of str, optional
        Where to cut every source: ``"penultimate"``, ``"all"``, module names,
        or several, also comma separated. None takes the manifest's cuts.
    score : str or sequence of str, optional
        Scores to compute, also comma separated and as ``NAME:METRIC``; the first
        decides the rank. ``"consensus"`` asks Euclidean MSC, LogME, the H-score and
        the nearest neighbour for one vote each; it is the default unless a metric is
        given, which means ``"silhouette"``. Cosine and Euclidean MSC are always
        shown too. ``"ids"`` compares the target with what each source was trained on,
        where the manifest says what that was. All names are in docs/scores.md.
    metric : {"cosine", "euclidean", "sqeuclidean", "manhattan"}, optional
        Distance of the scores that have one and do not say which.
    out : path, optional
        Directory for ``ranking.json`` and ``ranking.csv``.
    store : path, optional
        Directory of the encodings; by default ``encodings`` in ``out``, else
        ``zoorank/encodings`` in the user's cache. Zoos and targets may share one.
    batch_size : int, optional
        Samples in a forward pass.
    device : {"auto", "cpu", "cuda"}
        Where the networks run.
    save_encodings : bool, optional
        Whether encodings are written to the store. Without, they stay in the memory of the
        device that computes them, only results are kept there, and a run that is repeated
        computes again what other results are asked for. None writes them, except where they
        lie on a CUDA device that the engine computes on and every score does so too, as
        silhouettes do; other scores need a copy in host memory.
    limit : int, optional
        Use at most this many samples of the target.
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
        If the target cannot be read, or no score is defined on it.
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
    arguments = locals()
    started = datetime.now(timezone.utc)
    check_environment()
    options = race_options(race, confidence, first_rows, random_state)
    deciding: Score | Consensus
    if options is None:
        (deciding, scores), note = deciding_scores(score, metric), ""
    else:
        deciding, scores, note = racing_scores(score, metric)
    for name in ("batch_size", "limit"):
        if arguments[name] is not None and arguments[name] < 1:
            raise UsageError(f"{name} must be at least 1, not {arguments[name]}")
    wanted = _named(cuts)

    from zoorank.sources.manifest import load_zoo
    from zoorank.sources.torch.factory import check_code
    from zoorank.store.encodings import EncodingStore
    from zoorank.targets import load_target
    from zoorank.targets.paths import path_list

    if isinstance(zoo, str | os.PathLike):
        zoo = load_zoo(zoo, allow_code=allow_code, allow_packages=allow_packages)
    if data is None and zoo.data is None:
        raise UsageError(f"no target: give data, or a `data` entry in {zoo.path or 'the zoo'}")
    _check_source_data(scores, zoo)
    check_code(zoo.models)
    target = load_target(zoo.data if data is None else data, limit=limit)
    if out is not None:
        prepare(out)
    place = store_directory(out, store)
    run = Run(
        target, scores, EncodingStore(place), batch_size or zoo.batch_size, device, save_encodings
    )

    watcher = progress or Silent()
    facts = _facts(target)
    watcher.started(facts, [spec.name for spec in zoo.models])
    cuts_of = {spec.name: wanted or zoo.cuts_of(spec) for spec in zoo.models}
    sources, raced = _encoded_and_scored(run, zoo.models, cuts_of, options, watcher)
    if raced is not None:
        raced = replace(raced, note=" ".join(filter(None, [raced.note, note])))

    own = trained_on_target(zoo.models, run)
    unordered = [run.baseline(), *noted((row for each in sources for row in each.rows), own)]
    if isinstance(deciding, Consensus):
        unordered = deciding.decided(unordered)
    rows = marked(ranked(unordered, deciding), deciding)
    ranking = Ranking(
        rows=rows,
        target=facts,
        score=deciding.name,
        key=deciding.key,
        labels={each.key: each.label for each in (deciding, *scores)},
        higher_is_better=deciding.higher_is_better,
        verdict=verdict(rows, deciding, own),
        provenance=collect(
            command=command or f"zoorank.{call_text(rank, arguments)}",
            started=started,
            manifest=zoo.path,
            weights={source.model: source.weights_sha256 for source in sources},
            settings={
                "data": target.source,
                "cuts": wanted,
                "score": score,
                "metric": metric,
                "batch_size": batch_size,
                "device": device,
                "save_encodings": save_encodings,
                "limit": limit,
                "allow_code": [os.fspath(path) for path in path_list(allow_code)],
                "allow_packages": list(names(allow_packages)),
                "race": None if options is None else asdict(options),
                "store": place,
            },
        ),
        class_key=scores[0].key,
        guidance=guidance(deciding.key, rows, facts),
        race=raced,
    )
    if out is not None:
        write_results(ranking, out)
    return ranking


def store_directory(
    out: str | os.PathLike[str] | None = None, store: str | os.PathLike[str] | None = None
) -> Path:
    """Where a run keeps its encodings.

    ``store`` if given, else ``encodings`` beside the results in ``out``, else
    ``zoorank/encodings`` in the user's cache. Encodings are keyed by content, so
    several zoos and targets share a store safely.
    """
    if store is not None:
        return Path(store)
    if out is not None:
        return Path(out) / "encodings"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "zoorank" / "encodings"


def _named(cuts: str | Sequence[str] | None) -> tuple[str, ...]:
    wanted = names(cuts)
    if cuts is not None and not wanted:
        raise UsageError("no cut is named; allowed: penultimate, logits, all, or any module")
    return wanted


def _check_source_data(scores: Sequence[Score], zoo: Zoo) -> None:
    asking = [score.name for score in scores if score.needs_source_data]
    if asking and all(spec.trained_on is None for spec in zoo.models):
        raise UsageError(
            f"score {asking[0]!r} compares the target with the data of each source, and "
            f"{zoo.path or 'the zoo'} names none; add `trained_on` to its models"
        )


def _encoded_and_scored(
    run: Run,
    specs: Sequence[ModelSpec],
    cuts_of: Mapping[str, Sequence[str]],
    options: RaceOptions | None,
    watcher: Progress,
) -> tuple[list[SourceResult], RaceFacts | None]:
    """Run every source on all rows, or race them; a mistake that all share is raised."""
    raced = None
    if options is None:
        sources = run.every(specs, cuts_of, watcher)
    else:
        sources, raced = Race(run, specs, cuts_of, options, watcher).results()
    mistake = sources[0].mistake
    if mistake is not None and all(source.mistake is not None for source in sources):
        raise mistake
    return sources, raced


def _facts(target: Target) -> TargetFacts:
    return TargetFacts(
        name=target.name,
        source=target.source,
        kind=target.modality,
        n_samples=target.n_samples,
        shape=target.shape,
        classes=tuple(str(label) for label in target.classes),
        fingerprint=target.fingerprint,
    )
