"""Preflight verdict of a configuration, saved until the configuration or the code changes."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

import risexp
from risexp.config.run import RunConfig
from risexp.core.durable import write_durably
from risexp.core.home import home
from risexp.core.sealed import canonical_sha
from risexp.diagnostics.preflight import QUICK, Stage, probe_preflight, probes_of
from risexp.diagnostics.probe_trainer import CPU, ProbeTrainer
from risexp.diagnostics.report import Report

FORMAT: Final = "risexp-preflight-1"


@dataclass(frozen=True)
class Preflight:
    """A verdict and its origin."""

    report: Report
    config_sha: str
    code_sha: str
    remembered: bool
    """True if it was saved by an earlier preflight."""
    unkept: str | None = None
    """Why it could not be saved, if so."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return self.report.as_json() | {
            "config_sha": self.config_sha,
            "code_sha": self.code_sha,
            "remembered": self.remembered,
        }


class _Record(BaseModel):
    """A verdict in its file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["risexp-preflight-1"]
    config_sha: str
    code_sha: str
    report: Report


def preflight(
    config: RunConfig,
    device: torch.device = CPU,
    *,
    fresh: bool = False,
    tell: Callable[[Stage], None] = lambda _: None,
) -> Preflight:
    """Give the verdict on a configuration under this code and kind of device, saved or new.

    `fresh` runs the probes again; `tell` is called after every probe.
    """
    if not fresh and (known := remembered(config, device)) is not None:
        return known
    # A verdict under a hash may depend only on what is in the hash.
    trainer = ProbeTrainer(device=device)
    report = probe_preflight(probes_of(config.canonical(), trainer=trainer), tell)
    code = code_sha()
    unkept = _save(report, config.sha(), code, device)
    return Preflight(report, config.sha(), code, remembered=False, unkept=unkept)


def cleared(config: RunConfig) -> Report:
    """The saved report of a configuration, or else that of the quickest probes alone."""
    for device in (torch.device("cuda"), CPU):
        if (known := remembered(config, device)) is not None:
            return known.report
    probes = probes_of(config.canonical())
    return probe_preflight({name: probes[name] for name in QUICK})


def remembered(config: RunConfig, device: torch.device = CPU) -> Preflight | None:
    """The saved verdict, if there is one and its file is sound."""
    sha, code = config.sha(), code_sha()
    try:
        record = _Record.model_validate_json(_place(sha, code, device).read_bytes())
    except (OSError, ValidationError):
        return None
    if (record.config_sha, record.code_sha) != (sha, code):
        return None
    return Preflight(record.report, sha, code, remembered=True)


def code_sha() -> str:
    """SHA-256 of every Python file of this package and of the version of torch."""
    package = Path(risexp.__file__).parent
    digest = hashlib.sha256(torch.__version__.encode())
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"\n{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _place(config_sha: str, code: str, device: torch.device) -> Path:
    key = canonical_sha({"config": config_sha, "code": code, "device": device.type})
    return home() / "mlruns" / "preflight" / f"{key}.json"


def _save(report: Report, config_sha: str, code: str, device: torch.device) -> str | None:
    """Save a verdict; a failure is no error, and its reason is returned."""
    place = _place(config_sha, code, device)
    document = {"format": FORMAT, "config_sha": config_sha, "code_sha": code}
    text = json.dumps(document | {"report": report.as_json()}, indent=1, allow_nan=False)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_durably(place, text.encode())
    except OSError as error:
        return f"the verdict is not kept: {place}: {error.strerror}"
    return None
