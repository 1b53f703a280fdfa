"""The configuration of a server: every parameter of Redis, redis.conf, CONFIG SET and REWRITE.

- kinds.py: what a boolean, a number, a size, a text is; specials.py: parameters of their own kind.
- parameters.py: `Config`, the table of all parameters.
- settings.py: looking parameters up, changing them, hooks.
- reader.py: redis.conf. rewrite.py: CONFIG REWRITE.
"""

from redis_trio.config.kinds import ConfigError as ConfigError
from redis_trio.config.parameters import Config as Config
from redis_trio.config.settings import LoadingError as LoadingError
from redis_trio.config.settings import Option as Option
from redis_trio.config.settings import UnknownParameterError as UnknownParameterError
