"""Every route of the service: a path's pattern -> method -> what answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from service.http import Receive, Scope, Send
from service.models import Models
from service.routes import (
    documentation,
    grids,
    health,
    images,
    inference,
    interpolations,
    inversions,
    metrics,
    models,
    openai,
    permalinks,
    stream,
    studio,
    variations,
)

Route = Callable[[Models, Scope, Receive, Send], Awaitable[None]]

ROUTES: dict[str, dict[str, Route]] = {
    "/v1/images": {"POST": images.post_images},
    "/v1/images/generations": {"POST": openai.post_generations},
    "/v1/images/{model}/{label}/{file}": {"GET": permalinks.get_image},
    "/v1/interpolations": {"POST": interpolations.post_interpolations},
    "/v1/variations": {"POST": variations.post_variations},
    "/v1/grids": {"POST": grids.post_grids},
    "/v1/inversions": {"POST": inversions.post_inversions},
    "/v1/models": {"GET": models.list_models},
    "/v1/models/{model}": {"GET": models.show_model},
    "/v1/stream": {"GET": stream.not_a_websocket},
    "/v2": {"GET": inference.server},
    "/v2/health/live": {"GET": inference.live},
    "/v2/health/ready": {"GET": inference.ready},
    "/v2/repository/index": {"POST": inference.repository_index},
    "/v2/models/{model}": {"GET": inference.model_metadata},
    "/v2/models/{model}/ready": {"GET": inference.model_ready},
    "/v2/models/{model}/config": {"GET": inference.model_config},
    "/v2/models/{model}/infer": {"POST": inference.infer},
    "/v2/models/{model}/versions/{version}": {"GET": inference.model_metadata},
    "/v2/models/{model}/versions/{version}/ready": {"GET": inference.model_ready},
    "/v2/models/{model}/versions/{version}/config": {"GET": inference.model_config},
    "/v2/models/{model}/versions/{version}/infer": {"POST": inference.infer},
    "/livez": {"GET": health.livez},
    "/readyz": {"GET": health.readyz},
    "/metrics": {"GET": metrics.get_metrics},
    "/": {"GET": studio.page},
    "/studio/{file}": {"GET": studio.file},
    "/docs": {"GET": documentation.docs},
    "/docs/{file}": {"GET": documentation.docs_file},
    "/openapi.json": {"GET": documentation.openapi_json},
}


def match(path: str) -> tuple[str, dict[str, str]]:
    """The pattern of a path and its parameters, each one segment; an empty pattern where none fits."""
    if path in ROUTES and "{" not in path:
        return path, {}
    segments = path.split("/")
    for pattern in ROUTES:
        names = pattern.split("/")
        pairs = list(zip(names, segments, strict=False))
        if len(names) == len(segments) and all(
            bool(segment) if name.startswith("{") else name == segment for name, segment in pairs
        ):
            return pattern, {name.strip("{}"): segment for name, segment in pairs if name.startswith("{")}
    return "", {}
