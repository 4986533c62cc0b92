"""Sign-in: sessions with rotating refresh tokens, and one-time codes.

The user model is the project's. Its manager's `get_by_natural_key()` finds a user by whatever
people sign in with (Django's `ModelBackend` calls it), and its `uid`, where it has one, names
the user in tokens.

Enter by `services`, `signals`, `errors`, `authentication.JWTAuthentication` and, with
`include()`, `urls`.
"""
