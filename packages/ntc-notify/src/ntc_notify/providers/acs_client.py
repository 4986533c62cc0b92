"""Azure's email SDK on our own client. Imported at the first call, because it loads the SDK.

The SDK builds and signs the request and reads the answer. Ours carries it: the SDK waits
300 s for a single read by default, repeats a POST up to ten times, and follows redirects
with the signature on them.
"""

from __future__ import annotations

from azure.communication.email import EmailClient
from azure.core.credentials import AzureKeyCredential
from ntc_core.http.azure import make_azure_transport

__all__ = ["make_email_client"]


def make_email_client(
    *, endpoint: str, access_key: str, api_version: str, timeout_seconds: float
) -> EmailClient:
    """Return a client whose every call is one request within the time."""
    return EmailClient(
        endpoint,
        AzureKeyCredential(access_key),
        api_version=api_version,
        transport=make_azure_transport(endpoint=endpoint, timeout_seconds=timeout_seconds),
        retry_total=0,
        permit_redirects=False,
        connection_timeout=timeout_seconds,
        read_timeout=timeout_seconds,
    )
