"""System checks: mistakes in the settings that would otherwise show up in production.

What answers would no longer have (`foundation`):

E001  a middleware of ntc_core is missing        E002  they are not the first, in order
E003  another exception handler                  E004  another default renderer
E005  no permission by default                   E006  NTC_TRUSTED_PROXY_COUNT is no count
E007  another CSRF failure view                  E008  NTC_API_PREFIXES is not as expected
E009  NTC_METRICS_SINK cannot be built           E015  /metrics is open to too many, or nobody
W001  ALLOWED_HOSTS lets everybody in  (--deploy)
W002  a parser besides JSON by default (--deploy)

Names that lead nowhere (`names`):

E010  a dotted path cannot be imported           W003  a key that nothing reads
W004  a CORS_* name that nothing reads           W005  an NTC_* name that nothing reads
W006  SIMPLE_JWT has no effect

What is dangerous in public (`deployment`, all --deploy):

E011  credentials for pages of any origin        E012  SECRET_KEY is a published one
W007  tokens are signed with SECRET_KEY          W008  the key of HS256 tokens is short
W009  a refresh token can be spent again         W010  X-Forwarded-Proto is believed from anybody
W011  it is believed from nobody                 W012  a cookie goes along from other sites
W013  CSRF_TRUSTED_ORIGINS trusts too many       W014  a request may fill the memory
W015  EMAIL_BACKEND sends nothing                W016  time zones differ
W017  the settings that development shares       W018  Sentry gets personal data

What does not fit the project's own code (`project`):

E013  saving a user changes last_login           E014  a log formatter breaks
W019  the schema is not mounted (--deploy)       W020  a page that crashes on purpose (--deploy)
W021  a folder can be listed    (--deploy)       W022  lists are not paged, or without a limit
W023  log events come out twice                  W024  an app is not installed
"""

from ntc_core.checks import deployment, foundation, names, project  # noqa: F401 - registers them
