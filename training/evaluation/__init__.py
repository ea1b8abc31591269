"""How good is a generator? Measured against the real images it was trained on."""
