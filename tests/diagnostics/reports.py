"""What a report says, looked up by the beginning or a part of its label."""

from risexp.diagnostics.report import Number, Rate, Report, Table


def number(report: Report, part: str) -> float:
    """The one number whose label contains this."""
    (found,) = (each for each in report.evidence if isinstance(each, Number) and part in each.label)
    return found.value.value if isinstance(found.value, Rate) else found.value


def table(report: Report, part: str) -> Table:
    """The one table whose label contains this."""
    (found,) = (each for each in report.evidence if isinstance(each, Table) and part in each.label)
    return found
