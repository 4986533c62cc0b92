"""Sign-in: sessions with rotating refresh tokens, and one-time codes.

The user model is the project's. Enter by `services`, `signals`, `errors`,
`authentication.JWTAuthentication` and, with `include()`, `urls`.
"""
