"""How a run ended is told without the secrets that its error held."""

import pytest

from risexp.errors import EnvironmentFailed
from risexp.runs.outcome import failed


def fail() -> None:
    """Raise an error with a cause, each with a secret in its message and its line."""
    cause = OSError("user='me' password='planted-secret-1'")
    raise ValueError("no https://me:planted-secret-2@host, planted-secret-3") from cause


@pytest.mark.fault("F22")
def test_an_outcome_holds_no_secret_of_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "planted-secret-3")

    with pytest.raises(ValueError, match="planted") as caught:
        fail()

    strange = failed(caught.value)
    known = failed(EnvironmentFailed("no answer of http://me:planted-secret-2@host"))

    assert "ValueError: no https://***@host, ***" == strange.sentence
    assert strange.traceback is not None
    assert "OSError: user='me' password='***'" in strange.traceback
    assert "planted-secret" not in str((strange, known))
    assert (known.resumable, strange.resumable) == (True, False)
