"""What a generator is, and how to run one. Needs numpy and an inference runtime; no torch, no web."""

from generator.generator import Generator

__all__ = ["Generator"]
