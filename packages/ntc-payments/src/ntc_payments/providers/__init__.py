"""One company, one file. Nobody imports a concrete one: `conf.provider_registry` builds it."""
