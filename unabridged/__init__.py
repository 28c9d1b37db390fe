"""unabridged: prompts leave abridged; answers come back unabridged."""

__version__ = "0.1.0"
