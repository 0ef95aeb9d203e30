"""The dashboard's views with a 400 or a 404 for what a request has wrong, where they would fail."""

import inspect
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from bottle import Bottle, request, response  # type: ignore[import-untyped]
from optuna_dashboard._bottle_util import json_api_view  # type: ignore[import-untyped]

View = Callable[..., Any]
_LARGEST: Final = (1 << 31) - 1
"""Largest number of a study or trial that every database can hold."""
_REASONS: Final = {
    HTTPStatus.NOT_FOUND: "the store has no such study or trial",
    HTTPStatus.BAD_REQUEST: "the values of this request cannot be used",
}


def explain_bad_requests(pages: Bottle) -> None:
    """Answer wrong values and unknown studies in one sentence, without a traceback in the log."""
    pages.install(_with_explanation)


def _with_explanation(callback: View) -> View:
    view = inspect.unwrap(callback)
    # Views that answer with a page or a file are not wrapped; they take no values.
    known = callback if view is callback else json_api_view(_explained(view))

    @wraps(callback)
    def explained(**ids: object) -> Any:  # noqa: ANN401 - as Bottle has it
        huge = any(isinstance(one, int) and one > _LARGEST for one in ids.values())
        return _reason(HTTPStatus.NOT_FOUND) if huge else known(**ids)

    return explained


def _explained(view: View) -> View:
    @wraps(view)
    def explained(**ids: object) -> Any:  # noqa: ANN401 - as Bottle has it
        try:
            return view(**ids)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            if request.method == "GET" and not request.query_string:
                raise  # the request holds nothing that could be wrong
            unknown = isinstance(error, KeyError)
            return _reason(HTTPStatus.NOT_FOUND if unknown else HTTPStatus.BAD_REQUEST)

    return explained


def _reason(status: HTTPStatus) -> dict[str, str]:
    response.status = int(status)
    return {"reason": _REASONS[status]}
