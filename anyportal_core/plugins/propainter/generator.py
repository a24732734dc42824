"""ProPainter's generator: paints what the flow could not bring."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyportal_core.plugins.propainter.layers import Flows, Upscale, conv
from anyportal_core.plugins.propainter.propagation import FeaturePropagation
from anyportal_core.plugins.propainter.transformer import PADDING, PATCH, STRIDE, Compose, Split, Transformer

REDUCTION: Final = 4
"""Features are this much smaller than the picture."""


class Generator(nn.Module):
    """Paints the missing parts of local frames, seeing some reference frames besides.

    Args:
        width: channels of the first layer, which those of all convolutions follow from; of 8.
        tokens: channels of a token, of 4.
        depth: blocks of the transformer.
        hidden: channels of the picture that a block's feed-forward layer makes.
    """

    def __init__(self, width: int = 64, tokens: int = 512, depth: int = 8, hidden: int = 40) -> None:
        super().__init__()
        channels = 2 * width
        self.encoder = _Encoder(width)
        self.feat_prop_module = FeaturePropagation(channels)
        self.ss = Split(channels, tokens)
        self.transformers = Transformer(tokens, depth, hidden)
        self.sc = Compose(channels, tokens)
        leaky = nn.LeakyReLU(0.2)
        half = Upscale(channels, channels), leaky, conv(channels, width), leaky
        self.decoder = nn.Sequential(*half, Upscale(width, width), leaky, conv(width, 3))

    def forward(self, frames: Tensor, flows: Flows, masks: Tensor, missing: Tensor, local: int) -> Tensor:
        """Pictures ``(B, local, 3, H, W)`` in -1..1 of the first ``local`` frames; sizes are of 8.

        Args:
            frames: ``(B, T, 3, H, W)`` in -1..1, as far as they are known.
            flows: completed, between the local frames.
            masks: ``(B, T, 1, H, W)``, 1 where the plate is not to be kept.
            missing: of the same shape, 1 where propagation brought nothing.
        """
        features = self.propagated(self.encoded(frames, masks, missing), flows, masks, missing, local)
        painted = features[:, :local] + self._attended(features, masks[:, :local])[:, :local]
        pictures: Tensor = self.decoder(painted.flatten(0, 1)).tanh()
        return pictures.view(len(frames), local, *pictures.shape[1:])

    def encoded(self, frames: Tensor, masks: Tensor, missing: Tensor) -> Tensor:
        """Features ``(B, T, C, H/4, W/4)`` of each frame alone."""
        seen = torch.cat([frames, masks, missing], dim=2)
        features: Tensor = self.encoder(seen.flatten(0, 1))
        return features.view(*frames.shape[:2], *features.shape[1:])

    def propagated(self, features: Tensor, flows: Flows, masks: Tensor, missing: Tensor, local: int) -> Tensor:
        """The same features, those of the local frames carried along the flow."""
        holes = torch.cat([_smaller(masks[:, :local]), _smaller(missing[:, :local])], dim=2)
        small = Flows(_smaller_flow(flows.forward), _smaller_flow(flows.backward))
        carried = self.feat_prop_module(features[:, :local], small, holes)
        return torch.cat([carried, features[:, local:]], dim=1)

    def tokens(self, features: Tensor, masks: Tensor) -> Tensor:
        """What the transformer makes of features ``(B, T, C, h, w)``: ``(B, T, rows, columns, D)``."""
        size = features.shape[-2:]
        holes = F.max_pool2d(_smaller(masks).flatten(0, 1), PATCH, STRIDE, PADDING)
        patches = self.ss(features.flatten(0, 1))
        tokens: Tensor = self.transformers(
            patches.view(*features.shape[:2], *patches.shape[1:]), size, holes.view(*masks.shape[:2], *holes.shape[2:])
        )
        return tokens

    def _attended(self, features: Tensor, masks: Tensor) -> Tensor:
        tokens = self.tokens(features, masks)
        composed: Tensor = self.sc(tokens.flatten(0, 1), features.shape[-2:])
        return composed.view(features.shape)


class _Encoder(nn.Module):
    """Convolutions, of which the later ones see the output of the first stage again, split in more and more groups."""

    def __init__(self, width: int) -> None:
        super().__init__()
        leaky = nn.LeakyReLU(0.2)
        early = 4 * width
        plain = [(5, width, 2), (width, width, 1), (width, 2 * width, 2), (2 * width, early, 1)]
        layers = [nn.Conv2d(i, o, 3, stride=stride, padding=1) for i, o, stride in plain]
        self.first_stage, self.groups = 2 * len(plain), (1, 2, 4, 8, 1)
        for before, after, groups in zip((0, 6, 8, 6, 4), (6, 8, 6, 4, 2), self.groups, strict=True):
            layers.append(nn.Conv2d(early + before * width, after * width, 3, padding=1, groups=groups))
        self.layers = nn.ModuleList(module for layer in layers for module in (layer, leaky))

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 5, H, W)`` to ``(B, 2 * width, H/4, W/4)``."""
        for layer in self.layers[: self.first_stage]:
            images = layer(images)
        early = images
        for number, groups in enumerate(self.groups):
            convolution, activation = self.layers[self.first_stage + 2 * number :][:2]
            seen = images if number == 0 else _interleaved(early, images, groups)
            images = activation(convolution(seen))
        return images


def _interleaved(early: Tensor, images: Tensor, groups: int) -> Tensor:
    """Both, so that each of the groups has its share of either."""
    shares = [side.view(len(side), groups, -1, *side.shape[2:]) for side in (early, images)]
    return torch.cat(shares, dim=2).flatten(1, 2)


def _smaller(masks: Tensor) -> Tensor:
    small = F.interpolate(masks.flatten(0, 1), scale_factor=1 / REDUCTION, mode="nearest")
    return small.view(*masks.shape[:2], *small.shape[1:])


def _smaller_flow(flow: Tensor) -> Tensor:
    small = F.interpolate(flow.flatten(0, 1), scale_factor=1 / REDUCTION, mode="bilinear", align_corners=False)
    return (small / REDUCTION).view(*flow.shape[:2], *small.shape[1:])
