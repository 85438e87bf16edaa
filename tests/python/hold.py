"""Picks ports as a test suite does, binds each for TCP and UDP, says which, and holds them until stdin ends.

Usage: hold.py COUNT, with PORTSERVER_ADDRESS set. Prints the numbers as one line of JSON.
"""
import json
import socket
import sys

import portpicker

ports = [portpicker.pick_unused_port() for _ in range(int(sys.argv[1]))]
sockets = []
for port in ports:
    for family, host in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            bound = socket.socket(family, kind)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((host, port))
            sockets.append(bound)
print(json.dumps(ports), flush=True)
sys.stdin.read()
