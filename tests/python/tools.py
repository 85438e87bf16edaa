"""Tools that programs on buses offer, whatever brings them their calls."""

import os


class Failed(Exception):
    """A tool says that it failed."""

    def __init__(self, code, message, details=None, retryable=False):
        super().__init__(message)
        self.said = {"code": code, "message": message, "details": details, "retryable": retryable}


def answer(address, arguments, headers):
    """What a call gives; raises Failed where it gives nothing."""
    match address:
        case "math.add":
            return {"sum": arguments["a"] + arguments["b"]}
        case "math.divide":
            if arguments["b"] == 0:
                raise Failed("DivisionByZero", "nothing is divided by 0", {"b": 0})
            return {"quotient": arguments["a"] / arguments["b"]}
        case "math.context":
            return headers
        case "math.die":
            os._exit(3)
        case _:
            raise Failed("UnknownTool", f"there is no {address} here")


ADDRESSES = ["math.add", "math.divide", "math.context", "math.die"]
