"""Judges a stream of Server-Sent Events on standard input, as read.py does."""

import sys

from read import judge

judge(iter(sys.stdin.buffer.readline, b""), "curl")
