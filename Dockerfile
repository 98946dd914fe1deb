# CPU: docker build -t onnxserve .
# GPU: docker build -t onnxserve:cuda --build-arg VARIANT=cuda .   (never built or run on a GPU yet)
ARG PYTHON=3.11
ARG VARIANT=cpu

FROM python:${PYTHON}-slim AS build
ARG VARIANT
WORKDIR /src
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY deploy/locks/serve.txt deploy/locks/serve.txt
# Pinned, with digests (make lock); the index can't put anything else in place.
RUN pip install --no-cache-dir --no-deps --require-hashes -r deploy/locks/serve.txt
COPY pyproject.toml README.md config.properties log4j2.xml traffic.toml ./
COPY onnxserve onnxserve
COPY handlers handlers
COPY export export
COPY worker worker
# With the jar, if `make frontend` built it; without, a lone request waits its maxBatchDelay.
COPY frontend/plugins frontend/plugins
# The folder at hand has one version, and hatchling alone is not in the lock; there is nothing else to pin.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --no-deps .
# On CUDA the GPU build takes the place of the CPU build: both at once would shadow each other.
RUN if [ "$VARIANT" = cuda ]; then \
      version=$(python -c 'from importlib.metadata import version; print(version("onnxruntime"))') && \
      pip uninstall -y onnxruntime && pip install --no-cache-dir "onnxruntime-gpu[cuda,cudnn]<=$version"; \
    fi

# What is in it, for scanners: /opt/venv/sbom.cdx.json.
RUN python -m venv /tmp/bom && /tmp/bom/bin/pip install --no-cache-dir cyclonedx-bom==7.5.0 && \
    /tmp/bom/bin/cyclonedx-py environment /opt/venv --output-reproducible -o /opt/venv/sbom.cdx.json

FROM python:${PYTHON}-slim
RUN useradd --create-home --uid 10001 serve
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/serve
COPY --chown=serve config.properties log4j2.xml traffic.toml ./
COPY --chown=serve worker worker
COPY --chown=serve frontend/plugins frontend/plugins
COPY --chown=serve model_store model_store
USER 10001
# The edge is the only thing to publish: TorchServe listens on loopback inside the container.
ENV ONNXSERVE_EDGE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s --retries=3 \
  CMD ["onnxserve", "ready"]
ENTRYPOINT ["onnxserve"]
CMD ["serve"]
