"""Promotions in processes of their own: they race, are killed and interrupted, and lose the server.

By day two of them over MLflow's server (deaths by day: `tests/registry`). At night every point on
SQLite, and elsewhere those at which another store could answer otherwise.
"""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from itertools import count, product

import pytest

from risexp.core.failpoint import PROMOTION_POINTS, PromotionPoint
from tests.support.promotion_processes import Fault, Home, home_with_candidate
from tests.support.promotion_steps import BACK, BEFORE
from tests.support.registry_ledger import Ledger
from tests.support.registry_sites import Mood, Site, site

FORWARD = tuple(point for point in PROMOTION_POINTS if point not in BACK)
MOVE = ("promote.checked", "promote.moved")
"""The last point before the alias moves, and the first one after it."""
ALREADY = "is the champion of"
NUMBERS = count()


@dataclass(frozen=True)
class Scene:
    """A store with four homes that promote to it; every test has a model of its own."""

    site: Site
    homes: Sequence[Home]
    model: str

    @property
    def ledger(self) -> Ledger:
        return Ledger.read(self.site.database, self.model)

    @property
    def faults(self) -> list[str]:
        return self.ledger.faults(self.site.artifacts)

    def promote(self, number: int) -> None:
        """Promote a home's candidate."""
        command = self.homes[number].promote(self.model)
        assert 0 == command.code(), command.said

    def promote_again(self, number: int) -> None:
        """The command that was interrupted, once more."""
        command = self.homes[number].promote(self.model)
        assert command.code() == 0 or ALREADY in command.sentence, command.said
        assert [] == self.faults
        assert self.homes[number].run == self.ledger.rows[-1].tags["risexp.run"]


Rows = Iterable[tuple[object, ...]]


def cases(fault: str, names: str, *day: tuple[object, ...], **rows: Rows) -> pytest.MarkDecorator:
    """Rows of values by kind of store; by day only those named over MLflow's server on SQLite."""
    return pytest.mark.parametrize(
        ("kind", *names.split()),
        [
            pytest.param(kind.replace("_", "-"), *row, marks=marks)
            for kind, own in rows.items()
            for row in own
            for due in [kind == "http_sqlite" and row in day]
            for marks in [pytest.mark.fault(fault) if due else pytest.mark.slow]
        ],
    )


def singly(points: Iterable[str]) -> list[tuple[str]]:
    return [(point,) for point in points]


