"""`python -m bench.peer_server certificate answers`: bare Starlette that answers each path with recorded text. Prints its port."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def main() -> None:
    """Serve until told to stop."""
    certificate, recorded = sys.argv[1:]
    answers: dict[str, bytes] = {path: text.encode() for path, text in json.loads(Path(recorded).read_text()).items()}

    async def answer(request: Request) -> Response:
        found = answers.get(request.url.path)
        if found is None:
            return Response(status_code=404)
        return Response(found, media_type="text/html" if found.startswith(b"<") else "application/json")

    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    app = Starlette(routes=[Route("/{path:path}", answer)])
    config = uvicorn.Config(
        app,
        ssl_certfile=certificate,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
