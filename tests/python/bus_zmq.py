"""A program on a bus of the kind ZMQ or IPC, with pyzmq. Says each thing as a line of JSON.

bus_zmq.py publish   --endpoint URL --topic TOPIC --text JSON [--count N]: a PUB socket; nobody answers
bus_zmq.py request   --endpoint URL --topic TOPIC --text JSON [--count N]: a REQ or DEALER socket; prints the answers
bus_zmq.py subscribe --endpoint URL [--topic BEGINNING] [--count N]: a SUB socket; prints what comes

With --server-key, --public-key and --secret-key, over CURVE. Ends with status 1 where nothing comes for long enough.
"""

import argparse
import json
import sys

import zmq


def say(what):
    print(json.dumps(what, ensure_ascii=False), flush=True)


def event(arguments):
    frames = [arguments.topic, arguments.text] + ([arguments.traceparent] if arguments.traceparent else [])
    return [frame.encode() for frame in frames]


def told(frames):
    names = ("topic", "text", "traceparent")
    return dict(zip(names, (frame.decode() for frame in frames)))


def connect(context, kind, arguments):
    socket = context.socket(kind)
    socket.rcvtimeo = socket.sndtimeo = socket.linger = round(arguments.patience * 1000)
    if arguments.server_key:
        socket.curve_serverkey = arguments.server_key.encode()
        socket.curve_publickey = arguments.public_key.encode()
        socket.curve_secretkey = arguments.secret_key.encode()
    return socket


def publish(context, arguments):
    # As PUB, which says when somebody is there who wants what is sent.
    with connect(context, zmq.XPUB, arguments) as socket:
        socket.connect(arguments.endpoint)
        socket.recv()
        for _ in range(arguments.count):
            socket.send_multipart(event(arguments))
            say(told(event(arguments)))


def request(context, arguments):
    with connect(context, getattr(zmq, arguments.socket), arguments) as socket:
        socket.connect(arguments.endpoint)
        for _ in range(arguments.count):
            socket.send_multipart(event(arguments))
            say({"answer": [frame.decode() for frame in socket.recv_multipart()]})


def subscribe(context, arguments):
    with connect(context, zmq.SUB, arguments) as socket:
        socket.subscribe(arguments.topic)
        socket.connect(arguments.endpoint)
        for _ in range(arguments.count):
            say(told(socket.recv_multipart()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["publish", "request", "subscribe"])
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--topic", default="")
    parser.add_argument("--text")
    parser.add_argument("--traceparent")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--socket", choices=["REQ", "DEALER"], default="REQ")
    parser.add_argument("--patience", type=float, default=15, help="seconds")
    parser.add_argument("--server-key")
    parser.add_argument("--public-key")
    parser.add_argument("--secret-key")
    # A key may begin with a dash.
    arguments = parser.parse_args(["=".join(pair) if pair[0].startswith("--") else pair[0] for pair in pairs()])
    with zmq.Context() as context:
        try:
            {"publish": publish, "request": request, "subscribe": subscribe}[arguments.command](context, arguments)
        except zmq.Again:
            sys.exit("nothing comes")


def pairs():
    given = iter(sys.argv[1:])
    for name in given:
        yield (name, next(given, "")) if name.startswith("--") and name != "--help" and "=" not in name else (name,)


main()
