"""Tables and figures of a page, without a study."""

from matplotlib.figure import Figure

from risexp.app.report import figures, tables
from tests.support.html import read


def test_a_table_looks_at_a_cell_once_however_many_ask() -> None:
    """The page asks for every cell: in a thousand rows it took minutes."""
    looks = list[int]()

    class Cell:
        def __str__(self) -> str:
            looks.append(1)
            return "1.0"

    table = tables.ReportTable(["a"], [(Cell(),)] * 5)

    assert [[True]] * 9 == [table.numeric for _ in range(9)]
    assert 5 == len(looks)


def test_words_in_a_figure_stay_as_they_are() -> None:

    def draw(figure: Figure) -> None:
        figure.suptitle(word)

    word = ' id="#000000" href="#e0e0e0 \x07'

    drawn = figures.svg("one", "a word", draw, (3.0, 2.0))

    reader = read(drawn)
    assert word.strip() in reader.text
    assert reader.ids
    assert all(name.startswith("one-") for name in reader.ids)
