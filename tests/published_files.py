"""Made-up files with images and labels, and a web server that misbehaves on demand."""

import gzip
import hashlib
import struct
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from kdtheory.datasets import PublishedData, PublishedFile

SLOW_BLOCK = 1 << 16  # bytes
LONG = 20.0  # seconds after which a test that waits has failed

rng = np.random.default_rng(0)
IMAGES = {"train": rng.integers(0, 256, (6, 4, 4), np.uint8),
          "t10k": rng.integers(0, 256, (3, 4, 4), np.uint8)}  # fmt: skip
LABELS = {"train": np.array([0, 9, 1, 1, 2, 3], np.uint8), "t10k": np.array([4, 0, 9], np.uint8)}


def packed_idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


CONTENTS = {
    f"{sample}-{what}.gz": packed_idx(arrays[sample])
    for sample in ("train", "t10k")
    for what, arrays in (("images", IMAGES), ("labels", LABELS))
}
FIRST, SECOND, *_ = CONTENTS


def published(contents, *bases):
    return PublishedData(
        "toy",
        "made up",
        tuple(
            PublishedFile(
                name,
                tuple(f"{base}/{name}" for base in bases),
                hashlib.sha256(content).hexdigest(),
                len(content),
            )
            for name, content in contents.items()
        ),
    )


class Server(ThreadingHTTPServer):
    """Files by their path; `answers` replaces the answer to a path."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents, self.answers, self.asked = {}, {}, []
        self.closing = threading.Event()
        self.base = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """A client that hangs up is no error here."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        answer = self.server.answers.get(self.path, whole)
        answer(self, self.server.contents.get(name))

    def start(self, length, status=200):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_):
        pass


def whole(handler, content):
    handler.start(len(content))
    handler.wfile.write(content)


def absent(handler, _):
    handler.send_error(404)


def other(handler, content):
    whole(handler, content[:-1] + bytes([content[-1] ^ 1]))


def page(handler, _):
    whole(handler, b"<html>Log in")


def broken(handler, content):
    handler.start(len(content))
    handler.wfile.write(content[: len(content) // 2])


def silent(handler, _):
    handler.server.closing.wait(LONG)


def stuck(handler, content):
    handler.start(len(content))
    handler.wfile.write(content[: len(content) // 2])
    handler.wfile.flush()
    handler.server.closing.wait(LONG)


def endless(handler, _):
    handler.start(None)
    while not handler.server.closing.is_set():
        handler.wfile.write(bytes(SLOW_BLOCK))


def slow(handler, content):
    handler.start(len(content))
    for at in range(0, len(content), SLOW_BLOCK):
        handler.wfile.write(content[at : at + SLOW_BLOCK])
        handler.wfile.flush()
        if handler.server.closing.wait(0.05):
            return


@contextmanager
def serving(contents):
    """A server of these files, in a thread."""
    server = Server()
    server.contents = dict(contents)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
