"""What a server answers or does late: a move or a tag that was given up, and is made after all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event, current_thread, main_thread
from typing import Any

import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from risexp.errors import EnvironmentFailed
from risexp.registry.model_registry import FORMER, PREVIOUS, STATE, Registry, Version
from tests.support.promotion_steps import PromoteNext, back
from tests.support.promotions import NAME


@pytest.mark.fault("F7")
def test_a_lost_answer_to_the_move_fails_no_promotion_and_no_rollback(
    registry: Registry, promote_next: PromoteNext, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Registry.set_alias

    def deaf(own: Registry, name: str, alias: str, number: int) -> None:
        move(own, name, alias, number)
        if alias == "champion":
            raise EnvironmentFailed("no answer")

    promote_next()
    promote_next()
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "set_alias", deaf)
        assert 3 == promote_next().number
        assert {"champion": 3, "previous": 2} == registry.aliases(NAME)
        was, version = back(registry)

    assert (3, 2) == (was.number, version.number)
    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    tags = {version.number: version.tags[STATE] for version in registry.versions(NAME)}
    assert {3: FORMER, 2: "champion", 1: FORMER} == tags


@contextmanager
def moved_late() -> Iterator[None]:
    """Moves of aliases time out, and are made once a version was deleted.

    MLflow looks for the version and moves the alias in two steps, and others delete between.
    """
    checked, deleted = Event(), Event()
    find: Callable[..., Any] = SqlAlchemyStore._get_sql_model_version
    delete = Registry.delete

    def slow(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - MLflow's
        found = find(*arguments, **named)
        if current_thread() is not main_thread():
            checked.set()
            assert deleted.wait(60.0)
        return found

    def given_up(own: Registry, name: str, alias: str, number: int) -> None:
        server.submit(own._client.set_registered_model_alias, name, alias, str(number))
        assert checked.wait(60.0)
        raise EnvironmentFailed("timed out")

    def deleting(own: Registry, version: Version) -> None:
        delete(own, version)
        deleted.set()

    with ThreadPoolExecutor(1) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlAlchemyStore, "_get_sql_model_version", slow)
        patch.setattr(Registry, "set_alias", given_up)
        patch.setattr(Registry, "delete", deleting)
        yield


@pytest.mark.fault("F7")
def test_a_move_that_the_server_makes_after_its_version_was_deleted_changes_no_champion(
    registry: Registry, promote_next: PromoteNext
) -> None:
    promote_next()
    promote_next()
    with moved_late(), pytest.raises(EnvironmentFailed, match="timed out"):
        promote_next()
    assert 3 == registry.aliases(NAME)["champion"]
    assert registry.find(NAME, 3) is None

    champion = registry.at(NAME, "champion")
    assert champion is not None
    assert 2 == champion.number
    last = promote_next(lambda _: None, 2)
    assert {"champion": last.number, "previous": 2} == registry.aliases(NAME)
    assert 2 == back(registry)[1].number


@pytest.mark.fault("F7")
@pytest.mark.parametrize("number", [2, 3])
def test_a_tag_that_arrives_after_a_rollback_costs_one_more_rollback_at_most(
    number: int, registry: Registry, promote_next: PromoteNext, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = list[Callable[[], None]]()
    tag = Registry.tag

    def slow(own: Registry, version: Version, key: str, value: str) -> None:
        if version.number == number:
            late.append(partial(tag, own, version, key, value))
            raise EnvironmentFailed("timed out")
        tag(own, version, key, value)

    promote_next()
    promote_next()
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "tag", slow)
        with pytest.raises(EnvironmentFailed, match=r"version 3 of .* is champion"):
            promote_next()
    assert 2 == back(registry)[1].number
    (arrive,) = late

    arrive()

    assert {"champion": 2, "previous": 1} == registry.aliases(NAME)
    assert "champion" == registry.version(NAME, 2).state
    went_back = [back(registry)[1].number for _ in range(1 + (number == 2))]
    assert [*[2] * (number == 2), 1] == went_back
    last = promote_next()
    assert {"champion": last.number, "previous": 1} == registry.aliases(NAME)
    assert "1" == last.tags[PREVIOUS]
