"""Reports of probes: intervals, checks and JSON."""

import json
import math

import pytest
import torch

from risexp.diagnostics.report import Number, Rate, Report, Requirement, Table, check_table


def test_a_rate_has_its_wilson_interval() -> None:
    cases: list[tuple[int, int, float, float]] = [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (170, 1000, 0.148, 0.195),
    ]
    for hits, scenes, low, high in cases:
        rate = Rate.of(torch.arange(scenes) < hits)

        assert pytest.approx((hits / scenes, low, high), abs=5e-4) == (
            rate.value,
            rate.low,
            rate.high,
        ), hits

    one, surer = (Rate.of(torch.arange(40) < 10, level) for level in (0.95, 0.99))
    assert surer.low < one.low < one.high < surer.high
    unknown = Rate.of(torch.zeros(0))
    assert (True, 0.0, 1.0) == (math.isnan(unknown.value), unknown.low, unknown.high)


def test_a_report_is_one_json_document_with_null_for_what_is_undefined() -> None:
    rate = Rate(0.5, 0.25, 0.75)
    table = Table("ranks", ("name", "K = 1"), (("label", math.nan), ("joint", None), ("y", rate)))
    report = Report("mdl", "info", (Number("floor", math.inf, "dB"), table), ("Look.",))

    output = json.loads(json.dumps(report.as_json(), allow_nan=False))

    assert {
        "name": "mdl",
        "verdict": "info",
        "evidence": [
            {"label": "floor", "value": None, "unit": "dB"},
            {
                "label": "ranks",
                "headings": ["name", "K = 1"],
                "rows": [
                    ["label", None],
                    ["joint", None],
                    ["y", {"value": 0.5, "low": 0.25, "high": 0.75}],
                ],
            },
        ],
        "advice": ["Look."],
    } == output


def test_a_check_is_met_by_numbers_on_its_side_and_never_by_nan() -> None:
    cases: list[tuple[float, tuple[bool, bool]]] = [
        (0.0, (True, False)),
        (2.0, (False, True)),
        (math.nan, (False, False)),
    ]
    for value, passes in cases:
        checks = (
            Requirement.at_most("low", value, 1.0, ""),
            Requirement.at_least("high", value, 1.0, ""),
        )

        assert passes == tuple(check.passed for check in checks), (value, passes)
        assert ["pass" if met else "FAIL" for met in passes] == [
            row[-1] for row in check_table(checks).rows
        ], (value, passes)
