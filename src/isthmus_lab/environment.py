"""The environment in which ministack may be imported: loopback, authorising, offline, without the host's credentials.

ministack reads its settings at import and treats an `AWS_ACCESS_KEY_ID` of the host as a root key of the lab, so the server runs
only in a process whose environment was built here.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

PORT = 4566
SECRET = "isthmus-lab"
"""Secret of every account's root key in the lab; the access key is the account id."""

STATE_DIR_VARIABLE = "ISTHMUS_LAB_STATE_DIR"
LISTENER_VARIABLE = "ISTHMUS_LAB_LISTENER"
_PASSED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "COVERAGE_PROCESS_START",
)


def scrubbed(environ: Mapping[str, str], *, listener: socket.socket, state_dir: Path) -> dict[str, str]:
    """The whole environment of a lab process that inherits the listener; what is not named here is left out, the host's AWS settings
    above all."""
    kept = {name: value for name, value in environ.items() if name in _PASSED or name.startswith("ISTHMUS_LAB_")}
    return kept | {
        STATE_DIR_VARIABLE: str(state_dir),
        LISTENER_VARIABLE: str(listener.fileno()),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(listener.getsockname()[1]),
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MINISTACK_ACCOUNT_ID": "000000000000",
        "MINISTACK_REGION": "us-east-1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_WORKER_THREADS": "64",
        "MINISTACK_IMDS_V2_REQUIRED": "1",
        "LAMBDA_EXECUTOR": "local",
        "MOTO_ALLOW_NONEXISTENT_REGION": "true",  # ministack has regions that moto does not know for every service
        "STATE_DIR": str(state_dir / "ministack"),
        "S3_DATA_DIR": str(state_dir / "s3"),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "*",
    }


def is_scrubbed(environ: Mapping[str, str]) -> bool:
    """Whether the environment was built by `scrubbed`."""
    return STATE_DIR_VARIABLE in environ and environ.get("AUTH") == "true" and "AWS_ACCESS_KEY_ID" not in environ


def listen(wanted: int, *, exact: bool = False) -> socket.socket:
    """A socket that listens on loopback at the wanted port, or at a free one when that is taken; with `exact` an OSError instead. 0 asks
    for any. Whoever starts the lab listens for it: a port that was only looked for can be somebody else's a moment later."""
    for port in (wanted, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1024)
        except OSError:
            listener.close()
            if exact or port == 0:
                raise
        else:
            return listener
    raise AssertionError("a listener or an error")


def root_credentials(account: str) -> dict[str, str]:
    """boto3 arguments of an account's root key."""
    return {"aws_access_key_id": account, "aws_secret_access_key": SECRET}


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that the running lab process may write to."""
    return Path(environ[STATE_DIR_VARIABLE])


def listener_descriptor(environ: Mapping[str, str] = os.environ) -> int:
    """The listening socket that this lab process inherited."""
    return int(environ[LISTENER_VARIABLE])
