"""Gates that a candidate must pass before it is promoted."""

from typing import Final, Literal

from pydantic import Field, ValidationError

from risexp.config.section import Section, nearest, one_sentence
from risexp.config.yaml import first_comment, path_named, read_yaml, yaml_paths
from risexp.errors import ConfigInvalid

FOLDER: Final = "gates"

Claim = Literal["success_rate", "k_acc"]
"""A score in which a candidate can be required to be better."""


class CandidateGates(Section):
    """Gates for the candidate alone."""

    scenes_min: int = Field(default=2000, ge=50)
    """Smallest number of test scenes."""
    k_acc_gain_min: float = Field(default=0.0, ge=0.0, le=1.0)
    """Gain in K accuracy over always answering the most frequent count: the lower end of its
    interval must lie above this. Zero still refuses a constant count."""
    ece_max: float = Field(default=0.06, ge=0.0, le=1.0)
    """Largest expected calibration error of the most probable count."""
    guards: Literal["clean", "any"] = "clean"
    """`clean`: the run must be complete and its guards must have found no fault."""


class ChampionGates(Section):
    """Gates beside the champion, on the same scenes in the same process."""

    data: Literal["same", "any"] = "same"
    """`same`: both must be trained on scenes of the same law and seed."""
    success_rate_loss_max: float = Field(default=0.01, ge=0.0, le=1.0)
    """Largest loss of success: the lower end of the paired interval must lie above minus this."""
    k_acc_loss_max: float = Field(default=0.01, ge=0.0, le=1.0)
    """Largest loss of K accuracy, likewise."""
    better_in: list[Claim] = Field(default_factory=lambda: list[Claim](["success_rate"]))
    """Scores in which the candidate must be better: the lower end lies above zero."""
    slice_loss_max: float = Field(default=0.05, ge=0.0, le=1.0)
    """Largest loss of either score among the scenes of one SNR bin or of one true count."""
    slice_scenes_min: int = Field(default=200, ge=1)
    """Smallest number of scenes for which a slice is judged."""
    ms_ratio_max: float = Field(default=1.5, gt=0.0)
    """Largest time per scene, as a multiple of the champion's."""


class NompGates(Section):
    """Gates beside NOMP, on the same scenes."""

    success_rate_loss_max: float = Field(default=0.1, ge=0.0, le=1.0)
    """Largest loss of success: the lower end of the interval must lie above minus this."""


class Gates(Section):
    """All gates of a promotion."""

    name: str
    """Name of their file."""
    about: str = ""
    """First comment of their file."""
    level: float = Field(default=0.95, ge=0.5, lt=1.0)
    """Level of all intervals; half of the rest lies below the lower end."""
    resamples: int = Field(default=2000, ge=200, le=100_000)
    """Number of bootstrap resamples of an interval."""
    candidate: CandidateGates = CandidateGates()
    """Gates for the candidate alone."""
    champion: ChampionGates = ChampionGates()
    """Gates beside the champion; skipped while there is none."""
    nomp: NompGates = NompGates()
    """Gates beside NOMP."""


def load_gates(name: str) -> Gates:
    """Read gates by the path of a file, or by name from the home's `gates/` or the shipped ones."""
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
