"""Reads a stream to its end with requests: URL CODING. Prints the number of events, the longest delay, and `ok`."""

import json
import sys
from datetime import datetime, timezone

EVENTS_MIN = 100
# For an event that is decoded at once. A decoder that buffers it shows it with later ones, or never.
LATE_MAX_S = 2
# For so many clients at once that only missing events count.
CROWD_LATE_MAX_S = 30


def judge(lines, who, late_max_s=LATE_MAX_S):
    """Expects every offset once, in order, none late."""
    count, late, offsets = 0, 0.0, {}
    for line in lines:
        if not line.startswith(b"data: {\"$schema"):
            continue
        meta = json.loads(line[6:])["meta"]
        count += 1
        # The first events may have waited for the client to start.
        if count > 20:
            made = datetime.fromisoformat(meta["dt"].replace("Z", "+00:00"))
            late = max(late, (datetime.now(timezone.utc) - made).total_seconds())
        log = (meta["topic"], meta["partition"])
        if offsets.setdefault(log, meta["offset"]) != meta["offset"]:
            sys.exit(f"{who}: {log} continues at {meta['offset']}, not at {offsets[log]}")
        offsets[log] += 1
    right = count >= EVENTS_MIN and late < late_max_s
    print(f"{who}, {count} events, {late:.3f} s late at most{' ok' if right else ''}", flush=True)
    return right


def main():
    import requests
    import urllib3

    url, coding = sys.argv[1:]
    response = requests.get(url, stream=True, headers={"Accept-Encoding": coding}, timeout=60)
    assert response.headers["Content-Encoding"] == coding
    judge(response.iter_lines(chunk_size=None), f"requests {requests.__version__}, urllib3 {urllib3.__version__}")


if __name__ == "__main__":
    main()
