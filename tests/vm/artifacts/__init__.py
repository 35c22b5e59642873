"""What the driverext scenarios serve to their guests (see ../make-artifacts)."""
