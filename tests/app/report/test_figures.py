"""Figures of a report keep every word as it is, and meet no name of another figure."""

import warnings

from matplotlib.figure import Figure

from risexp.app.report.figures import svg
from tests.support.html import read


def test_words_in_a_figure_stay_as_they_are() -> None:

    def draw(figure: Figure) -> None:
        figure.suptitle(word)

    word = ' id="#000000" href="#e0e0e0 \x07'

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = svg("one", "a word", draw, (3.0, 2.0))

    reader = read(drawn)
    assert word.strip() in reader.text
    assert reader.ids
    assert all(name.startswith("one-") for name in reader.ids)
