"""What runs on an instance, by its image: the facts that SSM and os-release agree on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """An operating system as SSM names it (`type`, `name`, `version`) and as os-release does (`id`, `pretty`)."""

    type: str
    name: str
    version: str
    id: str
    pretty: str


AMAZON_LINUX_2023 = Platform(type="Linux", name="Amazon Linux", version="2023", id="amzn", pretty="Amazon Linux 2023")
AMAZON_LINUX_2 = Platform(type="Linux", name="Amazon Linux", version="2", id="amzn", pretty="Amazon Linux 2")
UBUNTU_2204 = Platform(type="Linux", name="Ubuntu", version="22.04", id="ubuntu", pretty="Ubuntu 22.04.5 LTS")
WINDOWS_2022 = Platform(
    type="Windows", name="Microsoft Windows Server 2022 Datacenter", version="10.0.20348", id="windows", pretty="Windows Server 2022"
)

IMAGES = {
    "ami-0abcdef1234567890": AMAZON_LINUX_2,
    "ami-0c2023a1b2c3d4e5f": AMAZON_LINUX_2023,
    "ami-0123456789abcdef0": UBUNTU_2204,
    "ami-0fedcba9876543210": WINDOWS_2022,
}
"""The images that the lab's EC2 offers."""


def platform_of(image_id: str, platform: str) -> Platform:
    """The platform of an instance; unknown images run Amazon Linux 2023, or Windows when EC2 says so."""
    if platform == "windows":
        return WINDOWS_2022
    return IMAGES.get(image_id, AMAZON_LINUX_2023)
