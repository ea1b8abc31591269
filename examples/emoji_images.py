"""Class folders of emoji to train on, out of the npm packages emoji-datasource-google and -twitter.

    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0
    python examples/emoji_images.py emoji-datasource-*.tgz --out my-emoji
    python -m training --preset rgb-64 --data my-emoji

Each package has some 3,780 images of 64 x 64 pixels: Google's are Noto Emoji (Apache-2.0), Twitter's Twemoji
(CC-BY-4.0, which asks to be named). A class is one of Unicode's groups, skin tones included.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SIZE = 64  # pixels
NOT_PICTURES = "Component"  # Unicode's group of bare skin tones
UNREADABLE = (OSError, EOFError, ValueError, tarfile.TarError, zlib.error)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", nargs="+", type=Path, help="the .tgz files")
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    options = parser.parse_args()
    if options.out.exists():
        sys.exit(f"{options.out} is there already: name another folder, or remove it first")
    images: dict[Path, bytes] = {}
    for package in options.packages:
        try:
            images |= {options.out / group / name: png for group, name, png in read(package)}
        except UNREADABLE as error:
            sys.exit(f"{package}: {error}; allowed are the files emoji-datasource-*.tgz that npm packs")
    for file, png in images.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png)
    for group, number in Counter(file.parent.name for file in images).most_common():
        print(f"{number:6,}  {group}")
    print(f"{len(images):6,}  -> {options.out}")


def read(package: Path) -> Iterator[tuple[str, str, bytes]]:
    """Group, file name and PNG of each emoji of a package. Raises one of UNREADABLE."""
    with tarfile.open(package, "r:gz") as archive:
        files = {PurePosixPath(member.name): member for member in archive if member.isfile()}
        described = files.get(PurePosixPath("package/emoji.json"))
        vendor = next((path.parts[2] for path in files if path.parts[1:2] == ("img",)), None)
        if described is None or vendor is None:
            raise ValueError("has no emoji.json with images")
        groups = _groups(json.loads(_bytes(archive, described)))
        for path, member in files.items():
            if path.parent == PurePosixPath(f"package/img/{vendor}/{SIZE}") and path.name in groups:
                yield groups[path.name], f"{vendor}-{path.name}", _bytes(archive, member)


def _groups(emoji: list[dict[str, object]]) -> dict[str, str]:
    """Image file -> group, of each emoji and of its variations of skin tone."""
    groups: dict[str, str] = {}
    for one in emoji:
        variations = one.get("skin_variations", {})
        assert isinstance(variations, dict)
        for image in [one["image"], *(variation["image"] for variation in variations.values())]:
            if one["category"] != NOT_PICTURES:
                groups[str(image)] = str(one["category"])
    return groups


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None  # it is a file
    return file.read()


if __name__ == "__main__":
    main()
