"""Layers of fronts and heads, and the features that a front hands to the heads."""

from dataclasses import dataclass

from torch import Tensor, nn

from risexp.model.prediction import Heat


def perceptron(size: int, width: int, out: int) -> nn.Sequential:
    """Two layers; the second starts at zero, so that a sum with its output starts unchanged."""
    last = nn.Linear(width, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(size, width), nn.SiLU(), last)


class Attention(nn.Module):
    """A transformer block: attention over all tokens, then a perceptron on each of them."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.mixed = nn.Linear(width, 3 * width)
        self.joined = nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.thought = nn.Sequential(
            nn.Linear(width, 2 * width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        batch, count, width = tokens.shape
        parts = self.mixed(self.before(tokens)).unflatten(-1, (3, self.heads, width // self.heads))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.joined(seen.transpose(1, 2).reshape(batch, count, width))
        changed: Tensor = tokens + self.thought(self.after(tokens))
        return changed


class Residual(nn.Module):
    """A convolutional block at one resolution."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(1, channels),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        changed: Tensor = image + self.block(image)
        return changed


@dataclass(frozen=True)
class Features:
    """What a front extracts from B scenes: a context, and a slot for each source."""

    context: Tensor
    """(B, D): the whole scene."""
    slots: Tensor
    """(B, K_MAX, D): one candidate source a slot."""
    anchors: Tensor
    """(B, K_MAX, 3) float32: points (u, v, rho) that the slots start from."""
    log_power: Tensor
    """(B, K_MAX) float32: log of the power that a slot starts from."""
    heat: Heat | None = None
    """The heat map that the anchors come from, if the front draws one."""
