"""`python -m unabridged` is the same as `unabridged`."""

from __future__ import annotations

from unabridged.cli import main

if __name__ == "__main__":
    main()
