"""No word of a person becomes markup, or is changed, on the page of a report."""

import warnings

from matplotlib.figure import Figure

from risexp.app.report.figures import svg
from risexp.app.report.html import counts, page, paragraph, table
from tests.support.html import read


def test_every_word_of_a_page_is_text() -> None:
    evil = '<script>alert("x")</script>&'
    parts = [
        paragraph(evil),
        table([evil], [(evil,)]),
        counts([evil], [(evil, [1])]),
    ]

    reader = read(page(evil, parts))

    assert "script" not in reader.tags
    assert 6 == reader.text.count(evil)


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
