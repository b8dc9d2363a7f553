"""Whole layers of an encoder: which go, and what the others make up for."""
