# The service on a GPU host: the same steps as the Makefile's install, as an ordinary user.
#   docker build -t mllm-affect . && docker run --gpus all -p 127.0.0.1:8000:8000 \
#     -v /models:/models:ro mllm-affect --model /models/Qwen3-Omni-30B-A3B-Instruct
FROM python:3.11-slim-bookworm

ARG HARDWARE=gpu
# make runs the install; gcc is what triton compiles its launchers with on a GPU.
# Versions of Debian packages are those of the image: they are not kept once superseded.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 affect

USER 10001
WORKDIR /home/affect/mllm-affect
COPY --chown=affect:affect . .
RUN make install HARDWARE=${HARDWARE}

EXPOSE 8000
HEALTHCHECK --start-period=10m CMD [".venv/bin/python", "-c", \
  "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
# A bind beyond loopback wants an API key: mount it and name it by --api-key-file.
ENTRYPOINT [".venv/bin/mllm-affect", "serve"]
CMD ["--host", "0.0.0.0", "--api-key-file", "/run/secrets/api_key"]
