"""Layers of a configuration: later ones win, and every value keeps its origin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from risexp.config.run import RunConfig, fields, unknown_field
from risexp.config.section import nearest
from risexp.config.yaml import parse_yaml, read_yaml
from risexp.errors import ConfigInvalid

DEFAULT = "default"
ENVIRONMENT_PREFIX = "RISEXP__"
_PRESETS = Path(str(files("risexp.config"))) / "presets"


@dataclass(frozen=True)
class Layer:
    """Some fields of a run, and their origin."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Loaded:
    """A resolved configuration, and the origin of every field."""

    config: RunConfig
    origins: Mapping[str, str]


def load_config(
    *,
    preset: str | None = None,
    paths: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> Loaded:
    """Resolve default < preset < files < environment < `--set a.b=v`."""
    layers = [] if preset is None else [preset_layer(preset)]
    layers += [Layer(str(path), flatten(read_yaml(path), str(path))) for path in paths]
    layers += environment_layers(environment or {})
    layers += [override_layer(text) for text in overrides]
    return resolve(layers)


def resolve(layers: Iterable[Layer]) -> Loaded:
    """Apply the layers to the defaults and validate the result once."""
    values: dict[str, Any] = {}
    origins = dict.fromkeys(fields(), DEFAULT)
    for layer in layers:
        values.update(layer.values)
        origins.update(dict.fromkeys(layer.values, layer.origin))
    return Loaded(RunConfig().replace(values, origins), origins)


def with_overrides(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """A configuration with overrides `a.b=v` of a command line."""
    layers = [override_layer(text) for text in overrides]
    values = {path: value for layer in layers for path, value in layer.values.items()}
    return config.replace(values, dict.fromkeys(values, "--set"))


def preset_names() -> tuple[str, ...]:
    """The presets that ship with the package."""
    return tuple(sorted(path.stem for path in _PRESETS.glob("*.yaml")))


def preset_layer(name: str) -> Layer:
    """A shipped preset by name."""
    if name not in preset_names():
        known = ", ".join(preset_names())
        suggestion = nearest(name, preset_names()) or f"; there are {known}"
        raise ConfigInvalid(f"there is no preset {name!r}{suggestion}")
    path = _PRESETS / f"{name}.yaml"
    return Layer(f"preset {name}", flatten(read_yaml(path), str(path)))


def environment_layers(environment: Mapping[str, str]) -> list[Layer]:
    """`RISEXP__DATA__SEED=3` sets `data.seed`; values are read as YAML."""
    layers = []
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            path = name.removeprefix(ENVIRONMENT_PREFIX).replace("__", ".").lower()
            layers.append(_one(path, environment[name], f"environment {name}"))
    return layers


def override_layer(text: str) -> Layer:
    """`a.b=v` as given to `--set`."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise ConfigInvalid(f"--set {text!r} is not of the form section.field=value")
    return _one(path.strip(), value, "--set")


def _one(path: str, text: str, origin: str) -> Layer:
    return Layer(origin, {path: parse_yaml(text, f"{origin}: {path}")})


def flatten(tree: Mapping[str, Any], source: str, prefix: str = "") -> dict[str, Any]:
    """A nested mapping as dotted paths; dotted paths are accepted too."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if path in fields():
            below = {path: value}
        elif isinstance(value, Mapping) and any(key.startswith(f"{path}.") for key in fields()):
            below = flatten(value, source, f"{path}.")
        elif any(key.startswith(f"{path}.") for key in fields()):
            raise ConfigInvalid(f"{source}: {path} is a section: give it fields, not {value!r}")
        else:
            raise ConfigInvalid(f"{source}: {unknown_field(path)}")
        for twice in below.keys() & flat.keys():
            raise ConfigInvalid(f"{source}: {twice} is set twice, once dotted and once nested")
        flat |= below
    return flat
