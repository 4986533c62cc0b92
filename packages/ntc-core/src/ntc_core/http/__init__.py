"""Calls to other companies, with a total deadline and a truthful kind of failure.

    client = HttpClient(base_url="https://api.example.com", total_timeout_seconds=15)
    answer = client.request("POST", "/v1/push", json={"amount": "5000"})
    if answer.status == 201:
        reference = answer.json()["reference"]

What failed matters more than why: after `NotSent` the company cannot know of the call,
after `NoAnswer` it may have acted on it. Every HTTP status, 500 too, is an answer.

Plain Python; httpx is imported at the first call.
"""

from ntc_core.http.client import HttpClient
from ntc_core.http.trace import TracedCall, traced_calls
from ntc_core.http.types import AnswerUnreadable, HttpAnswer, HttpFailure, NoAnswer, NotSent

__all__ = [
    "AnswerUnreadable",
    "HttpAnswer",
    "HttpClient",
    "HttpFailure",
    "NoAnswer",
    "NotSent",
    "TracedCall",
    "traced_calls",
]
