"""Pages of runs: whole addresses of servers, and what follows an address nobody knows yet."""

import pytest

from risexp.tracking.stores import store_named
from risexp.tracking.urls import experiment_page, run_page, shown


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("http://host:5000", "http://host:5000/#/experiments/1/runs/abc"),
        ("https://me:hidden@host/mlflow/", "https://host/mlflow/#/experiments/1/runs/abc"),
        ("postgresql://me:hidden@host/runs", "#/experiments/1/runs/abc"),
        ("embedded", "#/experiments/1/runs/abc"),
    ],
)
def test_a_page_is_that_of_the_store_without_its_secrets(address: str, page: str) -> None:
    assert page == run_page(store_named(address).name, "1", "abc")


def test_only_a_whole_address_is_a_link() -> None:
    whole, part = (experiment_page(name, "1") for name in ("http://host:5000", "embedded"))

    assert f"[{whole}]({whole})" == shown(whole)
    assert "`#/experiments/1`" == shown(part)
