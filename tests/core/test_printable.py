"""Text for a terminal is harmless and short, and loses nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from risexp.core.printable import printable, shortened


def test_what_a_terminal_would_obey_is_escaped() -> None:
    for text, shown in (
        ("plain, with µ and ≤\n\tand lines", "plain, with µ and ≤\n\tand lines"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\rb\x85c", "a\\rb\\x85c"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("name-\udcff.yaml", "name-\\udcff.yaml"),
        ("\U000e0001", "\\U000e0001"),
    ):
        assert shown == printable(text)


def test_of_a_long_text_both_ends_stay() -> None:
    text = "first " + "x" * 5000 + " last"

    assert "first xxxxxxxxxxx...xxxx last" == shortened(text, 29)
    assert text == shortened(text, len(text))


@given(st.text(st.characters()), st.integers(10, 60))
def test_any_text_becomes_printable_and_short(text: str, longest: int) -> None:
    shown = shortened(printable(text), longest)

    assert len(shown) <= longest
    assert shown.replace("\n", "").replace("\t", "").isprintable()
