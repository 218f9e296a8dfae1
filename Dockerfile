# neuralid in a container, for the CPU or for CUDA, as a user without a name or a home folder.
#
#   docker build -t neuralid .
#   docker build -t neuralid:cuda --build-arg TORCH=https://download.pytorch.org/whl/cu130 .
#   docker run --rm -v "$PWD:/work" neuralid mix a.jpg b.jpg -o out.png
#   docker run --rm --gpus all -v "$PWD:/work" neuralid:cuda train --data faces --kimg 300
#
# Files are written as user 1000; `--user "$(id -u):$(id -g)"` makes that you.
FROM python:3.12-slim

# Where PyTorch comes from: its index of builds for the CPU, or one of those for CUDA.
ARG TORCH=https://download.pytorch.org/whl/cpu

# OpenCV's windows, which nothing here opens, want these to be there.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*

COPY . /src
RUN pip install --no-cache-dir --index-url "$TORCH" torch
RUN pip install --no-cache-dir /src && rm -rf /src

# The weights of one's own trainings and prepared pictures; mount a volume to keep them.
ENV NEURALID_CACHE_DIR=/cache
RUN mkdir /cache /work && chmod 1777 /cache /work
VOLUME /cache
WORKDIR /work
USER 1000:1000
ENTRYPOINT ["neuralid"]
CMD ["--help"]
