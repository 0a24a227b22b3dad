"""Isthmus: an open, self-hosted multicloud connector that joins AWS estates to an Azure-style control plane."""

__version__ = "0.1.0"
