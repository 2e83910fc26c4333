"""run.py with a kernel that seems not to cut datagrams, to measure what then remains."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from h5sup.cli import main
    from h5sup.outputs.rtc import burst

    burst.UDP_SEGMENT = 9999
    sys.exit(main(sys.argv[1:], ROOT))
