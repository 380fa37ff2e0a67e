"""A small reverse proxy on loopback that offers a service below a path prefix.

Does: pass requests on with their Host header, and answers as they come; as nginx does with
`proxy_pass http://service/` (which removes the prefix) or `proxy_pass http://service` (which keeps
it).  Does not: cache, or change answers.
"""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding")
METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]


@contextmanager
def reverse_proxy(service_url: str, prefix: str, removes_prefix: bool) -> Iterator[str]:
    """Yield the address of the proxy, to which `prefix` is to be added."""
    client = httpx.AsyncClient(base_url=service_url, timeout=60.0, trust_env=False)

    async def pass_on(request: Request) -> Response:
        path = request.url.path
        if not path.startswith(f"{prefix}/"):
            return Response("Nothing of the service is offered here.", 404)
        path = path.removeprefix(prefix) if removes_prefix else path
        sent = client.build_request(
            request.method,
            f"{path}?{request.url.query}",
            headers=[(name, value) for name, value in request.headers.raw],
            content=await request.body(),
        )
        answer = await client.send(sent, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for part in answer.aiter_raw():
                yield part
            await answer.aclose()

        response = StreamingResponse(body(), answer.status_code)
        response.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower().decode() not in HOP_BY_HOP
        ]
        return response

    app = Starlette(routes=[Route("/{path:path}", pass_on, methods=METHODS)])
    web = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        assert thread.is_alive()
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    finally:
        web.should_exit = True
        thread.join()
