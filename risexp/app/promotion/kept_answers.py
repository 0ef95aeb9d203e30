"""Answers to a frozen test set, kept beside the sets, so that the next promotion reads them.

They are found by a digest of all that decides them: the scenes, the method with its weights and its
configuration, the code, and the kind of device. A damaged file is as good as none.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

import safetensors.torch
import torch
from safetensors import SafetensorError

import risexp
from risexp.app.promotion.test_set import TestSet, sets_home
from risexp.config.run import RunConfig
from risexp.core.durable import write_durably
from risexp.core.sealed import canonical_sha
from risexp.errors import DataInvalid
from risexp.estimation.backend import backend_of
from risexp.inference.estimate import Estimate
from risexp.registry.sealed_model import Bundle

_MS: Final = "ms_per_scene"


@dataclass(frozen=True)
class KeptAnswers:
    """The file of one method's answers to one test set."""

    path: Path
    scenes: int

    @classmethod
    def of_network(cls, bundle: Bundle, test_set: TestSet, device: torch.device) -> Self:
        """The file of a network's answers."""
        weights = {
            name: hashlib.sha256(each.contiguous().cpu().numpy().tobytes()).hexdigest()
            for name, each in bundle.weights.items()
        }
        facts = {
            "weights": weights,
            "beta": bundle.beta,
            "temperature": bundle.temperature,
            "config": bundle.config.sha(),
        }
        return cls._of(facts, bundle.config, test_set, device)

    @classmethod
    def of_nomp(cls, config: RunConfig, test_set: TestSet, device: torch.device) -> Self:
        """The file of NOMP's answers, which all runs of one law share."""
        return cls._of({"nomp": config.sha("physics", "data")}, config, test_set, device)

    @classmethod
    def _of(
        cls, facts: dict[str, object], config: RunConfig, test_set: TestSet, device: torch.device
    ) -> Self:
        decisive = facts | {
            "scenes": test_set.manifest.digest,
            "backend": backend_of(config.localisation.backend),
            "device": device.type,
            "torch": str(torch.__version__),
            **{name: version(name) for name in ("numba", "numpy")},
        }
        name = f"{_code()}-{canonical_sha(decisive)}.safetensors"
        path = sets_home() / "answers" / name
        return cls(path, test_set.manifest.scenes)

    def read(self) -> tuple[Estimate, float] | None:
        """The answers, and the milliseconds a scene that they took; None if there are none."""
        try:
            sha, _, content = self.path.read_bytes().partition(b"\n")
            if sha.decode("ascii", "replace") != hashlib.sha256(content).hexdigest():
                return None
            tensors = safetensors.torch.load(content)
            ms = float(tensors.pop(_MS))
            estimate = Estimate(**tensors)
        except (OSError, SafetensorError, KeyError, TypeError, DataInvalid):
            return None
        return (estimate, ms) if len(estimate) == self.scenes else None

    def write(self, estimate: Estimate, ms_per_scene: float) -> None:
        """Keep answers, and delete those of other code.

        Where they cannot be written, they are computed again.
        """
        # Copies: a file holds no tensors that share their memory.
        tensors = {name: each.clone().contiguous() for name, each in estimate.to("cpu").items()}
        tensors[_MS] = torch.tensor(ms_per_scene, dtype=torch.float64)
        content = safetensors.torch.save(tensors)
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self.path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
            for each in self.path.parent.glob("*.safetensors"):
                if each.name.partition("-")[0] != _code():
                    each.unlink(missing_ok=True)


@cache
def _code() -> str:
    """Digest of the package's sources."""
    root, digest = Path(risexp.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
