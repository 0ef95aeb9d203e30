"""Pieces of a page that needs nothing but itself: every word escaped, light and dark, any width."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_STYLE: Final = """
:root { color-scheme: light dark; --page: #fdfdfc; --ink: #1d2126; --soft: #5b6570;
  --line: #d9dde1; --panel: #f3f4f5; --accent: #0072b2; --warn: #a84300; }
@media (prefers-color-scheme: dark) { :root { --page: #15181b; --ink: #e6e8ea; --soft: #9aa4ae;
  --line: #363c42; --panel: #1e2226; --accent: #56b4e9; --warn: #f0a35e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 16px 14px 48px; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: .2em 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2em 0 .4em; padding-top: .5em; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.2em 0 .3em; }
p { margin: .4em 0; max-width: 46em; overflow-wrap: anywhere; }
.soft, figcaption, th { color: var(--soft); }
.warn { color: var(--warn); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 8px;
  margin: 12px 0; }
.tile { background: var(--panel); border-radius: 6px; padding: 8px 12px; }
.tile b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: .85rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
  gap: 12px 28px; align-items: start; }
.many { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr));
  gap: 10px 14px; }
figure { margin: .6em 0; min-width: 0; }
figcaption { font-size: .85rem; }
svg { display: block; width: 100%; height: auto; max-width: 620px; }
svg text { fill: currentColor; }
.wide { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px 3px 0; text-align: left; vertical-align: top; white-space: nowrap; }
th { font-weight: 500; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 12em; }
tr.best td { color: var(--accent); font-weight: 600; }
.bar { display: block; height: .7em; margin-top: .35em; background: var(--accent);
  border-radius: 2px; }
.share { width: 100%; max-width: 680px; }
.share td:first-child { white-space: normal; overflow-wrap: anywhere; }
td.bars { width: 42%; }
.counts td { text-align: center; min-width: 3em; padding: 5px;
  background: color-mix(in srgb, #0072b2 calc(var(--share) * 100%), transparent); }
.counts td.full { color: #fff; }
.counts th { text-align: center; padding: 5px; border: 0; }
code { font: .88em ui-monospace, monospace; background: var(--panel); padding: 1px 5px;
  border-radius: 4px; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); }
"""
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)

Cell = object
"""A number, a word, or nothing; put into the page as text."""


def page(title: str, sections: Iterable[str]) -> str:
    """A whole page; nothing in it is loaded from anywhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(each for each in sections if each)
        + "\n</body>\n</html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """Parts under a heading."""
    return f"<section><h2>{escape(heading)}</h2>{''.join(parts)}</section>"


def paragraph(text: str, kind: str = "") -> str:
    """A sentence or several."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def heading(text: str) -> str:
    """A heading within a section."""
    return f"<h3>{escape(text)}</h3>"


def block(title: str, content: str) -> str:
    """Something under a heading of its own, to stand beside others."""
    return f"<div>{heading(title)}{content}</div>"


def commands(lines: Iterable[tuple[str, str]]) -> str:
    """Commands, and what each is for."""
    return "".join(f"<p><code>{escape(one)}</code> {escape(why)}</p>" for one, why in lines)


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """What is looked for first, each a value over its name."""
    told = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for value, name in values
    )
    return f'<div class="tiles">{"".join(told)}</div>'


def figure(drawn: str, caption: str) -> str:
    """A figure with what is to be known to read it.

    Args:
        drawn: The element itself.
        caption: Below it.
    """
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def grid(parts: Iterable[str], kind: str = "pair") -> str:
    """Parts side by side where there is room."""
    return f'<div class="{kind}">{"".join(parts)}</div>'


def table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], best: int | None = None) -> str:
    """Rows under headings; in a narrow window it scrolls by itself.

    Args:
        headings: Of the columns.
        rows: Cells; numbers stand to the right.
        best: The row that is marked.
    """
    numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(headings))]
    head = "".join(
        f"<th{_class('n' if right else '')}>{escape(name)}</th>"
        for name, right in zip(headings, numeric, strict=True)
    )
    body = "".join(
        f"<tr{_class('best' if place == best else '')}>"
        + "".join(_cell(cell, right) for cell, right in zip(row, numeric, strict=True))
        + "</tr>"
        for place, row in enumerate(rows)
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def bars(headings: Sequence[str], shares: Iterable[tuple[str, float]]) -> str:
    """Names with a bar each, as long as their share of the largest."""
    known = list(shares)
    most = max((share for _, share in known), default=0.0) or 1.0
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{share:.0%}</td><td class="bars">'
        f'<span class="bar" style="width:{100.0 * share / most:.1f}%"></span></td></tr>'
        for name, share in known
    )
    head = "".join(f"<th>{escape(each)}</th>" for each in (*headings, ""))
    return f'<div class="wide"><table class="share"><tr>{head}</tr>{rows}</table></div>'


def counts(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]]) -> str:
    """How often each was taken for which: numbers on a shade of their share of the row."""
    head = "".join(f"<th>{escape(each)}</th>" for each in columns)
    body = ""
    for name, values in rows:
        whole = sum(values) or 1
        cells = "".join(_count(value, value / whole) for value in values)
        body += f"<tr><th>{escape(name)}</th>{cells}</tr>"
    return f'<div class="wide"><table class="counts"><tr><th></th>{head}</tr>{body}</table></div>'


def folded(summary: str, content: str) -> str:
    """What only some want to see."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def sentence(words: str) -> str:
    """Words that begin large and end with a stop."""
    return f"{words[:1].upper()}{words[1:]}."


def number(value: float | None, digits: int = 3) -> str:
    """A score, or nothing."""
    return "" if value is None else f"{value:.{digits}f}"


def short(value: object) -> str:
    """A value of a configuration."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(cell: Cell, right: bool) -> str:
    text = str(cell)
    kind = "n" if right else "long" if len(text) > 60 else ""
    return f"<td{_class(kind)}>{escape(text)}</td>"


def _count(value: int, share: float) -> str:
    kind = "full" if share > 0.55 else ""
    return f'<td style="--share:{share:.3f}"{_class(kind)}>{value}</td>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, int | float):
        return True
    text = str(cell).replace(",", "").rstrip("%")
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
