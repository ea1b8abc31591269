"""Encoders: from an image back to the latent and the class that a finished generator makes it of."""
