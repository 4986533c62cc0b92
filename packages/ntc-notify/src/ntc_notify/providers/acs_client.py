"""Azure's email SDK on our own client. Imported at the first call, because it loads the SDK.

The SDK builds and signs the request and reads the answer. Ours carries it: the SDK waits
300 s for a single read by default, repeats a POST up to ten times, and follows redirects
with the signature on them.
"""

from __future__ import annotations

import io
import logging
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from azure.communication.email import EmailClient
from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.transport import RequestsTransport
from ntc_core.http import HttpClient
from requests.adapters import BaseAdapter

__all__ = ["make_email_client"]


def make_email_client(
    *, endpoint: str, access_key: str, api_version: str, timeout_seconds: float
) -> EmailClient:
    """Return a client whose every call is one request within the time."""
    # One line per request, with all headers: our own client notes the call already.
    sdk_log = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    sdk_log.setLevel(max(sdk_log.level, logging.WARNING))
    session = requests.Session()
    session.trust_env = False
    # Else it would ask for compressed answers, which could outgrow the limit when unpacked.
    session.headers.clear()
    carrier = _Carrier(HttpClient(base_url=endpoint, total_timeout_seconds=timeout_seconds))
    session.mount("https://", carrier)
    session.mount("http://", carrier)
    return EmailClient(
        endpoint,
        AzureKeyCredential(access_key),
        api_version=api_version,
        transport=RequestsTransport(session=session, session_owner=False, use_env_settings=False),
        retry_total=0,
        permit_redirects=False,
        connection_timeout=timeout_seconds,
        read_timeout=timeout_seconds,
    )


class _Carrier(BaseAdapter):
    """Takes the SDK's signed request over the network."""

    def __init__(self, client: HttpClient) -> None:
        super().__init__()
        self._client = client

    def send(self, request: Any, *_: Any, **__: Any) -> requests.Response:
        url = urlsplit(request.url)
        answer = self._client.request(
            request.method,
            f"{url.path}?{url.query}" if url.query else url.path,
            content=request.body,
            headers=dict(request.headers),
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.url = request.url
        response.request = request
        response.raw = urllib3.HTTPResponse(
            body=io.BytesIO(answer.body),
            headers=dict(answer.headers),
            status=answer.status,
            preload_content=False,
        )
        return response

    def close(self) -> None:
        pass
