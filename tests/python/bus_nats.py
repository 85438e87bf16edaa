"""A program on a bus of the kind JETSTREAM, with nats-py, past the registry. Says each event as a line of JSON.

bus_nats.py publish --url URL --bus NAME --topic TOPIC --text JSON [--count N]: waits for JetStream's acknowledgement
bus_nats.py receive --url URL --bus NAME [--topic PATTERN] [--count N] [--all]: what comes; with --all from the beginning

Ends with status 1 where nothing comes for long enough. Once it listens, `receive` says so on stderr.
"""

import argparse
import asyncio
import json
import sys

import nats
from nats.js.api import DeliverPolicy


def say(topic, text, headers):
    line = {"topic": topic, "text": text}
    if headers and "traceparent" in headers:
        line["traceparent"] = headers["traceparent"]
    print(json.dumps(line, ensure_ascii=False), flush=True)


async def publish(stream, arguments):
    headers = {"traceparent": arguments.traceparent} if arguments.traceparent else {}
    if arguments.id:
        # The same id twice is one event.
        headers["Nats-Msg-Id"] = arguments.id
    for _ in range(arguments.count):
        subject = f"onex.{arguments.bus}.{arguments.topic}"
        await stream.publish(subject, arguments.text.encode(), timeout=arguments.patience, headers=headers or None)
        say(arguments.topic, arguments.text, headers)


async def receive(stream, arguments):
    beginning = f"onex.{arguments.bus}."
    policy = DeliverPolicy.ALL if arguments.all else DeliverPolicy.NEW
    name = "onex-" + arguments.bus.replace(".", "-")
    subscription = await stream.subscribe(
        beginning + arguments.topic, stream=name, ordered_consumer=True, deliver_policy=policy
    )
    print("listening", file=sys.stderr, flush=True)
    for _ in range(arguments.count):
        message = await subscription.next_msg(timeout=arguments.patience)
        say(message.subject.removeprefix(beginning), message.data.decode(), message.headers)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["publish", "receive"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--bus", required=True)
    parser.add_argument("--topic", default=">")
    parser.add_argument("--text")
    parser.add_argument("--traceparent")
    parser.add_argument("--id")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--patience", type=float, default=15, help="seconds")
    arguments = parser.parse_args()
    connection = await nats.connect(arguments.url, connect_timeout=arguments.patience)
    try:
        await {"publish": publish, "receive": receive}[arguments.command](connection.jetstream(), arguments)
    except nats.errors.TimeoutError:
        sys.exit("nothing comes")
    finally:
        await connection.close()


asyncio.run(main())
