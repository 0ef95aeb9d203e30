import pytest

from risexp.app.ui.host_names import host_name
from tests.support.commands import Capture, run


def test_a_name_is_compared_in_small_letters() -> None:
    assert host_name("RIS.example.org", "--hosts") == "ris.example.org"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("ui --allow-host http://desk:5000", "--allow-host 'http://desk:5000' is no host name"),
        ("ui --allow-host desk:5000", "--allow-host 'desk:5000' is no host name"),
        ("ui --host=", "--host is empty"),
        (
            "deploy mlflow --backend x --artifacts . --key-file k --allow-host *",
            "--allow-host '*' is no host name",
        ),
        ("deploy mlflow --backend x --artifacts . --key-file k --host=", "--host is empty"),
    ],
)
def test_what_leads_nowhere_is_refused(command: str, sentence: str, capsys: Capture) -> None:
    code, _, said = run(capsys, command)

    assert (2, True) == (code, sentence in said)
