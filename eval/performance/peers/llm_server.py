"""The embedded model behind an OpenAI-compatible endpoint on loopback, for peers; and llama.cpp alone, as a limit."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

import xllamacpp

import rag
from rag.embedded import embedded_weights

from .protocol import NotMeasured, System, run


class Server(System):
    """The same weights, threads and context as the embedded model has in `rag.embedded`."""

    def __init__(self) -> None:
        self._server: Any = None
        self._url = ""

    def start(self) -> str:
        """Its address."""
        weights = embedded_weights(rag.Settings())
        if weights is None:
            raise NotMeasured("the embedded model's weights are missing ('rag models pull')")
        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.verbosity = -1
        params.n_ctx = 4096
        params.n_parallel = 1
        cores = os.cpu_count() or 1
        params.cpuparams.n_threads = max(1, cores - 1)
        params.cpuparams_batch.n_threads = cores
        self._server = xllamacpp.Server(params)
        self._url = f"{self._server.listening_address}/v1"
        return self._url

    def write(self, prompt: str, max_tokens: int) -> dict[str, float]:
        """One reply: tokens a second of the prompt and of the reply."""
        asked = {
            "model": "SmolLM2-135M-Instruct",
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "cache_prompt": False,
        }
        request = urllib.request.Request(
            f"{self._url}/chat/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=300) as reply:
            timings = json.load(reply)["timings"]
        return {"prompt": timings["prompt_per_second"], "reply": timings["predicted_per_second"]}


if __name__ == "__main__":
    run(Server())
