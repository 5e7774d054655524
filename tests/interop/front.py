"""A proxy for browsers, which cannot choose their Accept-Encoding: PORT SERVER_PORT.

/page/CODING is the page. /CODING/... is forwarded to the server with that coding, and the response is returned unchanged.
Bodies posted to /report are printed. Meanwhile other clients connect and disconnect, so that the compressors restart.
"""

import asyncio
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
CODINGS = ("gzip", "zstd")


async def pump(reader, writer):
    try:
        while received := await reader.read(65536):
            writer.write(received)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def serve(reader, writer, server_port):
    request, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    path = request.split()[1]
    first = path.split("/")[1]
    files = {"page": ("page.html", "text/html"), "read.mjs": ("read.mjs", "text/javascript")}
    if first in CODINGS:
        headers = [header for header in headers if not header.lower().startswith("accept-encoding")]
        there, back = await asyncio.open_connection("127.0.0.1", server_port)
        back.write("\r\n".join([request.replace(f"/{first}", "", 1), f"Accept-Encoding: {first}", *headers]).encode())
        await asyncio.gather(pump(there, writer), pump(reader, back))
        return
    body, status, kind = b"", "404 Not Found", "text/plain"
    if first in files:
        (name, kind), status = files[first], "200 OK"
        body = (HERE / name).read_bytes()
    elif first == "report":
        length = next(int(header.split(":")[1]) for header in headers if header.lower().startswith("content-length"))
        print((await reader.readexactly(length)).decode(), flush=True)
        status = "200 OK"
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


async def connect_and_disconnect(coding, server_port):
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server_port)
            writer.write(f"GET /v2/stream/recentchange HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n\r\n".encode())
            for _ in range(10):
                await asyncio.wait_for(reader.read(65536), 1)
            writer.close()
        except (OSError, TimeoutError, asyncio.TimeoutError):
            await asyncio.sleep(0.2)


async def main():
    port, server_port = map(int, sys.argv[1:])
    front = await asyncio.start_server(lambda r, w: serve(r, w, server_port), "127.0.0.1", port)
    async with front:
        await asyncio.gather(front.serve_forever(), *(connect_and_disconnect(coding, server_port) for coding in CODINGS for _ in range(2)))


asyncio.run(main())
