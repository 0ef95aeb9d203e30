"""What a candidate has to hold before it becomes a model that others load."""

from typing import Final, Literal

from pydantic import Field, ValidationError

from risexp.config.named_files import first_comment, path_named, yaml_paths
from risexp.config.section import Section
from risexp.config.words import nearest, one_sentence
from risexp.config.yaml import read_yaml
from risexp.errors import ConfigInvalid

FOLDER: Final = "gates"

Claim = Literal["success_rate", "k_acc"]
"""A score in which a promotion may claim to be better."""


class CandidateGates(Section):
    """What a candidate has to hold whoever else there is."""

    scenes_min: int = Field(default=2000, ge=50)
    """Fewest scenes on which anything is concluded."""
    k_acc_gain_min: float = Field(default=0.0, ge=0.0, le=1.0)
    """By how much K accuracy exceeds that of always answering the commonest count: the lower end of
    the interval lies above this. At zero a count that is a guess is still never promoted."""
    ece_max: float = Field(default=0.06, ge=0.0, le=1.0)
    """Largest expected calibration error of the most probable count."""
    guards: Literal["clean", "any"] = "clean"
    """Whether the run has to be complete, with no guard that found something."""


class ChampionGates(Section):
    """What a candidate has to hold beside the champion, on the same scenes in the same process."""

    data: Literal["same", "any"] = "same"
    """Whether both were trained on scenes of the same law and seed."""
    success_rate_loss_max: float = Field(default=0.01, ge=0.0, le=1.0)
    """How much success may be lost: the lower end of the paired interval lies above minus this."""
    k_acc_loss_max: float = Field(default=0.01, ge=0.0, le=1.0)
    """How much K accuracy may be lost, likewise."""
    better_in: list[Claim] = Field(default_factory=lambda: list[Claim](["success_rate"]))
    """Scores in which the candidate is claimed to be better: the lower end lies above zero."""
    slice_loss_max: float = Field(default=0.05, ge=0.0, le=1.0)
    """How much of either score may be lost among the scenes of one SNR bin or of one true count."""
    slice_scenes_min: int = Field(default=200, ge=1)
    """Scenes below which a slice is not judged."""
    ms_ratio_max: float = Field(default=1.5, gt=0.0)
    """Largest time a scene, as a multiple of the champion's."""


class NompGates(Section):
    """What a candidate has to hold beside the classical localiser, on the same scenes."""

    success_rate_loss_max: float = Field(default=0.1, ge=0.0, le=1.0)
    """How much less success it may have: the lower end of the interval lies above minus this."""


class Gates(Section):
    """All gates of a promotion; each is judged by a number that is recorded."""

    name: str
    """What they are called: their file's name."""
    about: str = ""
    """For people: the file's first comment."""
    level: float = Field(default=0.95, ge=0.5, lt=1.0)
    """Of all intervals; what lies below the lower end has half of the rest."""
    resamples: int = Field(default=2000, ge=200, le=100_000)
    """How often as many scenes are drawn anew for an interval."""
    candidate: CandidateGates = CandidateGates()
    """What a candidate has to hold whoever else there is."""
    champion: ChampionGates = ChampionGates()
    """What it has to hold beside the champion; skipped while there is none."""
    nomp: NompGates = NompGates()
    """What it has to hold beside the classical localiser."""


def load_gates(name: str) -> Gates:
    """Read gates by name or by path: a file, the home's `gates/`, or those that ship.

    Raises:
        ConfigInvalid: There are none of that name, or their file is none.
    """
    path = path_named(name, FOLDER)
    if path is None:
        known = yaml_paths(FOLDER)
        hint = nearest(name, known) or f"; there are: {', '.join(known) or 'none'}"
        raise ConfigInvalid(f"there are no gates {name!r}{hint}")
    tree = read_yaml(path)
    if clash := tree.keys() & {"name", "about"}:
        raise ConfigInvalid(f"{path}: {min(clash)} comes from the file's name and first comment")
    try:
        return Gates.model_validate({"name": path.stem, "about": first_comment(path), **tree})
    except ValidationError as error:
        raise ConfigInvalid(f"{path}: {one_sentence(error)}") from None
