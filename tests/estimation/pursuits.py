"""What a pursuit through frames leaves: its law, its fits, and their ranges."""

from risexp.config.run import RunConfig
from risexp.data.frames import Frames
from risexp.estimation.fresh_symbols import FreshSymbols
from risexp.estimation.grid import search_grid
from risexp.estimation.held_symbols import HeldSymbols
from risexp.estimation.pursuit import Law, Pursuit, pursue
from risexp.estimation.ranging import RangePosterior
from risexp.estimation.receiver_model import ReceiverModel

Found = tuple[Law, Pursuit, list[RangePosterior]]


def pursued(config: RunConfig, frames: Frames) -> Found:
    receiver = ReceiverModel.of(config)
    grid = search_grid(receiver.panel, receiver.view, frames.y.device)
    held = receiver.symbols == "frame"
    law: Law = HeldSymbols.of(receiver, frames) if held else FreshSymbols.of(receiver, frames)
    pursuit = pursue(law, grid, receiver.view.sources_max)
    return law, pursuit, [RangePosterior.of(law, fit) for fit in pursuit.fits]
