# First stage: what pip installs, with whatever that needs.
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install -r requirements.txt

# Second stage: what runs.
FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin shop
WORKDIR /shop
COPY --from=build /venv /venv
COPY . .
# The settings want to know everything; for collecting files anything will do. Nothing of this stays in the image.
RUN env DEBUG=0 SECRET_KEY=no-secret-only-to-collect-files-0123456789-abcdefghijklmnopqrstuvwxyz \
        ALLOWED_HOSTS=shop.example PUBLIC_URL=https://shop.example \
        DATABASE_URL=postgres://shop@database.example/shop \
        CELERY_BROKER_URL=redis://broker.example:6379/0 CACHE_URL=redis://cache.example:6379/1 \
        SUMUP_API_KEY=no-secret SUMUP_MERCHANT_CODE=MCODE \
        EMAIL_URL=smtp://mail.example DEFAULT_FROM_EMAIL=shop@shop.example \
    python manage.py collectstatic --noinput
USER shop
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["/shop/entrypoint.sh", "healthy-web"]
ENTRYPOINT ["/shop/entrypoint.sh"]
CMD ["web"]
