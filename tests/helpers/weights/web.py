"""A web server on this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Serves files, with the headers that Hugging Face's client asks for."""

    def end_headers(self):
        self.send_header('X-Repo-Commit', '0' * 40)
        self.send_header('ETag', '"1"')
        super().end_headers()

    def send_error(self, code, *message):
        self.send_response(code)
        self.send_header('X-Error-Code', 'EntryNotFound')
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *message):
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder's files; yield the address."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), lambda *arguments: Handler(*arguments, directory=str(folder)))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
