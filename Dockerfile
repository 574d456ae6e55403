# The browser worker: execute_action with Debian's Chromium. Migrations run from the same image, as `upstream migrate`.
FROM python:3.12-slim

# chromium-sandbox lets Chromium keep its own sandbox without being root; without a font it prints boxes.
# Not pinned: Debian keeps one version of Chromium, the one with the security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium chromium-headless-shell chromium-sandbox fonts-liberation tini \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements-worker.txt ./
RUN pip install --no-cache-dir --requirement requirements-worker.txt
COPY pyproject.toml README.md LICENSE main.py ./
COPY functions functions
COPY shared shared
COPY schemas schemas
COPY cli cli
# Editable, since flows, schemas and migrations are read beside the code; --no-deps, since they are pinned above.
RUN pip install --no-cache-dir --no-deps --editable . \
    && python -O -m compileall -q main.py functions shared schemas cli \
    && useradd --system --create-home --uid 10001 upstream

USER 10001
ENV FUNCTION_TARGET=execute_action \
    FUNCTION_USE_ASGI=1 \
    PORT=8080 \
    PYTHONOPTIMIZE=1 \
    PYTHONUNBUFFERED=1 \
    UPSTREAM_CHROMIUM=/usr/bin/chromium
EXPOSE 8080

# tini reaps what Chromium leaves: as process 1, Python would not.
ENTRYPOINT ["tini", "--"]
CMD ["functions-framework"]
