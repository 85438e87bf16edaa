"""Tools on a bus of the kind ZMQ or IPC, with pyzmq and nothing of the registry: serve_zmq.py ENDPOINT

ENDPOINT is the bus's `request` endpoint. Says `listening` on stderr once it can be called, and serves until it is ended.
"""

import json
import sys

import zmq

import tools

# So often is said again what is served: after a restart the registry does not know it.
AGAIN_MS = 5_000


def main(endpoint):
    socket = zmq.Context().socket(zmq.DEALER)
    socket.connect(endpoint)
    serving, is_said = set(), False
    while True:
        for address in tools.ADDRESSES:
            socket.send_multipart([b">serve", address.encode()])
        while socket.poll(AGAIN_MS):
            what, *rest = socket.recv_multipart()
            if what == b">serving":
                serving.add(rest[0].decode())
                if len(serving) == len(tools.ADDRESSES) and not is_said:
                    print("listening", file=sys.stderr, flush=True)
                    is_said = True
            elif what == b">call":
                call, address, arguments, headers = rest
                try:
                    result = tools.answer(address.decode(), json.loads(arguments), json.loads(headers))
                    socket.send_multipart([b">result", call, json.dumps(result).encode()])
                except tools.Failed as failed:
                    socket.send_multipart([b">error", call, json.dumps(failed.said).encode()])


main(sys.argv[1])
