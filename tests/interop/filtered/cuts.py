"""Cuts the connections of clients with a filter, and judges what they got.

serve PORT SERVER_PORT FOLDER: a proxy. /NAME/... is forwarded to the server. The first connection of a name is cut before its
first event, the second in the middle of its sixth, the third in the middle of its eleventh. NAME-whole is for libraries that
take the half of a frame for a whole one, or its id: they are cut right before the event. FOLDER/NAME.ids has a line for each
connection: the id that the client sent, the first id that it got, and the last one in a whole frame.

judge SERVER_PORT FOLDER NAME: compares FOLDER/NAME, the data of each event on a line, with the stream without a filter.
"""

import asyncio
import json
import pathlib
import sys
import urllib.request

WIKI = "dewiki"
# Events before each cut; the connections after these are not cut.
CUTS = (0, 5, 10)
EVENTS_MIN = 20


async def serve(port, server_port, folder):
    counts = {}

    async def forward(reader, writer):
        request, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        name, path = request.split()[1][1:].split("/", 1)
        sent = next((header.split(":", 1)[1].strip() for header in headers if header.lower().startswith("last-event-id:")), "")
        number = counts[name] = counts.get(name, -1) + 1
        there, back = await asyncio.open_connection("127.0.0.1", server_port)
        again = f"Last-Event-ID: {sent}\r\n" if sent else ""
        back.write(f"GET /{path} HTTP/1.0\r\nHost: x\r\n{again}\r\n".encode())
        status = (await there.readuntil(b"\r\n\r\n")).split()[1].decode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        ids, events = [], 0
        try:
            while True:
                frame = await there.readuntil(b"\n\n")
                events += b"event: message\n" in frame
                is_cut = number < len(CUTS) and events > CUTS[number]
                is_half = is_cut and CUTS[number] and not name.endswith("-whole")
                piece = frame[: len(frame) // 2] if is_half else b"" if is_cut else frame
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if piece else b"")
                await writer.drain()
                if is_cut:
                    break
                ids += [line[4:].decode() for line in frame.split(b"\n") if line.startswith(b"id: ")]
        except (OSError, asyncio.IncompleteReadError):
            pass
        with (folder / f"{name}.ids").open("a") as out:
            print(json.dumps([sent, *ids[:1], *ids[-1:]]), file=out)
        # Without the last chunk: the connection is lost.
        for end in (writer, back):
            end.close()

    await (await asyncio.start_server(forward, "127.0.0.1", port, limit=2**22)).serve_forever()


def record(event):
    meta = event["meta"]
    return meta["topic"], meta["partition"], meta["offset"]


def judge(server_port, folder, name):
    connections = [json.loads(line) for line in (folder / f"{name}.ids").read_text().splitlines()]
    got = [record(json.loads(line)) for line in (folder / name).read_text().splitlines() if line.startswith("{")]
    assert len(got) >= EVENTS_MIN and len(connections) > len(CUTS), f"{len(got)} events, {len(connections)} connections"
    for before, after in zip(connections, connections[1:]):
        assert after[0] == before[-1], f"came back with {after[0]} after {before[-1]}"
    url = f"http://127.0.0.1:{server_port}/v2/stream/recentchange,revision-create"
    whole = urllib.request.urlopen(urllib.request.Request(url, headers={"Last-Event-ID": connections[0][1]}), timeout=60)
    last, there = {log[:2]: offset for *log, offset in map(list, got) for log in [tuple(log)]}, {}
    expected = []
    while any(there.get(log, -1) < offset for log, offset in last.items()):
        line = whole.readline()
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            topic, partition, offset = record(event)
            there[topic, partition] = offset
            if WIKI in (event.get("wiki"), event.get("database")):
                expected.append((topic, partition, offset))
    for log, offset in last.items():
        ours, theirs = ([one for one in events if one[:2] == log and one[2] <= offset] for events in (got, expected))
        assert ours == theirs, f"{log}: got {ours}, not {theirs}"
    # Partitions from which it got nothing: up to its end, the last event of each of the others bounds what is missing.
    missed = [one for one in expected if one[:2] not in last]
    assert len(missed) < 5, f"missed {missed}"
    return f"{len(got)} events on {len(connections)} connections ok"


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "serve":
        asyncio.run(serve(int(rest[0]), int(rest[1]), pathlib.Path(rest[2])))
    else:
        try:
            print(judge(int(rest[0]), pathlib.Path(rest[1]), rest[2]))
        except AssertionError as error:
            sys.exit(f"FAILED: {str(error)[:600]}")
