"""Hold a frozen set against what its manifest says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from risexp.data.manifest import FrozenSetManifest
from risexp.data.shards import FrozenSet, ShardFault, set_faults


@dataclass(frozen=True)
class Verification:
    """What a set says it is, and everything in which it is not."""

    manifest: FrozenSetManifest
    faults: tuple[ShardFault, ...]


def read_total(folder: Path) -> int:
    """How many scenes a set claims to hold."""
    return len(FrozenSet.open(folder))


def verify_set(folder: Path, advance: Callable[[int], None]) -> Verification:
    """Read every byte of a set.

    Raises:
        DataInvalid: The folder holds no whole set at all.
    """
    manifest = FrozenSet.open(folder).manifest
    faults: list[ShardFault] = []
    for scenes, found in set_faults(folder, manifest):
        faults += found
        advance(scenes)
    return Verification(manifest, tuple(faults))
