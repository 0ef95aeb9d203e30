"""Loads the compiled search when it is imported, for a server that forks: once for all forks."""

import torch

from risexp.app.benchmark.methods import method_named
from tests.support.localisation import scenes_of
from tests.support.networks import answer, network_config

# A process that is forked has none of the threads that were there before.
torch.set_num_threads(1)
_CONFIG = network_config()
_SCENES = scenes_of(_CONFIG, 2)
answer(_CONFIG, _SCENES.frames)
method_named("nomp", _CONFIG)(_SCENES)
