"""Azure's SDKs on our own client: they sign and read, `HttpClient` carries.

They wait 300 s for a single read by default, and follow redirects with the signature on them.
Imported where an Azure client is made, because it loads azure-core and requests.
"""

from __future__ import annotations

import io
import logging
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter

from ntc_core.http.client import HttpClient

__all__ = ["make_azure_transport", "quiet_azure_log"]


def make_azure_transport(*, endpoint: str, timeout_seconds: float) -> RequestsTransport:
    """Return a transport whose every call is one request within the time, to this host only.

    Give the client `retry_total=0` and `permit_redirects=False` besides. Its methods then raise
    `HttpFailure` besides what the SDK raises.
    """
    quiet_azure_log()
    session = requests.Session()
    session.trust_env = False
    # Else it would ask for compressed answers, which could outgrow the limit when unpacked.
    session.headers.clear()
    parts = urlsplit(endpoint)
    carrier = _Carrier(
        HttpClient(
            base_url=f"{parts.scheme}://{parts.netloc}", total_timeout_seconds=timeout_seconds
        )
    )
    session.mount("https://", carrier)
    session.mount("http://", carrier)
    return RequestsTransport(session=session, session_owner=False, use_env_settings=False)


def quiet_azure_log() -> None:
    """Hold back the SDK's line per request, with all headers: our own client notes the call."""
    sdk_log = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    sdk_log.setLevel(max(sdk_log.level, logging.WARNING))


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
