"""What orchestration code must not do, and what it does instead."""

from __future__ import annotations

CLOCK = "use ctx.now, or yield ctx.utc_now()"
RANDOM = "use ctx.random"
GUID = "use yield ctx.new_guid()"
SLEEP = "use ctx.schedule_timer(...), or await asyncio.sleep(...)"
ACTIVITY = "move it into an activity"
ENVIRONMENT = "pass it as an input, or read it in an activity"
HASH = "use zlib.crc32, or hashlib: it differs from process to process"
VERBS = "use the verbs of ctx, such as ctx.start_orchestration(...)"
SORTED = "sort it: sorted(...)"

OF_REPLAYS = frozenset({CLOCK, RANDOM, GUID, ENVIRONMENT, HASH, SORTED})
"""What does no harm in code that runs once."""

FORBIDDEN: dict[str, str] = {
    "time.sleep": SLEEP,
    "time": CLOCK,
    "datetime.datetime.now": CLOCK,
    "datetime.datetime.utcnow": CLOCK,
    "datetime.datetime.today": CLOCK,
    "datetime.date.today": CLOCK,
    "django.utils.timezone.now": CLOCK,
    "django.utils.timezone.localtime": CLOCK,
    "django.utils.timezone.localdate": CLOCK,
    "random": RANDOM,
    "secrets": RANDOM,
    "numpy.random": RANDOM,
    "os.urandom": RANDOM,
    "django.utils.crypto.get_random_string": RANDOM,
    "uuid.uuid1": GUID,
    "uuid.uuid4": GUID,
    "uuid.uuid6": GUID,
    "uuid.uuid7": GUID,
    "builtins.hash": HASH,
    "builtins.id": HASH,
    "os.environ": ENVIRONMENT,
    "os.getenv": ENVIRONMENT,
    "django_durable.client": VERBS,
    # Threads, processes, other loops.
    "asyncio.to_thread": ACTIVITY,
    "asyncio.open_connection": ACTIVITY,
    "asyncio.open_unix_connection": ACTIVITY,
    "asyncio.start_server": ACTIVITY,
    "asyncio.create_subprocess_exec": ACTIVITY,
    "asyncio.create_subprocess_shell": ACTIVITY,
    "asgiref.sync.sync_to_async": ACTIVITY,
    "asgiref.sync.async_to_sync": ACTIVITY,
    "threading": ACTIVITY,
    "multiprocessing": ACTIVITY,
    "concurrent.futures": ACTIVITY,
    "subprocess": ACTIVITY,
    # Files.
    "builtins.open": ACTIVITY,
    "builtins.input": ACTIVITY,
    "io.open": ACTIVITY,
    "os": ACTIVITY,
    "shutil": ACTIVITY,
    "tempfile": ACTIVITY,
    "glob": ACTIVITY,
    "pathlib.Path.cwd": ACTIVITY,
    "pathlib.Path.home": ACTIVITY,
    "django.core.files": ACTIVITY,
    # The network.
    "socket": ACTIVITY,
    "smtplib": ACTIVITY,
    "ftplib": ACTIVITY,
    "imaplib": ACTIVITY,
    "http.client": ACTIVITY,
    "urllib.request": ACTIVITY,
    "urllib3": ACTIVITY,
    "requests": ACTIVITY,
    "httpx": ACTIVITY,
    "aiohttp": ACTIVITY,
    "websockets": ACTIVITY,
    "grpc": ACTIVITY,
    "paramiko": ACTIVITY,
    "boto3": ACTIVITY,
    "redis": ACTIVITY,
    "django.core.mail": ACTIVITY,
    "django.core.cache": ACTIVITY,
    # Databases.
    "django.db": ACTIVITY,
    "django.shortcuts": ACTIVITY,
    "django.core.management": ACTIVITY,
    "sqlite3": ACTIVITY,
    "psycopg": ACTIVITY,
    "psycopg2": ACTIVITY,
    "asyncpg": ACTIVITY,
    "pymongo": ACTIVITY,
}
"""Dotted path of a function, or of a module whose functions are all meant, and what to do instead."""

ALLOWED = frozenset(
    {
        "time.strftime", "time.strptime", "time.gmtime", "time.struct_time", "django.db.models",
        "django.core.files.base", "os.path.join", "os.path.split", "os.path.splitext", "os.path.basename",
        "os.path.dirname", "os.path.normpath", "os.path.commonpath", "os.fspath", "os.fsencode", "os.fsdecode",
    }
)  # fmt: skip
"""What only computes, though its module is forbidden."""

MANAGERS = frozenset({"objects", "_default_manager", "_base_manager"})

METHODS = frozenset(
    {
        "run_in_executor", "read_text", "read_bytes", "write_text", "write_bytes",
        "save", "asave", "delete", "adelete", "refresh_from_db", "arefresh_from_db", "get_or_create", "aget_or_create",
        "update_or_create", "aupdate_or_create", "bulk_create", "abulk_create", "bulk_update", "abulk_update",
        "select_for_update", "select_related", "prefetch_related", "values_list", "aget", "afirst", "alast", "acount",
        "aexists", "acreate", "aupdate",
    }
)  # fmt: skip
"""Methods of models, managers, query sets, paths and loops, whatever they are called on."""

STEPS = frozenset({"run", "stream"})
"""Methods of ctx whose argument is a local step, which may do anything."""

BUILTINS = frozenset({"open", "input", "hash", "id"})

SETS = frozenset({"set", "frozenset"})
IN_ORDER = frozenset({"list", "tuple", "enumerate", "iter"})
"""Built-ins that keep the order of what they are given."""

ORDERLESS = frozenset({"sorted", "set", "frozenset", "min", "max", "sum", "len", "any", "all"})
"""Built-ins whose result does not depend on it."""
