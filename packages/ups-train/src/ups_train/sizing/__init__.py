"""What a training takes on the device at hand: `ups size` and `trainer.batch: auto`."""
