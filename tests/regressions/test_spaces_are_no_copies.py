"""Once: `wide` and `narrow` were one space under two names."""

from itertools import combinations

from risexp.space.files import diff_spaces, load_space, space_paths


def test_no_two_shipped_spaces_search_the_same() -> None:
    spaces = [load_space(name) for name in space_paths()]
    pairs = {
        (one.name, two.name): [what.split()[0] for what, _, _ in diff_spaces(one, two)]
        for one, two in combinations(spaces, 2)
    }

    assert {} == {pair: rows for pair, rows in pairs.items() if not {"vary", "stage"} & {*rows}}
    # Under another name it is seen for what it is.
    assert [] == diff_spaces(spaces[0], spaces[0].model_copy(update={"name": "narrow"}))


def test_narrow_lies_inside_wide() -> None:
    wide, narrow = load_space("wide"), load_space("narrow")

    shared = wide.vary.keys() & narrow.vary.keys()

    assert narrow.vary.keys() == shared
    for path in shared:
        assert all(wide.vary[path].holds(end) for end in narrow.vary[path].ends())
