"""Damages files at random, as disks and strangers do."""

import random
import re
import struct

# What numbers and texts are replaced by.
NUMBERS = [b'-1', b'0', b'1e999', b'NaN', b'-Infinity', b'9' * 400, b'1.5', b'1000000000000', b'null', b'true']
VALUES = [b'[]', b'{}', b'""', b'[[[]]]', b'"../../x"', b'"\\u0000"', b'[' * 3000 + b']' * 3000, b'[1,[2]]', b'[NaN]']


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return bytes, some of which are changed, cut out, repeated or put in."""
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        start = rng.randrange(len(damaged)) if damaged else 0
        length = min(rng.choice([1, 2, 8, 64, 1000]), len(damaged) - start)
        how = rng.randrange(5)
        if how == 0:
            damaged[start : start + length] = rng.randbytes(length)
        elif how == 1:
            del damaged[start : start + length]
        elif how == 2:
            damaged[start:start] = damaged[start : start + length]
        elif how == 3:
            del damaged[start:]
        elif damaged:
            damaged[start] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def mutate_text(data: bytes, rng: random.Random) -> bytes:
    """Return JSON, YAML or XML, in which values are replaced by others that are well-formed, or bytes are changed."""
    if rng.random() < 0.2:
        return mutate(data, rng)
    for _ in range(rng.choice([1, 1, 2])):
        places = list(re.finditer(rb'-?\d+(\.\d+)?|"[^"]*"|\[[^][]*\]|\w+', data))
        if not places:
            return mutate(data, rng)
        place = rng.choice(places)
        value = rng.choice([*NUMBERS, *VALUES, rng.choice(places)[0]])
        data = data[: place.start()] + value + data[place.end() :]
    return data


def mutate_zip(data: bytes, rng: random.Random) -> bytes:
    """Return an archive whose directory, or the beginning or the pickle of one of its entries, is changed."""
    if rng.random() < 0.3:
        return mutate(data, rng)
    damaged = bytearray(data)
    # Headers of entries and of the directory, its end, and a pickle's beginning.
    marks = [match.start() for match in re.finditer(rb'PK\x03\x04|PK\x01\x02|PK\x05\x06|\x80\x02', data)]
    for _ in range(rng.choice([1, 2, 4])):
        place = min(rng.choice(marks) + rng.randrange(60), len(damaged) - 9)
        if rng.random() < 0.5:
            damaged[place] = rng.randrange(256)
        else:
            damaged[place : place + 4] = struct.pack('<I', rng.choice([0, 1, 2**31, 2**32 - 1, rng.randrange(2**16)]))
    return bytes(damaged)
