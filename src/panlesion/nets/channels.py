"""A network of one image made one of several: plain and contrast phase, or CT and MR."""

from copy import deepcopy
from dataclasses import replace

from panlesion.nets.model import Model

FIRST_CONV = "encoder.0.0.conv.weight"


def with_channels(model: Model, channels: int) -> Model:
    """A copy that takes `channels` images; given one image several times it computes what it did.

    The first convolution is repeated, as in the public code, and divided by how often.

    Raises:
        ValueError: The model takes several images already, and another number of them.
    """
    if model.info.in_channels == channels:
        return model
    if model.info.in_channels != 1 or channels < 1:
        raise ValueError(f"channels is {channels}, the network takes {model.info.in_channels} images; only one can be repeated")
    wider = Model(replace(model.info, in_channels=channels), {name: deepcopy(head) for name, head in model.heads.items()})
    weights = dict(model.unet.state_dict())
    weights[FIRST_CONV] = weights[FIRST_CONV].repeat(1, channels, 1, 1, 1) / channels
    wider.unet.load_state_dict(weights)
    return wider.train(model.training)
