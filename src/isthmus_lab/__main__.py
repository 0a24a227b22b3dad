"""`python -m isthmus_lab`: run the lab in the foreground, in an environment without anything of the host's AWS settings."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from isthmus_lab.environment import PORT, listen, scrubbed


def main() -> None:
    """Parse the arguments and become the server process; one JSON line `{"url", "pid"}` says that it is ready."""
    parser = argparse.ArgumentParser(prog="python -m isthmus_lab", description="The embedded AWS of Isthmus, on loopback.")
    parser.add_argument(
        "--port", type=int, default=PORT, help="port on 127.0.0.1; a free one is used and printed when it is taken (default %(default)s)"
    )
    parser.add_argument("--exact-port", action="store_true", help="fail instead of using another port")
    parser.add_argument("--state-dir", type=Path, default=None, help="folder for the lab's machines and files (default: a temporary one)")
    arguments = parser.parse_args()
    try:
        listener = listen(arguments.port, exact=arguments.exact_port)
    except OSError as error:
        sys.exit(f"Port {arguments.port} on 127.0.0.1 cannot be used: {error.strerror}. Choose another with --port.")
    folder = (arguments.state_dir or Path(tempfile.mkdtemp(prefix="isthmus-lab-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The process is replaced: ministack reads its environment at import, so the server starts in one that was built for it.
    listener.set_inheritable(True)
    environment = scrubbed(os.environ, listener=listener, state_dir=folder)
    os.execve(sys.executable, [sys.executable, "-m", "isthmus_lab.server"], environment)  # noqa: S606


if __name__ == "__main__":
    main()
