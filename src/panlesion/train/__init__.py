"""Training: patches and cases in, checkpoints out; losses, augmentation, one loop for all modes."""
