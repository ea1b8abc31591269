"""LitServe: a FastAPI front whose workers batch."""

from __future__ import annotations

from fastapi import Response
from litserve import LitAPI, LitServer

from benchmarks.peers.settings import PeerSettings
from benchmarks.peers.work import Work

Item = tuple[int, int]  # label, seed


class Images(LitAPI):
    """A batch of requests in, a PNG each out."""

    def setup(self, device: str) -> None:
        self._work = Work(PeerSettings.from_environment())

    def decode_request(self, request: dict[str, int]) -> Item:
        return request["label"], request["seed"]

    def batch(self, inputs: list[Item]) -> list[Item]:
        return inputs

    def predict(self, items: list[Item]) -> list[bytes]:
        return self._work.pngs([label for label, _ in items], [seed for _, seed in items])

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="image/png")


if __name__ == "__main__":
    settings = PeerSettings.from_environment()
    api = Images(
        max_batch_size=settings.max_batch, batch_timeout=settings.wait_ms / 1000, api_path="/v1/images"
    )
    server = LitServer(api, accelerator="cpu", workers_per_device=settings.workers)
    server.run(
        host="127.0.0.1",
        port=settings.port,
        num_api_servers=settings.fronts,
        generate_client_file=False,
        access_log=False,
        log_level="warning",
    )
