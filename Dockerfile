# Two stages: the first builds a virtual environment, the second holds nothing but it.
FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# For notices as PDF: --build-arg LOCK=requirements-pdf.lock
ARG LOCK=requirements.lock
COPY requirements.lock requirements-pdf.lock ./
RUN python -m venv /opt/greffier && /opt/greffier/bin/pip install --require-hashes -r "$LOCK"
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY notifications notifications
RUN /opt/greffier/bin/pip install --no-deps .

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin greffier \
 && install --directory --owner=greffier --group=greffier --mode=0700 /data /head
COPY --from=build /opt/greffier /opt/greffier
ENV PATH=/opt/greffier/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
# Everything written goes to /data, and to /head where a process keeps its own head of the log (GREFFIER_LOG__HEAD_FILE):
# run with --read-only and volumes there.
VOLUME /data
EXPOSE 8080
# For the command below; a worker has its own port (see compose.yaml).
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2).read()"]
ENTRYPOINT ["greffier"]
CMD ["serve", "--data", "/data", "--host", "0.0.0.0", "--port", "8080"]
