"""A program on a bus of the kind REDIS, with redis-py, past the registry. Says each event as a line of JSON.

bus_redis.py publish --url URL --bus NAME --topic TOPIC --text JSON [--count N]
bus_redis.py receive --url URL --bus NAME [--topic TOPIC] [--count N] [--all]: what comes; with --all from the beginning

Ends with status 1 where nothing comes for long enough. Once it listens, `receive` says so on stderr.
"""

import argparse
import json
import sys

import redis


def say(fields):
    names = {"topic": "topic", "event": "text", "traceparent": "traceparent"}
    line = {names[name]: value for name, value in fields.items() if name in names}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def publish(server, key, arguments):
    fields = {"topic": arguments.topic, "event": arguments.text}
    if arguments.traceparent:
        fields["traceparent"] = arguments.traceparent
    for _ in range(arguments.count):
        server.xadd(key, fields)
        say(fields)


def receive(server, key, arguments):
    behind = "0"
    if not arguments.all:
        # The entry itself, and not "$": what comes between two looks is not missed.
        latest = server.xrevrange(key, count=1)
        behind = latest[0][0] if latest else "0"
    print("listening", file=sys.stderr, flush=True)
    left = arguments.count
    while left > 0:
        came = server.xread({key: behind}, count=left, block=round(arguments.patience * 1000))
        if not came:
            sys.exit("nothing comes")
        # By stream: a list of pairs, or a dictionary in RESP3, of lists of entries.
        [entries] = came.values() if isinstance(came, dict) else [entries for _, entries in came]
        for behind, fields in entries:
            if arguments.topic in (None, fields.get("topic")):
                say(fields)
                left -= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["publish", "receive"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--bus", required=True)
    parser.add_argument("--topic")
    parser.add_argument("--text")
    parser.add_argument("--traceparent")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--patience", type=float, default=15, help="seconds")
    arguments = parser.parse_args()
    # No answer may come sooner than the stream is waited for.
    server = redis.Redis.from_url(arguments.url, decode_responses=True, socket_timeout=2 * arguments.patience)
    command = {"publish": publish, "receive": receive}[arguments.command]
    command(server, f"onex:{arguments.bus}:events", arguments)


main()
