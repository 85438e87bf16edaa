"""What schemathesis has to know of the registry: its scalars, and what no answer may be."""

import datetime
import json

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes, scalar

# What people send, and now and then what no UUID, instant or place can be.
junk = st.text(max_size=40)
instants = st.datetimes(timezones=st.just(datetime.timezone.utc)).map(lambda time: time.isoformat())
# Words that fit each other now and then, so that something is registered, found, called and ended.
words = st.sampled_from(["a", "node.a", "tool_b", "1.0.0", "topic.c", "10.0.0.1", "http://127.0.0.1:1/x", "*", "name: a"])
scalar("String", (words | junk).map(nodes.String))
known = st.sampled_from([f"00000000-0000-4000-8000-00000000000{digit}" for digit in range(4)])
scalar("UUID", (known | st.uuids().map(str) | junk).map(nodes.String))
scalar("DateTime", (instants | junk).map(nodes.String))
scalar("Sequence", st.integers(-(2**65), 2**65).map(nodes.Int))
scalar(
    "JSON",
    st.one_of(
        st.just(nodes.Null),
        st.booleans().map(nodes.Boolean),
        st.integers().map(nodes.Int),
        st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
        junk.map(nodes.String),
        st.just(nodes.Object([])),
    ),
)


@schemathesis.check
def answered(ctx, response, case):
    """Whatever is asked is answered: with data, or with errors that have a code and are not the registry's own."""
    assert response.status_code < 500, f"status {response.status_code}: {response.text}"
    answer = json.loads(response.text)
    for error in answer.get("errors") or []:
        code = error.get("extensions", {}).get("code")
        assert code and code != "INTERNAL", f"code {code}: {response.text}"
