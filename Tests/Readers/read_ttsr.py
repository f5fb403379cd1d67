#!/usr/bin/env python3
"""Reads a record stream, written from the page ttsr(5) alone: prints a line of JSON per record.
Needs Python and the program zstd; compares checksums where the module xxhash is installed."""
import hashlib, json, subprocess, sys
try:
    from xxhash import xxh64_intdigest as xxh64
except ImportError:
    xxh64 = None

def number(data, at, size=4):
    return int.from_bytes(data[at:at + size], 'little')

def meta(frame, magic, skip):
    content = frame[8:-4]
    assert content[:4] == magic, 'no header or trailer'
    assert not xxh64 or xxh64(content) & 0xFFFFFFFF == number(frame, len(frame) - 4), 'damaged'
    return json.loads(content[skip:])

def records(frames):
    data = frames and subprocess.run(['zstd', '-dcq'], input=frames, check=True, capture_output=True).stdout
    while data:
        end = 8 + number(data, 0, 8)
        yield data[8:end]
        data = data[end:]

def segments(data):  # the last one first
    while data:
        assert data[-5:] == bytes.fromhex('80b1ea928f'), 'no seek table'
        count = number(data, len(data) - 9)
        table = len(data) - 17 - 12 * count
        sizes = [number(data, table + 8 + 12 * i) for i in range(count)]
        start, header, trailer = table - sum(sizes), sizes[0], table - sizes[-1]
        assert number(data, start + 12) == 1, 'another format version'
        yield (meta(data[start:start + header], b'ttsr', 8),
               list(records(data[start + header:trailer])), meta(data[trailer:table], b'ttse', 4))
        data = data[:start]

for header, blobs, trailer in reversed(list(segments(open(sys.argv[1], 'rb').read()))):
    hashes = [hashlib.sha256(blob).digest() for blob in blobs]
    assert trailer['status'] == 'ok', trailer['abort']
    assert trailer['digest'] == hashlib.sha256(b''.join(hashes)).hexdigest(), 'damaged'
    for blob in blobs:
        start = 8 + number(blob, 0, 8)
        arrays = json.loads(blob[8:start])
        texts = arrays.pop('__metadata__')
        for array in arrays.values():
            first, last = array.pop('data_offsets')
            array['sha256'] = hashlib.sha256(blob[start + first:start + last]).hexdigest()
        print(json.dumps({'texts': texts, 'arrays': arrays}))
