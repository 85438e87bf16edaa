"""Tools on a bus of the kind REDIS, with redis-py and nothing of the registry: serve_redis.py URL BUS

Says `listening` on stderr once it can be called, and serves until it is ended.
"""

import json
import sys

import redis

import tools


def main(url, bus):
    server = redis.Redis.from_url(url, decode_responses=True)
    server.ping()
    lists = [f"onex:{bus}:calls:{address}" for address in tools.ADDRESSES]
    print("listening", file=sys.stderr, flush=True)
    while True:
        _, text = server.blpop(lists)
        request = json.loads(text)
        reply = {"id": request["id"]}
        try:
            reply["result"] = tools.answer(request["address"], request["arguments"], request["headers"])
        except tools.Failed as failed:
            reply["error"] = failed.said
        with server.pipeline() as both:
            # Where nobody reads it, it does not lie there for ever.
            both.rpush(request["reply_to"], json.dumps(reply)).expire(request["reply_to"], 60).execute()


main(*sys.argv[1:])
