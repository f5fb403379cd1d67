#!/usr/bin/env python3
"""A model hub on the loopback, as huggingface.co answers, that can misbehave.

Usage: hub_server.py [--folder DIR] [--token TOKEN] [--tls CERTIFICATE] [--any-commit]
                     [--lifetime SECONDS]

Prints two ports, one a line: of the hub, and of the storage that large files redirect to. The files are
those below DIR (OWNER/REPOSITORY/PATH), and any PATH ending in `SIZE.bin`: so many bytes made from the
path. The first component of a URL names the fault, so that HF_ENDPOINT=http://127.0.0.1:PORT/FAULT
chooses it. `GET /_log` answers what was asked so far, as JSON.
"""
import argparse
import hashlib
import json
import pathlib
import re
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = hashlib.sha1(b"commit").hexdigest()
MOVED = hashlib.sha1(b"moved").hexdigest()
LARGE = 100_000
log, counts, lock = [], {}, threading.Lock()


def made(path, size):
    block = hashlib.sha512(path.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def content(path):
    match = re.search(r"(\d+)\.bin$", path)
    if match:
        return made(path, int(match.group(1)))
    file = pathlib.Path(options.folder or "/nonexistent") / path
    return file.read_bytes() if file.is_file() else None


def etag(data):
    if len(data) >= LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(is_head=True)

    def do_GET(self):
        self.answer(is_head=False)

    def send(self, status, headers, body=b"", is_head=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def answer(self, is_head):
        if self.path == "/_log":
            return self.send(200, {}, json.dumps(log).encode())
        is_storage = self.server.server_port == storage.server_port
        parts = [urllib.parse.unquote(part) for part in self.path.split("?")[0].strip("/").split("/")]
        fault = parts[0]
        with lock:
            log.append({
                "method": self.command, "path": self.path, "storage": is_storage,
                "authorization": self.headers.get("Authorization"), "range": self.headers.get("Range"),
            })
            count = counts[fault, self.command, is_storage] = counts.get((fault, self.command, is_storage), 0) + 1
        if is_storage:
            return self.give(fault, content("/".join(parts[1:])), count, {}, is_head)
        if len(parts) < 6 or parts[3] != "resolve":
            return self.send(404, {}, b"no such page", is_head)
        _, owner, repository, _, revision, *path = parts
        path = f"{owner}/{repository}/{'/'.join(path)}"
        if options.token and self.headers.get("Authorization") != f"Bearer {options.token}" or fault == "gated":
            return self.send(401, {"X-Error-Code": "GatedRepo"}, b"gated", is_head)
        if fault == "forbidden" or fault == "gatedweights" and repository == "pocket-tts":
            return self.send(403, {"X-Error-Code": "GatedRepo"}, b"ask first", is_head)
        if fault == "busy" and count <= 2:
            return self.send(503, {}, b"later", is_head)
        if fault == "down":
            return self.send(500, {}, b"never", is_head)
        if fault == "silent":
            time.sleep(60)
            return
        if fault == "norepo":
            return self.send(404, {"X-Error-Code": "RepoNotFound"}, b"", is_head)
        is_commit = options.any_commit and re.fullmatch("[0-9a-f]{40}", revision)
        if not is_commit and revision not in ("main", "v1", "refs/pr/1", COMMIT, COMMIT[:8], MOVED):
            return self.send(404, {"X-Error-Code": "RevisionNotFound"}, b"", is_head)
        data = content(path)
        if data is None:
            return self.send(404, {"X-Error-Code": "EntryNotFound"}, b"", is_head)
        if fault == "renamed" and owner == "old":
            return self.send(307, {"Location": self.path.replace("/old/", "/new/")}, b"moved", is_head)
        if fault == "circle":
            return self.send(302, {"Location": self.path}, b"", is_head)
        if fault == "elsewhere":
            return self.send(302, {"Location": f"http://user@127.0.0.1:{storage.server_port}/"}, b"", is_head)
        commit = MOVED if fault == "moves" and count > 1 or revision == MOVED else COMMIT
        if is_commit:
            commit = revision
        headers = {"X-Repo-Commit": commit}
        if fault == "nocommit":
            headers = {}
        if fault == "evilcommit":
            headers["X-Repo-Commit"] = "../../../../evil"
        tag = etag(data)
        if fault == "eviltag":
            tag = "../../evil"
        if len(data) < LARGE:
            headers["ETag"] = f'"{tag}"'
            return self.give(fault, data, count, headers, is_head)
        size = len(data)
        headers["X-Linked-Etag"] = f'"{tag}"'
        headers["X-Linked-Size"] = str(size + {"claims": 5, "short": -5, "immense": 1 << 60}.get(fault, 0))
        headers["Location"] = f"http://127.0.0.1:{storage.server_port}/{fault}/{path}?signature=1"
        self.send(302, headers, b"see there", is_head)

    def give(self, fault, data, count, headers, is_head):
        """The bytes, or the part that is asked for."""
        headers = dict(headers)
        if fault in ("wrong", "wrongonce") and (fault == "wrong" or count == 1):
            data = bytes([data[0] ^ 1]) + data[1:]
        start, status = 0, 200
        asked = re.match(r"bytes=(\d+)-$", self.headers.get("Range") or "")
        if asked and fault != "norange":
            start = int(asked.group(1))
            if fault == "refusesrange" or start >= len(data):
                return self.send(416, {"Content-Range": f"bytes */{len(data)}"}, b"", is_head)
            if fault == "otherpart":
                start -= 1
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        headers["Content-Length"] = str(len(body))
        if is_head:
            return self.send(status, headers, is_head=True)
        if fault == "cut" and count <= 3:
            body = body[: len(data) // 4]
        if fault == "alwayscut":
            body = body[:1000]
        if fault == "stalls" and count == 1 or fault == "alwaysstalls":
            body = body[: len(data) // 2]
        if fault == "endless":
            headers["Transfer-Encoding"] = "chunked"
            del headers["Content-Length"]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if fault == "endless":
                while True:
                    self.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            if fault == "slow" or fault == "slowonce" and count == 1:
                for at in range(0, len(body), 20_000):
                    self.wfile.write(body[at:at + 20_000])
                    time.sleep(0.02)
                return
            if fault == "trickles":
                for at in range(60):
                    self.wfile.write(body[at:at + 1])
                    time.sleep(0.2)
            self.wfile.write(body)
            if len(body) < int(headers["Content-Length"]):
                self.wfile.flush()
                if "stall" in fault:
                    time.sleep(60)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.close_connection = True


arguments = argparse.ArgumentParser()
arguments.add_argument("--folder")
arguments.add_argument("--token")
arguments.add_argument("--tls")
arguments.add_argument("--any-commit", action="store_true")
arguments.add_argument("--lifetime", type=float, default=1200)
options = arguments.parse_args()
hub = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
storage = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if options.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls)
    hub.socket = context.wrap_socket(hub.socket, server_side=True)
for server in (hub, storage):
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
print(hub.server_port, storage.server_port, sep="\n", flush=True)
# Nobody is left behind: the end of our input, or of our time, is the end.
threading.Timer(options.lifetime, lambda: __import__("os")._exit(0)).start()
sys.stdin.read()
__import__("os")._exit(0)
