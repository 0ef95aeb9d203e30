"""Look-ups in the report of a probe."""

from risexp.diagnostics.report import Cell, Number, Rate, Report, Table


def number(report: Report, part: str) -> float:
    """The one number whose label contains this."""
    (found,) = (each for each in report.evidence if isinstance(each, Number) and part in each.label)
    return found.value.value if isinstance(found.value, Rate) else found.value


def table(report: Report, part: str) -> Table:
    """The one table whose label contains this."""
    (found,) = (each for each in report.evidence if isinstance(each, Table) and part in each.label)
    return found


def failed(report: Report) -> list[Cell]:
    """The labels of the failed checks of a failed report."""
    assert "fail" == report.verdict
    return [row[0] for row in table(report, "checks").rows if row[-1] == "FAIL"]
