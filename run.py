#!/usr/bin/env python3
"""Start h5sup in the foreground; `--check` only judges the configuration."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV_PYTHON = HERE / ".venv" / "bin" / "python"

if __name__ == "__main__":
    if Path(sys.prefix) != HERE / ".venv" and VENV_PYTHON.exists():
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), *sys.argv])  # noqa: S606 (no shell is wanted)
    try:
        from h5sup.cli import main
    except ImportError as error:
        sys.exit(f"h5sup is not installed here ({error}): run ./install.sh first")
    sys.exit(main(sys.argv[1:], HERE))
