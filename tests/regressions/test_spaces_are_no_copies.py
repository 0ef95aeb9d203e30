"""Once: `wide` and `narrow` were one space under two names."""

from itertools import combinations

import pytest

from risexp.space.files import diff_spaces, load_space, space_paths

NAMES = sorted(space_paths())


@pytest.mark.parametrize(("one", "two"), [*combinations(NAMES, 2)])
def test_no_two_shipped_spaces_search_the_same(one: str, two: str) -> None:
    rows = diff_spaces(load_space(one), load_space(two))

    assert any(what.startswith(("vary ", "stage ")) for what, _, _ in rows)


def test_narrow_lies_inside_wide() -> None:
    wide, narrow = load_space("wide"), load_space("narrow")

    shared = wide.vary.keys() & narrow.vary.keys()

    assert narrow.vary.keys() == shared
    for path in shared:
        assert all(wide.vary[path].holds(end) for end in narrow.vary[path].ends())


def test_a_copy_under_another_name_is_seen_for_what_it_is() -> None:
    """As it once was: `narrow` held what `wide` holds."""
    wide = load_space("wide")
    copy = wide.model_copy(update={"name": "narrow", "about": "the second sweep"})

    assert [] == diff_spaces(wide, copy)
