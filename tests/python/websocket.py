"""The registry with gql over a websocket, by either protocol. Says each thing that it finds as a line of JSON.

websocket.py URL SUBPROTOCOL
"""

import asyncio
import json
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport


def say(what, value):
    print(json.dumps([what, value]))


def register(name):
    request = gql("mutation($input: RegisterInput!) { register(input: $input) { created } }")
    request.variable_values = {"input": {"name": name}}
    return request


async def main(url, subprotocol):
    transport = WebsocketsTransport(url=url, subprotocols=[subprotocol])
    async with Client(transport=transport) as session:
        say("mutation", await session.execute(register("first")))
        say("query", await session.execute(gql("{ registry { sequence } }")))
        try:
            await session.execute(gql("{ nobody }"))
        except TransportQueryError as error:
            say("refused", error.errors[0]["extensions"]["code"])
        seen = []
        async for event in session.subscribe(gql("subscription { registryEvents(after: 0) { sequence } }")):
            seen.append(event["registryEvents"]["sequence"])
            if len(seen) == 1:
                await session.execute(register("second"))
            if len(seen) == 2:
                break
        say("events", seen)


asyncio.run(main(*sys.argv[1:]))
