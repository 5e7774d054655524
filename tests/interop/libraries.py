"""Reads streams to their end with the default settings of a library: LIBRARY URL...

Each stream has its own connection and is checked as read.py does.
"""

import asyncio
import importlib.metadata
import sys
import threading

from read import CROWD_LATE_MAX_S, judge


def lines(events):
    return (b"data: " + event.data.encode() for event in events)


def requests_(url):
    import requests

    return requests.get(url, stream=True, timeout=60).iter_lines(chunk_size=None)


def sseclient(url):
    import sseclient

    def events():
        try:
            yield from sseclient.SSEClient(url, timeout=60)
        except IOError:
            # At the end of the stream it reconnects, but the server is gone.
            return

    return lines(events())


def sseclient_py(url):
    import requests
    import sseclient

    return lines(sseclient.SSEClient(requests.get(url, stream=True, timeout=60)).events())


def httpx(url):
    import httpx

    with httpx.stream("GET", url, timeout=60) as response:
        yield from (line.encode() for line in response.iter_lines())


def httpx_sse(url):
    import httpx
    import httpx_sse

    with httpx.Client(timeout=60) as client, httpx_sse.connect_sse(client, "GET", url) as source:
        yield from lines(source.iter_sse())


def urllib3(url):
    import urllib3

    buffer = b""
    for chunk in urllib3.request("GET", url, preload_content=False, timeout=60).stream():
        *whole, buffer = (buffer + chunk).split(b"\n")
        yield from whole


def urllib(url):
    import urllib.request

    yield from urllib.request.urlopen(url, timeout=60)


def aiohttp(url):
    import aiohttp

    async def read(taken):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None, sock_read=60), read_bufsize=2**20) as session:
            async with session.get(url) as response:
                async for line in response.content:
                    taken(line)

    return collected(read)


def aiohttp_sse_client2(url):
    from aiohttp_sse_client2 import client

    async def read(taken):
        try:
            async with client.EventSource(url, max_connect_retry=0, read_bufsize=2**20) as source:
                async for event in source:
                    taken(b"data: " + event.data.encode())
        except OSError:
            # At the end of the stream it reconnects, but the server is gone.
            pass

    return collected(read)


def collected(read):
    """The lines of an asynchronous reader, as they arrive."""
    import queue

    taken, end = queue.SimpleQueue(), object()

    def run():
        try:
            asyncio.run(read(taken.put))
            taken.put(end)
        except Exception as error:
            taken.put(error)

    threading.Thread(target=run, daemon=True).start()
    while (line := taken.get()) is not end:
        if isinstance(line, Exception):
            raise line
        yield line


LIBRARIES = {
    "requests": requests_,
    "sseclient": sseclient,
    "sseclient-py": sseclient_py,
    "httpx": httpx,
    "httpx-sse": httpx_sse,
    "urllib3": urllib3,
    "urllib": urllib,
    "aiohttp": aiohttp,
    "aiohttp-sse-client2": aiohttp_sse_client2,
}


def main():
    library, *urls = sys.argv[1:]
    version = sys.version.split()[0] if library == "urllib" else importlib.metadata.version(library)
    reads, right = LIBRARIES[library], []

    def read(url):
        stream = url.split("?")[0].rsplit("/", 1)[1]
        right.append(judge(reads(url), f"{library} {version}, {stream}", CROWD_LATE_MAX_S))

    readers = [threading.Thread(target=read, args=[url]) for url in urls]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    print(f"{library} {version}{' ok' if right == [True] * len(urls) else ': not all streams were read'}")


if __name__ == "__main__":
    main()
