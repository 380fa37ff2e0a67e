# The service on a GPU host: docs/service.md, "Deployment".
#   docker build -t mllm-affect .
FROM python:3.11-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84 AS build

# Some packages come as source and are compiled here.
# Versions of Debian packages are those of the image: they are not kept once superseded.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc g++ libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY constraints/build.hashes.txt constraints/gpu.hashes.txt constraints/
RUN pip install --no-cache-dir --require-hashes --requirement constraints/build.hashes.txt \
 && python -m venv --without-pip /opt/mllm-affect \
 && uv pip install --no-cache --python /opt/mllm-affect/bin/python \
      --require-hashes --no-deps --requirement constraints/gpu.hashes.txt
COPY pyproject.toml README.md LICENSE ./
COPY mllm_affect mllm_affect
COPY finetune finetune
COPY serve serve
COPY eval eval
COPY prompts prompts
# The build tools above were installed by hash; the build fetches nothing.
RUN python -m hatchling build -t wheel \
 && uv pip install --no-cache --python /opt/mllm-affect/bin/python --no-deps dist/*.whl

FROM python:3.11-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84

# gcc and the C headers stay: triton, below vLLM, compiles its kernel launchers when it first runs
# on a GPU, and fails to start without a C compiler.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 affect \
 && install --directory --owner=affect --group=affect --mode=0700 /data
COPY --from=build /opt/mllm-affect /opt/mllm-affect
ENV PATH=/opt/mllm-affect/bin:$PATH

USER 10001
WORKDIR /home/affect
EXPOSE 8000
HEALTHCHECK --start-period=10m CMD ["python", "-c", \
  "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
# Arguments of `docker run` are added to these, and the last of an option counts.
# A bind beyond loopback wants an API key: mount the file.
ENTRYPOINT ["mllm-affect", "serve", "--host", "0.0.0.0", "--api-key-file", "/run/secrets/api_key"]
