"""The real upstream of `relay run`: llama.cpp's own OpenAI server with a small model, as a program of its own.

    python -m relay.demo.model PORT

It answers /health with 200 once it is ready. One thread, since two that wait for each other fall to a few tokens a second as soon as
anything else runs on the machine (OMP_WAIT_POLICY=passive, set by whoever starts it, keeps even one from spinning).
"""

import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

from relay.demo.choice import MODEL_NAME, lacking, weights

SLOTS: Final = 4
CONTEXT: Final = 4096
_HTTP_THREADS: Final = 32
"""Each open connection holds one, an idle one too."""

_TEMPERATURE: Final = 0.2
_TOP_P: Final = 0.9
"""What its makers recommend. It wanders off at llama.cpp's own default."""

TEMPLATE: Final = Path(__file__).with_name("chat.jinja")
ENVIRONMENT: Final = {"OMP_WAIT_POLICY": "passive"}


def serve(port: int, gguf: Path) -> None:
    """Serve until a signal ends the process."""
    xllamacpp = import_module("xllamacpp")  # only this process loads it
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(gguf)
    wanted.model_alias = {MODEL_NAME}  # else every answer names the file
    wanted.port = port
    wanted.n_parallel = SLOTS
    wanted.n_ctx = SLOTS * CONTEXT
    wanted.cpuparams.n_threads = 1
    wanted.cpuparams_batch.n_threads = 1
    wanted.n_threads_http = _HTTP_THREADS
    wanted.embedding = True
    wanted.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    wanted.use_jinja = True
    wanted.chat_template = TEMPLATE.read_text(encoding="utf-8")
    wanted.sampling.temp = _TEMPERATURE
    wanted.sampling.top_p = _TOP_P
    wanted.cache_ram_mib = 0  # the slots' own caches are enough; this one would grow to gigabytes
    wanted.fit_params = False
    wanted.warmup = False
    wanted.ui = False
    wanted.cors_origins = ""  # by default every web page in a browser on this machine may use it
    server = xllamacpp.Server(wanted)
    sys.stdout.write(f"ready on {server.listening_address}\n")
    sys.stdout.flush()
    while True:
        signal.pause()


def main(argv: list[str]) -> None:
    lack = lacking()
    gguf = weights()
    if lack or gguf is None:
        sys.exit(f"{lack.why}. {lack.remedy}" if lack else "no model file")
    serve(int(argv[0]), gguf)


if __name__ == "__main__":
    main(sys.argv[1:])
