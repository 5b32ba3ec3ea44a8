"""The published network written a second time, by its description and the names in its state dict alone.

Nothing of panlesion is imported: what this and our network compute from the same weights can agree only if both are right.
"""

import torch
from torch import nn


class Unit(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv = nn.Conv3d(before, after, 3, stride, 1, bias=True)
        self.instnorm = nn.InstanceNorm3d(after, eps=1e-5, affine=True)

    def forward(self, x):
        return nn.functional.leaky_relu(self.instnorm(self.conv(x)), 0.01)


class Stack(nn.Module):
    def __init__(self, before, after, count, stride=1):
        super().__init__()
        self.blocks = nn.Sequential(*(Unit(before if n == 0 else after, after, stride if n == 0 else 1) for n in range(count)))

    def forward(self, x):
        return self.blocks(x)


class Segmenter(nn.Module):
    def __init__(self, classes, features=(4, 8, 12, 16, 20, 20), channels=1):
        super().__init__()
        down, deepest = list(features[:-1]), features[-1]
        self.conv_blocks_context = nn.ModuleList(
            [
                Stack(before, after, 2, 1 if n == 0 else 2)
                for n, (before, after) in enumerate(zip([channels, *down[:-1]], down, strict=True))
            ]
            + [nn.Sequential(Stack(down[-1], deepest, 1, 2), Stack(deepest, deepest, 1))]
        )
        ups = list(zip([deepest, *down[:0:-1]], down[::-1], strict=True))
        self.tu = nn.ModuleList(nn.ConvTranspose3d(deep, fine, 2, 2, bias=False) for deep, fine in ups)
        self.conv_blocks_localization = nn.ModuleList(
            nn.Sequential(Stack(2 * fine, fine, 1), Stack(fine, fine, 1)) for _, fine in ups
        )
        self.seg_outputs = nn.ModuleList(nn.Conv3d(fine, classes, 1, bias=False) for _, fine in ups)

    def forward(self, x):
        """Logits of all levels, deepest first."""
        skips, logits = [], []
        for stage in self.conv_blocks_context[:-1]:
            x = stage(x)
            skips.append(x)
        x = self.conv_blocks_context[-1](x)
        for up, stage, head in zip(self.tu, self.conv_blocks_localization, self.seg_outputs, strict=True):
            x = stage(torch.cat((up(x), skips.pop()), dim=1))
            logits.append(head(x))
        return logits

    def features(self, x):
        for stage in self.conv_blocks_context[:-1]:
            x = stage(x)
        return torch.flatten(nn.functional.adaptive_avg_pool3d(x, 1), 1)


class Classifier(Segmenter):
    def __init__(self, classes, features=(4, 8, 12, 16, 20, 20), channels=1):
        super().__init__(classes, features, channels)
        wide = features[-2]
        self.head = nn.Sequential(
            nn.Linear(wide, wide // 2),
            nn.LeakyReLU(),
            nn.Linear(wide // 2, wide // 4),
            nn.LeakyReLU(),
            nn.Linear(wide // 4, classes),
        )

    def forward(self, x):
        return self.head(self.features(x))


def shuffled(network, seed=0):
    """Every parameter drawn, norms and biases too, so that none can be left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            centre = 1.0 if parameter.dim() == 1 else 0.0
            spread = 0.3 if parameter.dim() == 1 else (2 / parameter[0].numel()) ** 0.5
            parameter.copy_(centre + spread * torch.randn(parameter.shape, generator=generator))
    return network.eval()
