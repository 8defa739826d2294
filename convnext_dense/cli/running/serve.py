"""Answer requests with what an exported model predicts on the images that they send."""

import argparse
import errno
import os
import signal
import socket
from functools import partial
from types import FrameType

from convnext_dense.cli.arguments import at_least, not_empty
from convnext_dense.errors import UsageError
from convnext_dense.image_limit import PIXEL_LIMIT_VARIABLE

# Those that LitServe takes.
HOSTS, PORTS = ('127.0.0.1', '0.0.0.0', '::'), range(1024, 65536)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument('file', type=not_empty, help='model that `convnext-dense export` wrote (.onnx, or .xml)')
    parser.add_argument(
        '--host', choices=HOSTS, default=HOSTS[0], help='who can ask: this machine (default), or 0.0.0.0 for all'
    )
    parser.add_argument('--port', type=_port, default=8000, metavar='N', help='port (default: 8000)')
    parser.add_argument(
        '--batch', type=at_least(1), default=1, metavar='N', help='most images of one size at a time (default: 1)'
    )
    parser.add_argument(
        '--max-megabytes', type=at_least(1), default=20, metavar='N', help='size of the largest request (default: 20)'
    )
    parser.add_argument(
        '--max-megapixels',
        type=at_least(1),
        default=50,
        metavar='N',
        help='millions of pixels of the largest image (default: 50)',
    )
    parser.add_argument(
        '--timeout',
        type=at_least(1),
        default=120,
        metavar='SECONDS',
        help='how long a request waits for its turn (default: 120)',
    )


def run(args: argparse.Namespace) -> None:
    """Serve until it is stopped."""
    check_port(args.host, args.port)
    # OpenCV reads it when it is imported, in the process that predicts.
    os.environ[PIXEL_LIMIT_VARIABLE] = str(args.max_megapixels * 10**6)
    from convnext_dense.runtime import Model
    from convnext_dense.runtime.description import FEATURES

    # What is wrong with the file is said here, and not by a process that was started.
    if Model(args.file).description.task == FEATURES:
        raise UsageError(f'file: {args.file} is a backbone alone, which predicts nothing.')
    try:
        from convnext_dense.runtime.serving import make_server
    except ModuleNotFoundError as error:
        raise UsageError(f'serve: {error.name} is not installed; pip install litserve python-multipart.') from error
    signal.signal(signal.SIGTERM, partial(_stop, os.getpid()))
    server = make_server(args.file, args.batch, args.max_megabytes, args.timeout)
    server.run(args.host, args.port, generate_client_file=False)


def check_port(host: str, port: int) -> None:
    """Raise UsageError if a server cannot listen.

    Args:
        host: One of `HOSTS`.
        port: Where it would listen.
    """
    try:
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as tried:
            # As the server's own: connections that were closed just now do not count.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f'port: {port} is in use; give another --port.') from error
        raise UsageError(f'host: it is not possible to listen to {host}: {error.strerror}.') from error


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(PORTS[-1])) or int(text) not in PORTS:
        raise argparse.ArgumentTypeError(f'it must be a whole number from {PORTS[0]} to {PORTS[-1]}; got {text!r}')
    return int(text)


def _stop(server: int, number: int, frame: FrameType | None) -> None:
    """Stop at SIGTERM, which is how a container is stopped, as at Ctrl-C."""
    if os.getpid() == server:
        raise KeyboardInterrupt
    # A process that the server started, which has done what it does at the signal.
    os._exit(0)
