"""The aperture front: rows and columns of the solved field as tokens."""

from typing import Final

import torch
from torch import Tensor, nn

from risexp.config.learning import NetworkConfig
from risexp.estimation.receiver_model import ReceiverModel
from risexp.model.blocks import Attention, Features
from risexp.model.observation import Observation


class ApertureFront(nn.Module):
    """A transformer over rows and columns of the panel, with one query a source."""

    reach: Final = 0.5
    """Largest shift of a slot, as a share of the view: from its middle to anywhere in it."""

    def __init__(self, receiver: ReceiverModel, config: NetworkConfig, columns: int) -> None:
        super().__init__()
        self.receiver, width = receiver, config.width
        wide, high = receiver.panel.elements_h, receiver.panel.elements_v
        self.row = nn.Linear(2 * wide * columns, width)
        self.column = nn.Linear(2 * high * columns, width)
        self.level = nn.Linear(2, width)
        most = receiver.view.sources_max
        self.place = nn.Parameter(0.02 * torch.randn(wide + high, width))
        # Beside the level added to all of them, small queries would leave all slots alike.
        self.queries = nn.Parameter(torch.randn(most + 1, width))
        self.trunk = nn.Sequential(
            *(Attention(width, config.heads, config.dropout) for _ in range(config.depth))
        )
        self.out = nn.LayerNorm(width)

    def forward(self, observation: Observation) -> Features:
        """Features of B scenes."""
        tokens = self.trunk(self._tokens(observation))
        queries = self.out(tokens[:, -len(self.queries) :])
        batch, most = len(queries), len(self.queries) - 1
        view = self.receiver.view
        middle = [0.5 * sum(limits) for limits in (view.u, view.v, view.rho)]
        anchors = queries.new_tensor(middle).expand(batch, most, 3)
        return Features(queries[:, 0], queries[:, 1:], anchors, queries.new_zeros(batch, most))

    def _tokens(self, observation: Observation) -> Tensor:
        """Rows, columns and queries, (B, elements_v + elements_h + K_MAX + 1, D)."""
        panel, field = self.receiver.panel, observation.sampled.factor
        batch, _, count = field.shape
        sheet = torch.view_as_real(field).reshape(
            batch, panel.elements_v, panel.elements_h, 2 * count
        )
        level = torch.stack([observation.snr_db / 10.0, observation.log_rms], dim=-1)
        queries = self.queries + self.level(level).unsqueeze(1)
        lines = torch.cat(
            [self.row(sheet.flatten(2)), self.column(sheet.transpose(1, 2).flatten(2))], dim=1
        )
        return torch.cat([lines + self.place, queries], dim=1)
