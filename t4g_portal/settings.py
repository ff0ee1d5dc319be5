"""All settings. Everything an operator may change comes from the environment.

`.env.example` lists each variable; `docs/operations.md` explains them.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from whitenoise.compress import Compressor

from t4g_portal import embedded_db, local_keys
from t4g_portal.demo import marking
from t4g_portal.lib import content_policies
from t4g_portal.shell import UNFOLD as UNFOLD
from t4g_portal.trust import refusals

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
_env_file = Path(env.str("PORTAL_ENV_FILE", default=str(BASE_DIR / ".env")))
if _env_file.is_file():
    environ.Env.read_env(str(_env_file))

# Where this copy keeps its database, broker, keys and logs. One copy, one directory.
DATA_DIR = Path(env.str("PORTAL_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()

# `production` turns every safety check into a refusal to start.
PORTAL_ENV = env.str("PORTAL_ENV", default="development")
IS_PRODUCTION = PORTAL_ENV == "production"
DEBUG = env.bool("DEBUG", default=False)
# A portal of made-up data, which `make demo` starts; never on real data, nor the reverse.
PORTAL_DEMO = env.bool("PORTAL_DEMO", default=False)
marking.check(data_dir=DATA_DIR, is_demo=PORTAL_DEMO, is_production=IS_PRODUCTION)

SECRET_KEY = env.str("SECRET_KEY", default="") or local_keys.secret_key(
    data_dir=DATA_DIR, is_production=IS_PRODUCTION
)
# Encrypts secrets at rest: `id:base64,id:base64`, the first one writes.
PORTAL_DATA_KEYS = env.str("PORTAL_DATA_KEYS", default="") or local_keys.data_keys(
    data_dir=DATA_DIR, is_production=IS_PRODUCTION
)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS", default=[] if IS_PRODUCTION else ["*"]
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# Absolute address of the portal, for the links in messages.
PORT = env.int("PORT", default=8000)
PORTAL_URL = env.str("PORTAL_URL", default=f"http://localhost:{PORT}").rstrip("/")
if not PORTAL_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured(
        f"PORTAL_URL is {PORTAL_URL!r}. Begin it with https:// or http://, because the "
        "links in messages are made of it."
    )
# Says that passwords may travel in the clear, because the network is ours alone.
ALLOW_PLAIN_HTTP = env.bool("ALLOW_PLAIN_HTTP", default=False)
# What keeps production from starting; `manage.py check` lists it instead.
REFUSALS = refusals.refusals(
    refusals.Deployment(
        environment=PORTAL_ENV,
        secret_key=SECRET_KEY,
        data_keys=PORTAL_DATA_KEYS,
        is_debug=DEBUG,
        allowed_hosts=tuple(ALLOWED_HOSTS),
        trusted_origins=tuple(CSRF_TRUSTED_ORIGINS),
        portal_url=PORTAL_URL,
        is_plain_http_accepted=ALLOW_PLAIN_HTTP,
    )
)
if REFUSALS and not refusals.is_only_checking():
    raise ImproperlyConfigured("\n".join(refusal.sentence for refusal in REFUSALS))
IS_SECURE = IS_PRODUCTION and PORTAL_URL.startswith("https://")
PORTAL_NAME = env.str("PORTAL_NAME", default="Token4Good")
# Whether anybody may see /status/ and the badges; off: nobody knows they are there.
PORTAL_PUBLIC_STATUS = env.bool("PORTAL_PUBLIC_STATUS", default=True)
# So many seconds one rendering of the status page serves everybody.
STATUS_PAGE_KEPT_S = 10
# Whether the first start brings the guide's services, monitors and thresholds.
PORTAL_SEED = env.bool("PORTAL_SEED", default=True)

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "t4g_portal.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "auditlog",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "t4g_portal.lib",
    "notifications",
    "incidents",
    "monitors",
    "telemetry",
    "kpis",
    "checklists",
    "t4g_portal.apps.PortalConfig",
]

MIDDLEWARE = [
    "t4g_portal.trust.request_log.request_log_middleware",
    "django.middleware.security.SecurityMiddleware",
    "t4g_portal.trust.headers.headers_middleware",
    "t4g_portal.trust.content_policy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # A page is a fifth as long on the wire; tokens are masked, so BREACH learns nothing.
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "t4g_portal.languages.PageLanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "t4g_portal.lib.history.HistoryMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "t4g_portal.lib.zones.ReaderZoneMiddleware",
]

if PORTAL_DEMO:
    MIDDLEWARE.append("t4g_portal.demo.banner.DemoBanner")

ROOT_URLCONF = "t4g_portal.urls"
WSGI_APPLICATION = "t4g_portal.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "t4g_portal.trust.templates.FittingLoader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------
# PostgreSQL only (ADR 0001). Without DATABASE_URL a private server is started.
DATABASE_URL = env.str("DATABASE_URL", default="") or embedded_db.ensure_running(
    data_dir=DATA_DIR
)
_database: dict[str, Any] = env.db_url_config(DATABASE_URL)
_database.update(
    {
        "ENGINE": "t4g_portal.lib.postgres",
        # A fresh connection a request costs three quarters of a heartbeat ping.
        "CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=600),
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
)
_database.setdefault("OPTIONS", {})
_database["OPTIONS"].setdefault("connect_timeout", 5)
_database["OPTIONS"].setdefault(
    # A lost lock or a runaway query ends; it never stops a loop for good. Nor does a
    # process that stands still, or is gone without a word, with an incident locked.
    "options",
    "-c statement_timeout=60000 -c lock_timeout=15000 -c jit=off"
    " -c idle_in_transaction_session_timeout=60000",
)
for _option, _value in {
    # The same for a server that is gone without a word; a socket file ignores it.
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}.items():
    _database["OPTIONS"].setdefault(_option, _value)
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Celery ---------------------------------------------------------------------
# Broker messages are ticks without data (design §5.5): losing all of them delays
# the work by one tick.
REDIS_URL = env.str("REDIS_URL", default="")
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = bool(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: after a hundred tries, which is 50 minutes, worker and beat would end.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
# Celery would close the connection around each task, whatever CONN_MAX_AGE says; the
# loops look after theirs themselves.
CELERY_DB_REUSE_MAX = 1_000_000
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        # Above three times the longest task, or Redis hands a running task out again.
        "visibility_timeout": 3600,
        # A Redis that is gone without a word is noticed within half a minute.
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
else:
    _broker_dir = DATA_DIR / "broker"
    (_broker_dir / "queue").mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT: str | None = "t4g_portal.file_broker:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker_dir / "queue"),
        "data_folder_out": str(_broker_dir / "queue"),
        "store_processed": False,
        "polling_interval": 0.2,
    }


def _tick(task: str, every_s: float, queue: str) -> dict[str, Any]:
    """One beat entry whose message expires before it could pile up.

    Not sooner than hosts' clocks may differ, or a worker takes no tick at all.
    """
    return {
        "task": task,
        "schedule": every_s,
        "options": {"queue": queue, "expires": max(every_s * 0.9, 10.0)},
    }


# Lanes: a page never waits behind a rollup, a probe never behind a page.
CELERY_BEAT_SCHEDULE = {
    "monitors.probe": _tick("monitors.tasks.probe", 1.0, "probes"),
    "monitors.watch": _tick("monitors.tasks.watch", 5.0, "probes"),
    "monitors.judge": _tick("monitors.tasks.judge", 10.0, "probes"),
    "notifications.deliver": _tick("notifications.tasks.deliver", 2.0, "paging"),
    "notifications.ask": _tick("notifications.tasks.ask", 5.0, "paging"),
    "incidents.advance": _tick("incidents.tasks.advance", 5.0, "paging"),
    # Not beside the loops that it looks after: they may be stuck together.
    "incidents.audit": _tick("incidents.tasks.audit", 60.0, "housekeeping"),
    "incidents.expect": _tick("incidents.tasks.expect", 60.0, "housekeeping"),
    "incidents.on_call": _tick("incidents.tasks.keep_on_call", 60.0, "housekeeping"),
    "incidents.import_calendars": _tick(
        "incidents.tasks.import_calendars", 900.0, "housekeeping"
    ),
    "incidents.publish_shifts": _tick(
        "incidents.tasks.publish_shifts", 300.0, "housekeeping"
    ),
    "incidents.remind": _tick("incidents.tasks.remind", 600.0, "housekeeping"),
    "monitors.drill": _tick("monitors.tasks.drill", 5.0, "paging"),
    "monitors.roll_up": _tick("monitors.tasks.roll_up", 60.0, "housekeeping"),
    "monitors.keep_house": _tick("monitors.tasks.keep_house", 3600.0, "housekeeping"),
    "telemetry.keep_house": _tick("telemetry.tasks.keep_house", 3600.0, "housekeeping"),
    "kpis.collect": _tick("kpis.tasks.collect", 5.0, "housekeeping"),
    "kpis.backfill": _tick("kpis.tasks.backfill", 5.0, "housekeeping"),
    "kpis.keep_house": _tick("kpis.tasks.keep_house", 3600.0, "housekeeping"),
    "kpis.digest": _tick("kpis.tasks.digest", 20.0, "housekeeping"),
    "checklists.verify": _tick("checklists.tasks.verify", 10.0, "housekeeping"),
    "checklists.keep_chain": _tick("checklists.tasks.keep_chain", 60.0, "housekeeping"),
    "checklists.keep_house": _tick("checklists.tasks.keep_house", 60.0, "housekeeping"),
    "notifications.keep_house": _tick(
        "notifications.tasks.keep_house", 3600.0, "housekeeping"
    ),
}

# --- Cache ----------------------------------------------------------------------
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "t4g_portal.lib.caching.ForgetfulRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "t4g",
        # It saves tenths of a second: no page waits longer for it.
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# --- People ---------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# The first one hashes; what was hashed by another is hashed again at the next sign-in.
PASSWORD_HASHERS = [
    "t4g_portal.trust.passwords.ModestArgon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "admin:login"
DEVICE_COOKIE_NAME = "device"
LOGIN_REDIRECT_URL = "home"
SESSION_ENGINE = "t4g_portal.trust.sessions"
# Days without a request after which one signs in again, and days after which in any case.
SESSION_COOKIE_AGE = env.int("SESSION_IDLE_DAYS", default=7) * 86400
SESSION_MAX_AGE_S = env.int("SESSION_MAX_DAYS", default=30) * 86400

# --- Words and time ---------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("fr", _("French"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "t4g_portal.formats"
# Whoever chose a language in the shell finds it again in this browser.
LANGUAGE_COOKIE_AGE = 365 * 86400
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = IS_PRODUCTION
USE_I18N = True
# What Django 6 does anyway; the switch itself is deprecated and says so.
FORMS_URLFIELD_ASSUME_HTTPS = True
warnings.filterwarnings("ignore", message="The FORMS_URLFIELD_ASSUME_HTTPS")
USE_TZ = True
TIME_ZONE = env.str("PORTAL_TIME_ZONE", default="Europe/Paris")
# The language of messages to people of whom we know no other.
PORTAL_LANGUAGE = env.str("PORTAL_LANGUAGE", default="fr")

# --- Files ------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(DATA_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_MAX_AGE = 365 * 86400
# Compressing is most of what collecting costs: nothing that no page asks for.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (
    *Compressor.SKIP_COMPRESS_EXTENSIONS,
    "map",
)

# --- Security -------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {"DIRECTIVES": content_policies.PUBLIC}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "t4g_portal.errors.csrf_failed"
DEFAULT_EXCEPTION_REPORTER_FILTER = "t4g_portal.trust.reports.ReportFilter"
LANGUAGE_COOKIE_AGE = 365 * 86400
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
IS_BEHIND_PROXY = IS_PRODUCTION and env.bool("BEHIND_TLS_PROXY", default=True)
# So many proxies of ours add to X-Forwarded-For; what stands left of theirs is hearsay.
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=int(IS_BEHIND_PROXY))
if IS_BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
if IS_SECURE:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^health$", r"^ready$"]
    SECURE_HSTS_SECONDS = 365 * 86400
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    # A browser takes such a cookie from this host only, over TLS only.
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
    LANGUAGE_COOKIE_NAME = "__Host-language"
    DEVICE_COOKIE_NAME = "__Host-device"

# --- Outgoing traffic ---------------------------------------------------------------
# Private networks that probes and messages may reach. Metadata addresses never are.
EGRESS_ALLOWED_NETWORKS: list[str] = env.list(
    "EGRESS_ALLOWED_NETWORKS",
    default=[] if IS_PRODUCTION else ["127.0.0.0/8", "::1/128"],
)

# Where the providers' APIs are; other addresses are for tests and for OVHcloud's other
# regions, such as https://ca.api.ovh.com/1.0.
TWILIO_API_URL = env.str("TWILIO_API_URL", default="https://api.twilio.com").rstrip("/")
SLACK_API_URL = env.str("SLACK_API_URL", default="https://slack.com/api").rstrip("/")
OVH_API_URL = env.str("OVH_API_URL", default="https://eu.api.ovh.com/1.0").rstrip("/")

# Which of Apprise's services channels may use: over TLS, and none that runs or reads
# anything here.
APPRISE_SCHEMES: list[str] = env.list(
    "APPRISE_SCHEMES",
    default=[
        *("discord", "gchat", "gotifys", "matrixs", "mmosts", "ntfys", "opsgenie"),
        *("pagerduty", "pbul", "pover", "prowl", "rockets", "signl4", "tgram"),
        *("threema", "twist", "workflows", "wxteams", "zulip"),
    ],
)

# Asked each minute in which the auditor found every page safe: an outside service that
# raises the alarm when it is not.
DEADMAN_URL = env.str("DEADMAN_URL", default="")

# --- E-mail: with EMAIL_HOST unset, messages are kept and readable in the portal -----
EMAIL_HOST = env.str("EMAIL_HOST", default="")
EMAIL_PORT = env.int("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=True)
EMAIL_USE_SSL = env.bool("EMAIL_USE_SSL", default=False)
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", default="T4G Portal <portal@token4good.com>"
)

# --- Engine -------------------------------------------------------------------------
PROBE_LOCATION = env.str("PROBE_LOCATION", default="main")
PROBE_CONCURRENCY = env.int("PROBE_CONCURRENCY", default=1000)
PROBE_HOST_CONCURRENCY = env.int("PROBE_HOST_CONCURRENCY", default=64)
RESULT_RETENTION_DAYS = env.int("RESULT_RETENTION_DAYS", default=30)
ROLLUP_RETENTION_DAYS = env.int("ROLLUP_RETENTION_DAYS", default=400)

# --- REST API -------------------------------------------------------------------------
# Requests a minute: of one key or person, and refused ones of one address.
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=1200)
API_REFUSALS_PER_MINUTE = env.int("API_REFUSALS_PER_MINUTE", default=60)
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "t4g_portal.lib.api.problems.handle",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "t4g_portal.lib.api.authentication.KeyAuthentication",
        "t4g_portal.lib.api.authentication.BrowserAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["t4g_portal.lib.api.parsing.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "T4G operations portal",
    "DESCRIPTION": "Everything one does in the portal, for programs. docs/api.md has"
    " examples to copy.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "MonitorStatus": "monitors.status.Status",
        "IncidentStatus": "incidents.models.incident.Incident.Status",
        "AlertStatus": "incidents.models.alert.Alert.Status",
        "Priority": "t4g_portal.lib.priority.Priority",
        "ChecklistItemKind": "checklists.models.template.ItemFields.Kind",
        "ChecklistRunState": "checklists.models.run.ChecklistRun.State",
        "EvidenceKind": "checklists.models.evidence.Evidence.Kind",
        "DeploymentState": "telemetry.models.Deployment.State",
        "Weekday": "incidents.models.schedule.weekdays",
        "GateVerdict": "checklists.models.gate.GateDecision.Verdict",
        "PushedKind": "checklists.api.evidence.PUSHED_KINDS",
        "PushedVerdict": "checklists.api.evidence.PUSHED_VERDICTS",
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "PATH_CONVERTER_OVERRIDES": {
        "number": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "t4g_portal.lib.api.schema.finish",
    ],
}

# --- Logs ---------------------------------------------------------------------------
# Task ids on every line; a tick a second is no news.
DJANGO_STRUCTLOG_CELERY_TASK_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_CELERY_TASK_SUCCESS_LOG_LEVEL = logging.DEBUG
# Nor is one that came too late: a worker that was away drops hundreds.
DJANGO_STRUCTLOG_CELERY_TASK_RETRY_LOG_LEVEL = logging.DEBUG
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": "t4g_portal.lib.logs.formatting.make_formatter",
            "is_json": IS_PRODUCTION,
        }
    },
    "filters": {"repeats": {"()": "t4g_portal.lib.logs.repeats.RepeatFilter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "lines",
            "filters": ["repeats"],
        }
    },
    "root": {
        "handlers": ["console"],
        "level": LOG_LEVEL,
    },
    "loggers": {
        # Django would print to a handler of its own, unscrubbed and without ids.
        "django": {"handlers": [], "level": "INFO"},
        # What it says of a refused request, the request's own line says too.
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        # A variable that a template misses is no fault, yet each would be told at DEBUG
        # with the whole context of the page.
        "django.template": {"level": "INFO"},
        "httpcore": {"level": "WARNING"},
        # Says of each probe cut off at its deadline what the result says anyway.
        "psycopg": {"level": "ERROR"},
    },
}
