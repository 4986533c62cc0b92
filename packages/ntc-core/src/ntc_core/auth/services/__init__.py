"""Everything about sign-in that changes something."""

from ntc_core.auth.services.codes import code_secrets, issue_code, redeem_code, reveal_code
from ntc_core.auth.services.sessions import (
    SignedIn,
    authenticate,
    end_session,
    refresh,
    sign_in,
    sign_out,
    sign_out_everywhere,
    verify_token,
)

__all__ = [
    "SignedIn",
    "authenticate",
    "code_secrets",
    "end_session",
    "issue_code",
    "redeem_code",
    "refresh",
    "reveal_code",
    "sign_in",
    "sign_out",
    "sign_out_everywhere",
    "verify_token",
]
