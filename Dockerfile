# CPU: docker build -t onnxserve .
# GPU: docker build -t onnxserve:cuda --build-arg VARIANT=cuda .   (never built or run on a GPU yet)
ARG PYTHON=3.11
ARG VARIANT=cpu

FROM python:${PYTHON}-slim AS build
ARG VARIANT
WORKDIR /src
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# Packages are pinned with digests (`make lock`), so the index can't substitute others.
COPY deploy/locks deploy/locks
RUN pip install --no-cache-dir --no-deps --require-hashes -r "deploy/locks/$VARIANT.txt"
RUN python -m venv /tools && \
    /tools/bin/pip install --no-cache-dir --no-deps --require-hashes -r deploy/locks/build.txt
COPY pyproject.toml README.md config.properties gateway.toml ./
COPY onnxserve onnxserve
COPY handlers handlers
COPY export export
# Includes the batching plugin if `make frontend` built it. Without it, a lone request waits for its maxBatchDelay.
COPY torchserve torchserve
RUN PATH=/tools/bin:$PATH pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index -w /dist . && \
    pip install --no-cache-dir --no-deps --no-index /dist/*.whl
# For scanners: the bill of materials, and which flaws of the frontend aren't exploitable and why.
RUN /tools/bin/cyclonedx-py environment /opt/venv --output-reproducible -o /opt/venv/sbom.cdx.json && \
    python torchserve/batching-plugin/flaws.py vex /opt/venv/frontend.vex.cdx.json

FROM python:${PYTHON}-slim
# TorchServe ends workers with `kill`, which a slim image lacks. Debian determines its version.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends procps && rm -rf /var/lib/apt/lists/* && \
    useradd --create-home --uid 10001 serve && install --directory --owner serve --mode 0700 /state
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/serve
COPY --chown=serve config.properties gateway.toml ./
COPY --chown=serve torchserve torchserve
COPY --chown=serve model_store model_store
USER 10001
# Publish only the gateway's port: TorchServe listens on sockets in /state/run. Mount a volume at /state if roles, budgets
# and logs must outlive the container.
ENV ONNXSERVE_GATEWAY_HOST=0.0.0.0 ONNXSERVE_STATE=/state
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 \
  CMD ["onnxserve", "release", "ready"]
ENTRYPOINT ["onnxserve"]
CMD ["serve"]
