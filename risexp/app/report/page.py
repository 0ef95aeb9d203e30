"""The report of a study as one HTML page that loads nothing."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from risexp.app.report import figures, tables
from risexp.app.report.gather import ReportData


def report_page(data: ReportData) -> str:
    """Render `templates/report.html`, in which every value is escaped."""
    environment = Environment(
        loader=PackageLoader("risexp.app.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": tables.score,
        "sentence": lambda text: f"{text[:1].upper()}{text[1:]}.",
    }
    return environment.get_template("report.html").render(
        data=data,
        study=data.table,
        best=data.best,
        run=data.best_run,
        figures=figures,
        tables=tables,
    )
