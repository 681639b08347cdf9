"""The picture of learning curves: nobody's is hidden by another's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="pictures need it: pip install zoorank[report]")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from zoorank.report.verification import curves_figure, draw_curves
from zoorank.verification.verdict import Verification, Verified

RISING = ((0.6, 0.72, 0.8, 0.81), (0.62, 0.7, 0.78, 0.82))
OTHER = ((0.5, 0.6, 0.65, 0.7), (0.52, 0.58, 0.66, 0.71))
FLAT = ((1.0, 1.0, 1.0, 1.0),)


def rows_of(*curves):
    return [Verified(i, f"net{i}", "fc", curves=each) for i, each in enumerate(curves, 1)]


def seen(rows):
    """Pixels of each candidate's colour, without the legend."""
    figure = draw_curves(rows)
    for legend in figure.legends:
        legend.remove()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    drawn = sum(bool(row.curves) for row in rows)
    colours = [np.rint(255 * np.array(to_rgb(f"C{i}"))) for i in range(drawn)]
    return [int((np.abs(pixels - colour).max(axis=-1) <= 2).sum()) for colour in colours]


@pytest.mark.parametrize(
    "curves",
    [(RISING, RISING, OTHER), (OTHER, RISING, RISING), (FLAT, FLAT, OTHER), (FLAT,) * 6],
    ids=["first two", "last two", "flat", "six flat"],
)
def test_curves_that_coincide_are_all_seen(curves):
    assert min(seen(rows_of(*curves))) > 8 * len(curves[0][0])


def test_the_legend_names_each_candidate_once_beside_its_own_sign():
    rows = [*rows_of(RISING, RISING, OTHER), Verified(4, "untuned", "fc")]
    figure = draw_curves(rows)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["net1, fc", "net2, fc", "net3, fc"]
    signs = {(line.get_marker(), line.get_color()) for line in legend.get_lines()}
    assert len(signs) == 3
    (axes,) = figure.axes
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    for line, curve in zip(
        lines, (c for each in (RISING, RISING, OTHER) for c in each), strict=True
    ):
        assert line.get_ydata().tolist() == list(curve)
        assert np.rint(line.get_xdata()).tolist() == [0, 1, 2, 3]
        assert np.abs(line.get_xdata() - np.arange(4)).max() <= 0.25


def test_nothing_tuned_is_an_empty_picture(tmp_path):
    rows = (Verified(1, "net", "fc", head=(0.9,)),)
    assert not draw_curves(rows).legends
    found = Verification(rows, None, "classes", 10, 0, "", None, 1.0)
    path = curves_figure(found, tmp_path / "curves.png")
    assert path.read_bytes().startswith(b"\x89PNG")
