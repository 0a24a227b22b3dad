"""`bin/azcmagent` of a machine: hands the verb to the preloaded parent process and ends with the verb's exit code.

Runs as `python -I -S launcher.py <socket folder> <arguments…>` in about 10 ms, because it imports nothing that is not built in. Without a
parent process it becomes `python -m isthmus_agent` itself.
"""

import _socket
import os
import sys

_FLAGS = _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC


def main(folder: str, arguments: list[str]) -> int:
    """Run one verb; its exit code."""
    fields = ["agent", os.getcwd(), str(len(arguments)), *arguments, *(f"{key}={value}" for key, value in os.environ.items())]
    payload = os.fsencode("\0".join(fields))
    # Standard input, output and error travel with the request (SCM_RIGHTS), as native ints.
    rights = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    parent = _socket.socket(_socket.AF_UNIX, _FLAGS)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        parent.connect(f"/proc/self/fd/{descriptor}/zygote.sock")
        parent.sendmsg([payload], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    except OSError:
        os.execv(sys.executable, [sys.executable, "-P", "-m", "isthmus_agent", *arguments])  # noqa: S606 - our own interpreter
    while True:
        message = parent.recv(64)
        if not message:
            return 2  # the lab ended; the verb ended with it
        if message[:1] == b"x":
            return int(message[1:])


if __name__ == "__main__":
    os._exit(main(sys.argv[1], sys.argv[2:]))
