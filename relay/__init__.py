"""Postgate: a public OpenAI-compatible endpoint in a box (hardened nginx edge and streaming relay from one file)."""

__version__ = "0.1.0"