Places = Callable[[str], tuple[Site, list[Home]]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Stores and homes by kind, each made once."""
    with ExitStack() as exits:

        @cache
        def place_of(kind: str) -> tuple[Site, list[Home]]:
            folder = tmp_path_factory.mktemp("registry")
            made = exits.enter_context(site(kind, folder))
            homes = [home_with_candidate(folder / f"home-{n}", made.address, n) for n in range(4)]
            return made, homes

        yield place_of


@pytest.fixture
def scene(
    kind: str, places: Places, record_property: Callable[[str, object], None]
) -> Iterator[Scene]:
    record_property("database", "postgresql" if "postgresql" in kind else "sqlite")
    own = Scene(*places(kind), f"model-{next(NUMBERS)}")
    yield own
    if own.site.proxy is not None:
        own.site.proxy.recover()


RACES = [("promote.judged", 2), ("promote.logged", 2), ("promote.created", 4)]


@cases(
    "F16",
    "point homes",
    ("promote.logged", 2),
    http_sqlite=RACES,
    http_postgresql=RACES,
    sqlite=RACES,
    postgresql=RACES,
)
def test_of_promotions_that_would_all_pass_one_wins_and_the_others_are_judged_beside_it(
    scene: Scene, point: PromotionPoint, homes: int
) -> None:
    commands = [
        home.promote(scene.model, Fault(stop=point)).stopped() for home in scene.homes[:homes]
    ]
    for command in commands:
        command.send()

    codes = [command.code() for command in commands]
    assert [0, *[1] * (homes - 1)] == sorted(codes, key=str)
    assert [] == scene.faults
    for number, (command, code) in enumerate(zip(commands, codes, strict=True)):
        if code != 0:
            assert "nothing was" in command.sentence
            scene.promote(number)
    assert [] == scene.faults
    assert homes == len(scene.ledger.rows)


@cases("F16", "", http_sqlite=[()], http_postgresql=[()], sqlite=[()], postgresql=[()])
def test_promotions_that_are_repeated_until_they_pass_follow_one_another(scene: Scene) -> None:
    left = {*range(4)}
    while left:
        commands = {number: scene.homes[number].promote(scene.model) for number in left}
        codes = {number: command.code() for number, command in commands.items()}
        assert {*codes.values()} <= {0, 1}
        assert 0 in codes.values(), [command.said for command in commands.values()]
        assert [] == scene.faults
        left = {number for number, code in codes.items() if code != 0}

    assert 4 == len(scene.ledger.rows)


@cases(
    "F2",
    "point",
    http_sqlite=singly(("promote.created", "promote.moved")),
    http_postgresql=singly(FORWARD),
    sqlite=singly(FORWARD),
    postgresql=singly(("promote.created", "promote.moved")),
)
def test_a_promotion_that_is_killed_is_finished_by_the_same_command(
    scene: Scene, point: PromotionPoint
) -> None:
    scene.promote(0)

    assert -9 == scene.homes[1].promote(scene.model, Fault(crash=point)).code()

    assert (1 if point in BEFORE else 2) == scene.ledger.champion
    scene.promote_again(1)
    command = scene.homes[1].roll_back(scene.model)
    assert 0 == command.code(), command.said
    assert {"champion": 1} == scene.ledger.aliases


@cases("F2", "point", http_postgresql=singly(BACK), sqlite=singly(BACK), postgresql=singly(BACK))
def test_a_rollback_that_is_killed_is_finished_by_the_same_command(
    scene: Scene, point: PromotionPoint
) -> None:
    scene.promote(0)
    scene.promote(1)

    assert -9 == scene.homes[1].roll_back(scene.model, Fault(crash=point)).code()

    moved = BACK.index(point) >= BACK.index("rollback.moved")
    assert (1 if moved else 2) == scene.ledger.champion
    if point != "rollback.settled":
        command = scene.homes[1].roll_back(scene.model)
        assert 0 == command.code(), command.said
    assert {"champion": 1} == scene.ledger.aliases
    assert ["champion", "former"] == scene.ledger.states


@cases(
    "F14",
    "point number",
    http_postgresql=product(MOVE, [signal.SIGTERM]),
    sqlite=product(FORWARD, (signal.SIGTERM, signal.SIGINT)),
)
def test_a_signal_ends_a_promotion_before_the_alias_moves_and_not_after(
    scene: Scene, point: PromotionPoint, number: int
) -> None:
    scene.promote(0)

    command = scene.homes[1].promote(scene.model, Fault(stop=point)).stopped().send(number)

    released = 75 if number == signal.SIGTERM else 130
    assert (released if point in BEFORE else 0) == command.code(), command.said
    assert [] == scene.faults
    assert (1 if point in BEFORE else 2) == len(scene.ledger.rows)
    scene.promote_again(1)


@cases("F14", "point", http_postgresql=singly(["rollback.moved"]), sqlite=singly(BACK))
def test_a_signal_lets_a_rollback_finish(scene: Scene, point: PromotionPoint) -> None:
    scene.promote(0)
    scene.promote(1)

    command = scene.homes[1].roll_back(scene.model, Fault(stop=point)).stopped()
    command.send(signal.SIGTERM)

    assert 0 == command.code(), command.said
    assert {"champion": 1} == scene.ledger.aliases
    assert ["champion", "former"] == scene.ledger.states


@cases(
    "F14",
    "point",
    http_postgresql=singly(["promote.moved"]),
    sqlite=singly(FORWARD[len(BEFORE) :]),
)
def test_a_second_signal_ends_a_promotion_at_once_and_the_same_command_finishes_it(
    scene: Scene, point: PromotionPoint
) -> None:
    scene.promote(0)

    command = scene.homes[1].promote(scene.model, Fault(stop=point)).stopped()
    command.send(signal.SIGTERM, signal.SIGINT)

    assert command.code() in (75, 130), command.said
    assert 2 == scene.ledger.champion
    scene.promote_again(1)


@cases(
    "F7",
    "point mood",
    ("promote.created", "away"),
    http_sqlite=[*product(FORWARD, ["away"]), *product(MOVE, ("500", "hung"))],
    http_postgresql=product(MOVE, ["away"]),
)
def test_a_promotion_that_loses_its_server_says_so_and_is_finished_by_the_same_command(
    scene: Scene, point: PromotionPoint, mood: Mood
) -> None:
    assert scene.site.proxy is not None
    scene.promote(0)

    command = scene.homes[1].promote(scene.model, Fault(stop=point, patience_s=10)).stopped()
    scene.site.proxy.mood = mood
    assert 1 == command.send().code(), command.said
    scene.site.proxy.recover()

    assert command.sentence
    assert (1 if point in BEFORE else 2) == scene.ledger.champion
    scene.promote_again(1)


@cases("F7", "", http_sqlite=[()], http_postgresql=[()])
def test_no_lost_answer_of_the_server_promotes_twice_or_by_halves(
    scene: Scene,
) -> None:
    proxy = scene.site.proxy
    assert proxy is not None
    for write in count():
        own = Scene(scene.site, scene.homes, f"{scene.model}-{write}")
        own.promote(0)
        command = own.homes[1].promote(own.model, Fault(stop="promote.judged")).stopped()
        proxy.after = write
        code = command.send().code()
        if proxy.after is not None:
            proxy.recover()
            break
        assert code == 0 or command.sentence, command.said
        own.promote_again(1)
    assert write > 10
