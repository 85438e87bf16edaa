"""Tools as a NATS service, with nats-py and nothing of the registry: serve_nats.py URL

Says `listening` on stderr once it can be called, and serves until it is ended.
"""

import asyncio
import json
import sys

import nats
from nats import micro

import tools

SCHEMA = {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}


async def main(url):
    connection = await nats.connect(url)
    service = await micro.add_service(connection, name="math", version="1.2.0", description="Reckons")

    async def handle(request):
        try:
            result = tools.answer(request.subject, json.loads(request.data), request.headers)
            await request.respond(json.dumps(result).encode())
        except tools.Failed as failed:
            said = failed.said
            await request.respond_error(said["code"], said["message"], json.dumps(said["details"]).encode())

    for address in tools.ADDRESSES:
        name = address.split(".")[1]
        metadata = {"description": f"Does {name}"}
        if name == "add":
            metadata |= {"input_schema": json.dumps(SCHEMA), "idempotent": "true"}
        await service.add_endpoint(name=name, subject=address, handler=handle, metadata=metadata)
    await connection.flush()
    print("listening", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
