"""The image front: the solved field over directions, one channel a range plane."""

from typing import Final

import torch
from torch import Tensor, nn

from risexp.config.learning import NetworkConfig
from risexp.estimation.grid import search_grid
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.blocks import Features, Residual
from risexp.model.observation import Observation
from risexp.model.prediction import Heat

_RARE = -4.0
"""First logit of a cell: few cells hold a source."""


class ImageFront(nn.Module):
    """Convolutions over the panel's responses; the peaks of a learned heat map are the slots."""

    reach: Final = 0.15
    """Largest shift of a slot: a peak is right to within its cell and its range plane."""

    def __init__(self, receiver: ReceiverModel, config: NetworkConfig, columns: int) -> None:
        super().__init__()
        self.receiver, width = receiver, config.width
        planes = search_grid(receiver.panel, receiver.view, torch.device("cpu")).shape[0]
        # Of several fields only the mean power is comparable; of one, its phases too.
        self.phases = columns == 1
        self.stem = nn.Conv2d(planes * (3 if self.phases else 1), width, 3, padding=1)
        self.level = nn.Linear(2, width)
        self.trunk = nn.Sequential(*(Residual(width, config.dropout) for _ in range(config.depth)))
        self.heat = nn.Conv2d(width, 1, 1)
        self.plane = nn.Conv2d(width, planes, 1)
        self.rank = nn.Parameter(0.02 * torch.randn(receiver.view.sources_max, width))
        self.context = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU())

    def forward(self, observation: Observation) -> Features:
        """Features of B scenes."""
        image = self._image(observation)
        level = torch.stack([observation.snr_db / 10.0, observation.log_rms], dim=-1)
        seen = self.trunk(self.stem(image) + self.level(level)[..., None, None])
        heat, planes = self.heat(seen).squeeze(1) + _RARE, self.plane(seen)
        places = self._peaks(heat)
        at = places.unsqueeze(1).expand(-1, seen.shape[1], -1)
        pooled = torch.cat([seen.mean((-2, -1)), seen.amax((-2, -1))], dim=-1)
        slots = seen.flatten(2).gather(-1, at).mT + self.rank
        grid = search_grid(self.receiver.panel, self.receiver.view, image.device)
        return Features(
            context=self.context(pooled),
            slots=slots,
            anchors=self._anchors(places, planes),
            log_power=nn.functional.logsigmoid(heat.flatten(1).gather(-1, places)),
            heat=Heat(heat, u=grid.points[0, 0, :, 0], v=grid.points[0, :, 0, 1]),
        )

    def _image(self, observation: Observation) -> Tensor:
        """Responses of each plane and direction, (B, channels, V, U)."""
        receiver, sampled = self.receiver, observation.sampled
        grid = search_grid(receiver.panel, receiver.view, sampled.factor.device)
        rows = grid.responses(sampled.factor.mH)
        power = torch.view_as_real(rows).square().sum((1, -1))
        layers = [grid.unfold((power + 1e-6).log(), -12.0) / 4.0]
        if self.phases:
            field = rows.squeeze(1) * grid.panel.elements**-0.25
            layers += [grid.unfold(field.real, 0.0), grid.unfold(field.imag, 0.0)]
        return torch.cat(layers, dim=1)

    def _peaks(self, heat: Tensor) -> Tensor:
        """Cells (B, K_MAX) of the map's highest peaks; constants."""
        laid = heat.detach()
        around = nn.functional.max_pool2d(laid.unsqueeze(1), 3, stride=1, padding=1).squeeze(1)
        ranked = torch.where(laid == around, laid, laid - 1e4).flatten(1)
        most, cells = self.receiver.view.sources_max, ranked.shape[1]
        peaks = ranked.topk(min(most, cells), dim=-1).indices
        # A view of a few cells has fewer peaks than slots: the last peak fills the rest.
        missing = most - peaks.shape[1]
        return torch.cat([peaks, peaks[:, -1:].expand(-1, missing)], dim=1)

    def _anchors(self, places: Tensor, planes: Tensor) -> Tensor:
        """Points (B, K_MAX, 3): the cell's direction, and the mean range of its planes."""
        grid = search_grid(self.receiver.panel, self.receiver.view, places.device)
        share = planes.flatten(2).softmax(1)
        rho = (share * grid.points[:, 0, 0, 2].view(1, -1, 1)).sum(1).gather(-1, places)
        cells = grid.points[0].flatten(0, 1)[places]
        return torch.cat([cells[..., :2], rho.unsqueeze(-1)], dim=-1)
