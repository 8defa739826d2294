# Trains on GPUs:
#   docker build -f docker/train.Dockerfile -t convnext-dense .
#   docker run --gpus all --shm-size 8g -v "$PWD:/work" --user "$(id -u):$(id -g)" convnext-dense train CONFIG
FROM pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# Triton compiles its launcher with gcc, and OpenCV takes the libraries.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY configs configs
COPY convnext_dense convnext_dense
# PyTorch and torchvision stay those of the image.
RUN pip freeze | grep --extended-regexp '^(torch|torchvision)==' > installed.txt \
    && pip install --no-cache-dir --constraint installed.txt . && useradd --uid 10001 trainer

USER 10001
# Caches of weights and kernels, for any user that the container runs as.
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["convnext-dense"]
CMD ["--help"]
