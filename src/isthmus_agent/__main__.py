"""`python -m isthmus_agent` is azcmagent."""

import sys

from isthmus_agent.command import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
