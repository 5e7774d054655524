"""Checks a stream of Server-Sent Events on standard input as read.py does: [crowd]."""

import sys

from read import CROWD_LATE_MAX_S, LATE_MAX_S, judge

judge(iter(sys.stdin.buffer.readline, b""), "curl", CROWD_LATE_MAX_S if "crowd" in sys.argv else LATE_MAX_S)
