"""Which cuts are surely not allowed, for what they cost; asked only where somebody set a limit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from zoorank.encoding.costs import Filters
from zoorank.encoding.passes import Feed, as_ndarray
from zoorank.encoding.records import Filtered
from zoorank.encoding.trial import Trial
from zoorank.sources.base import Cut

if TYPE_CHECKING:
    from zoorank.encoding.encode import Plan

# A batch is over in a moment, and a busy machine may double that: only a source that takes so
# many times what is allowed is not run at all. Of the others the whole pass tells.
_SURELY = 1.5


def within_limits(
    plan: Plan, trial: Trial, filters: Filters, exempt: Sequence[str], batch_size: int
) -> tuple[Trial, tuple[Filtered, ...]]:
    """Take those cuts out of a trial that are surely not allowed; what the store has is free.

    Parameters
    ----------
    plan : Plan
    trial : Trial
    filters : Filters
    exempt : sequence of str
        Cuts that no filter is for.
    batch_size : int
    """
    known = plan.known(cut.name for cut in trial.cuts)
    asked = [cut for cut in trial.cuts if cut.name not in known and cut.name not in exempt]
    reasons = _costly(trial.feed, asked, filters, batch_size)
    facts = trial.feed.encoder.facts
    filtered = tuple(
        Filtered(reasons[cut.name], plan.record(facts, cut, trial.dims[cut.name]))
        for cut in asked
        if cut.name in reasons
    )
    left = tuple(cut for cut in trial.cuts if cut.name not in reasons)
    if filtered and all(cut.name in exempt for cut in left):
        left = ()  # what is run for their sake alone
    return replace(trial, cuts=left), filtered


def _costly(feed: Feed, cuts: Sequence[Cut], filters: Filters, batch_size: int) -> dict[str, str]:
    """Why cuts need not be run: too large, or, by a batch, surely too slow.

    Parameters
    ----------
    feed : Feed
        Whose source has just run, so that nothing has to warm up.
    cuts : sequence of Cut
    filters : Filters
    batch_size : int

    Returns
    -------
    dict of str to str
        By name of the cut.
    """
    reasons = {cut.name: filters.cost_reason(cut.parameters_kept, None) for cut in cuts}
    left = [cut for cut in cuts if not reasons[cut.name]]
    if left and filters.milliseconds is not None:
        spent = _milliseconds(feed, left, batch_size)
        deepest = left[-1].flops_share or 1.0
        for cut in left:
            own = spent * cut.flops_share / deepest
            if own > _SURELY * filters.milliseconds:
                reasons[cut.name] = filters.cost_reason(0, own)
    return {name: reason for name, reason in reasons.items() if reason}


def _milliseconds(feed: Feed, cuts: Sequence[Cut], batch_size: int) -> float:
    """Milliseconds a sample that the network itself takes for a batch, the better of two."""
    size = min(feed.encoder.facts.batch_size or batch_size, feed.target.n_samples)
    prepared = feed.prepared(range(size))
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        try:
            encoded = feed.encode(prepared, cuts)
            as_ndarray(encoded[cuts[-1].name])  # waits for the device
        except MemoryError:  # the pass will halve its batches
            return 0.0
        best = min(best, time.perf_counter() - began)
    return 1000 * best / size
