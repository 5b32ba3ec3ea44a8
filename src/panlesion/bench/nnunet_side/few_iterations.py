"""nnU-Net's trainer for a given number of iterations: run in nnU-Net's own environment only, never imported by us.

It stands alone in its folder, since nnU-Net imports every module of the folder in which it looks for a trainer. Everything
that is not set here is as nnU-Net has it.
"""

import os
import random

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class FewIterations(nnUNetTrainer):
    """As its parent, for `PANLESION_EPOCHS` × `PANLESION_ITERATIONS`, from random numbers of `PANLESION_SEED`."""

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> None:
        # The parent reads its arguments by these names.
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ["PANLESION_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["PANLESION_ITERATIONS"])
        # On the training cases themselves (fold "all"), for its log alone; it cannot do without any.
        self.num_val_iterations_per_epoch = 1
        seed = int(os.environ["PANLESION_SEED"])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        self.asked_by = os.getppid()
        # The command took every core of the machine; jobs here have a thread each.
        if device.type == "cpu":
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

    def on_epoch_start(self) -> None:
        """As its parent; but nobody trains on for a comparison that was stopped."""
        if os.getppid() != self.asked_by:
            raise SystemExit("the process that asked for this training is gone")
        super().on_epoch_start()

    def save_checkpoint(self, filename: str) -> None:
        """The last weights alone: they are the ones used, and each file has 250 MB."""
        if filename.endswith("checkpoint_final.pth"):
            super().save_checkpoint(filename)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Left out: it would predict the training cases, for a number nobody reads."""
