"""A prompt becomes a shorter prompt."""
