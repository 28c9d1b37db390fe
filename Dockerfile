# The proxy with the CPU build of torch. Build: docker build -t unabridged .
FROM python:3.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/unabridged
# The CPU build of torch is a tenth of the size of the default one: name an index that serves it
# with --build-arg TORCH_INDEX=URL.
ARG TORCH_VERSION=2.13.0
ARG TORCH_INDEX=""
RUN /opt/unabridged/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch==$TORCH_VERSION"
COPY requirements.lock ./
RUN /opt/unabridged/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY unabridged ./unabridged
RUN /opt/unabridged/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13-slim-trixie

RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/unabridged unabridged
COPY --from=build /opt/unabridged /opt/unabridged
ENV PATH=/opt/unabridged/bin:$PATH \
    UNABRIDGED_HOME=/var/lib/unabridged \
    UNABRIDGED_HOST=0.0.0.0 \
    UNABRIDGED_KEYS=/run/secrets/unabridged_keys \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE
USER 10001
WORKDIR /var/lib/unabridged
VOLUME /var/lib/unabridged
EXPOSE 8790
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8790/healthz', timeout=2)"]
# A key file is required because the container does not listen on loopback alone.
ENTRYPOINT ["unabridged"]
CMD ["serve"]
