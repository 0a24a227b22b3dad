"""Own images of an account: CreateImage and DescribeImages. ministack would boot a registered image in Docker."""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from isthmus_lab.pack.forms import Form, members, tags, text


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One AMI of an account and region."""

    image_id: str
    account: str
    region: str
    name: str
    description: str
    platform: str
    created: str
    tags: tuple[Mapping[str, str], ...]


class Images:
    """The images that accounts made. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._images: dict[str, Image] = {}

    def create(self, account: str, region: str, form: Form, *, platform: str) -> str:
        """Make an image from CreateImage's parameters, answer its id."""
        image = Image(
            image_id=f"ami-0{uuid.uuid4().hex[:16]}",
            account=account,
            region=region,
            name=form.get("Name", ""),
            description=form.get("Description", ""),
            platform=platform,
            created=datetime.fromtimestamp(self._clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            tags=tuple(tags(form, "TagSpecification.1.Tag")),
        )
        with self._lock:
            self._images[image.image_id] = image
        return image.image_id

    def named(self, account: str, region: str, name: str) -> bool:
        """Whether the account has an image of that name in the region."""
        return any(image.name == name for image in self._of(account, region))

    def remove(self, account: str, region: str, image_id: str) -> bool:
        """Deregister; False when it is not one of these."""
        with self._lock:
            image = self._images.get(image_id)
            if image is None or (image.account, image.region) != (account, region):
                return False
            del self._images[image_id]
            return True

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._images.clear()

    def rows(self, account: str, region: str, form: Form, more_tags: Callable[[str], list[dict[str, str]]]) -> str:
        """The XML rows that DescribeImages adds for this caller; filters other than `name` and `tag:` leave them out."""
        owners, ids = members(form, "Owner"), members(form, "ImageId")
        if owners and not {"self", account} & set(owners):
            return ""
        found = [image for image in self._of(account, region) if not ids or image.image_id in ids]
        return "".join(_row(image, [*image.tags, *more_tags(image.image_id)]) for image in found if _matches(image, form))

    def _of(self, account: str, region: str) -> list[Image]:
        with self._lock:
            return [image for image in self._images.values() if (image.account, image.region) == (account, region)]


def _matches(image: Image, form: Form) -> bool:
    number = 1
    while name := form.get(f"Filter.{number}.Name"):
        values = members(form, f"Filter.{number}.Value")
        tag = next((one["Value"] for one in image.tags if name == f"tag:{one['Key']}"), None)
        actual = {"name": image.name, "state": "available", "owner-id": image.account}.get(name, tag)
        if actual not in values:
            return False
        number += 1
    return True


def _row(image: Image, tag_rows: list[Mapping[str, str]]) -> str:
    shown = "".join(f"<item><key>{text(tag['Key'])}</key><value>{text(tag['Value'])}</value></item>" for tag in tag_rows)
    platform = "<platform>windows</platform>" if image.platform == "windows" else ""
    details = "Windows" if image.platform == "windows" else "Linux/UNIX"
    return (
        f"<item><imageId>{image.image_id}</imageId><imageLocation>{image.account}/{text(image.name)}</imageLocation><imageState>available</imageState>"
        f"<imageOwnerId>{image.account}</imageOwnerId><isPublic>false</isPublic><architecture>x86_64</architecture><imageType>machine</imageType>"
        f"<name>{text(image.name)}</name><description>{text(image.description)}</description>{platform}<platformDetails>{details}</platformDetails>"
        f"<rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><virtualizationType>hvm</virtualizationType>"
        f"<hypervisor>xen</hypervisor><creationDate>{image.created}</creationDate><tagSet>{shown}</tagSet></item>"
    )
