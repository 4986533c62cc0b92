"""Everything about sign-in that changes something."""

from ntc_core.auth.services.codes import (
    announce_code,
    code_secrets,
    issue_code,
    redeem_code,
    reveal_code,
)
from ntc_core.auth.services.ending import end_session, sign_out, sign_out_everywhere
from ntc_core.auth.services.refreshing import SignedIn, refresh
from ntc_core.auth.services.sessions import authenticate, get_owner, sign_in, verify_token

__all__ = [
    "SignedIn",
    "announce_code",
    "authenticate",
    "code_secrets",
    "end_session",
    "get_owner",
    "issue_code",
    "redeem_code",
    "refresh",
    "reveal_code",
    "sign_in",
    "sign_out",
    "sign_out_everywhere",
    "verify_token",
]
