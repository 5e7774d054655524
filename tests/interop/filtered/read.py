"""Prints the data of 20 events, named `message`, as a library gives them: LIBRARY URL.

httpx-sse, sseclient-py and aiohttp-sse-client2 do not reconnect after an error: here they come back with the last id that the library gave.
"""

import asyncio
import itertools
import sys


def requests_sse(url):
    import requests_sse

    with requests_sse.EventSource(url, timeout=30) as source:
        yield from ((event.type, event.data) for event in source)


def sseclient(url):
    import sseclient

    # It makes an event of a comment too.
    yield from ((event.event, event.data) for event in sseclient.SSEClient(url, retry=200, timeout=30) if event.data)


def reconnected(connect, errors):
    last = None
    while True:
        try:
            for event in connect({"Last-Event-ID": last} if last else {}):
                last = event.id or last
                yield event.event, event.data
        except errors:
            pass


def httpx_sse(url):
    import httpx
    import httpx_sse

    def connect(headers):
        with httpx.Client(timeout=30) as client, httpx_sse.connect_sse(client, "GET", url, headers=headers) as source:
            yield from source.iter_sse()

    return reconnected(connect, httpx.TransportError)


def sseclient_py(url):
    import requests
    import sseclient

    def connect(headers):
        yield from sseclient.SSEClient(requests.get(url, stream=True, timeout=30, headers=headers)).events()

    return reconnected(connect, requests.RequestException)


async def aiohttp_sse_client2(url):
    import aiohttp
    from aiohttp_sse_client2 import client

    left, last = 20, None
    while True:
        try:
            async with client.EventSource(url, read_bufsize=2**20, headers={"Last-Event-ID": last} if last else {}) as source:
                async for event in source:
                    last = event.last_event_id or last
                    if event.type == "message":
                        print(event.data, flush=True)
                        left -= 1
                    if left == 0:
                        return
        except aiohttp.ClientError:
            pass


def main():
    library, url = sys.argv[1:]
    if library == "aiohttp-sse-client2":
        asyncio.run(aiohttp_sse_client2(url))
        return
    events = globals()[library.replace("-whole", "").replace("-", "_")](url)
    for _, data in itertools.islice((event for event in events if event[0] == "message"), 20):
        print(data)


if __name__ == "__main__":
    main()
