"""Removes the images that Blackstart built; the base image and everyone else's stay."""

from __future__ import annotations

import sys

import docker

from blackstart.model.errors import BlackstartError
from blackstart.platforms import engine
from blackstart.stack.images import LABEL

STAGE_LABEL = "blackstart.stage"


def clean(client: docker.DockerClient) -> list[str]:
    """Remove images by label and return what was not removed, as lines for people."""
    kept: list[str] = []
    for label in (LABEL, STAGE_LABEL):
        for image in client.images.list(filters={"label": label}):
            for name in image.tags or [image.id or ""]:
                try:
                    client.images.remove(name)
                    print(f"removed {name}")
                except docker.errors.ImageNotFound:
                    continue
                except docker.errors.APIError as error:
                    kept.append(f"{name}: {error.explanation}")
    return kept


def main() -> int:
    """Exit 1 if an image is still in use."""
    try:
        kept = clean(engine.connect())
    except BlackstartError as error:
        print(f"images: not cleaned: {error}", file=sys.stderr)
        return 0
    for line in kept:
        print(f"kept {line}", file=sys.stderr)
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
