"""What MLflow's pages show a browser that comes for the first time: runs, the best one on top."""

import json
from collections.abc import Mapping
from typing import Final

_BROWSER: Final[Mapping[str, object]] = {
    # Otherwise chats, and a panel that offers an assistant.
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
}
_RUNS: Final[Mapping[str, object]] = {
    "orderByKey": "metrics.`best/k_loc`",
    "orderByAsc": True,
    "selectedColumns": [
        "attributes.`Duration`",
        "metrics.`best/k_loc`",
        "metrics.`best/k_acc`",
        "metrics.`best/success_rate`",
        "tags.`risexp.state`",
        "tags.`risexp.reason`",
    ],
}
"""How the runs of an experiment are listed."""


def begun(page: bytes, experiment: str | None) -> bytes:
    """The page of MLflow's application, with what a browser is to begin with.

    What a person has chosen in that browser stays.

    Args:
        page: In HTML.
        experiment: Whose runs are listed so, by MLflow's id.
    """
    first = dict(_BROWSER)
    if experiment is not None:
        first[f'MLflowLocalStorage-1.1-ExperimentPage-["{experiment}"]-ReactComponentState'] = _RUNS
    stored = json.dumps({key: json.dumps(value) for key, value in first.items()})
    script = (
        f"for (const [key, value] of Object.entries({stored})) "
        "if (localStorage.getItem(key) === null) localStorage.setItem(key, value);"
    )
    return page.replace(b"</title>", b"</title><script>" + script.encode() + b"</script>", 1)
