"""Where a run is shown in a browser: the page of a tracking server, or what follows its address."""

from typing import Final

_SERVED: Final = ("http://", "https://")


def run_page(store: str, experiment_id: str, run_id: str) -> str:
    """The page of a run.

    Args:
        store: Its store by name, which has no secrets. Where that is no server, whoever starts one
            knows its address, and the page is told as what follows that.
        experiment_id: The store's.
        run_id: The store's.
    """
    return f"{experiment_page(store, experiment_id)}/runs/{run_id}"


def experiment_page(store: str, experiment_id: str) -> str:
    """The page of an experiment, likewise."""
    fragment = f"#/experiments/{experiment_id}"
    return f"{store.rstrip('/')}/{fragment}" if store.startswith(_SERVED) else fragment


def shown(page: str) -> str:
    """A page in Markdown: a link where it is a whole address, or else its words."""
    return f"[{page}]({page})" if page.startswith(_SERVED) else f"`{page}`"
