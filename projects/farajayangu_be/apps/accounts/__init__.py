"""People: who may sign in, how they sign up, what they may change about themselves."""
