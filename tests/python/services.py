"""Says what each service of a NATS server says of itself, a line of JSON each: services.py URL"""

import asyncio
import json
import sys

import nats


async def main(url):
    connection = await nats.connect(url)
    answer = await connection.request("$SRV.INFO", timeout=15)
    print(json.dumps(json.loads(answer.data)), flush=True)
    await connection.close()


asyncio.run(main(sys.argv[1]))
