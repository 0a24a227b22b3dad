"""What ministack knows of EC2."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ministack.services import ec2

from isthmus_lab.adapter.iam import role_of_profile
from isthmus_lab.world import Instance


class Ec2State:
    """Instances of all accounts, tags, and how instances are answered."""

    def instances(self, account: str, region: str) -> list[Instance]:
        """See `World`."""
        return [_instance(account, region, record) for record in ec2._instances.values_scoped(account, region) if _lives(record)]

    def instance(self, account: str, region: str, instance_id: str) -> Instance | None:
        """See `World`."""
        record = ec2._instances.get_scoped(account, region, instance_id)
        return _instance(account, region, record) if record else None

    def every_instance(self) -> list[Instance]:
        """See `World`."""
        return [_instance(account, region, record) for (account, region, _), record in ec2._instances.all_items() if _lives(record)]

    def instance_ids(self) -> list[str]:
        """Ids of all instances of the calling account and region in the order in which they are listed, terminated ones too."""
        return list(ec2._instances)

    def instance_record(self, instance_id: str) -> dict[str, Any] | None:
        """ministack's own record of an instance of the calling account and region."""
        record: dict[str, Any] | None = ec2._instances.get(instance_id)
        return record

    def tag_resource(self, resource_id: str, tags: list[dict[str, str]]) -> None:
        """Set EC2 tags of a resource of the calling account and region."""
        ec2._tags[resource_id] = tags

    def resource_tags(self, resource_id: str) -> list[dict[str, str]]:
        """EC2 tags of a resource of the calling account and region."""
        return list(ec2._tags.get(resource_id, []))

    def instance_of_association(self, association_id: str) -> str | None:
        """The instance of an instance profile association of the calling account and region."""
        record = ec2._iam_instance_profile_associations.get(association_id)
        return str(record["InstanceId"]) if record else None

    def enrich_instances(self, extra: Callable[[dict[str, Any]], str]) -> None:
        """Append XML to every instance that EC2 answers; `extra` gets ministack's record."""
        plain = ec2._instance_xml

        def enriched(record: dict[str, Any]) -> str:
            text: str = plain(record)
            return text.rstrip().removesuffix("</item>") + extra(record) + "</item>"

        ec2._instance_xml = enriched

    def set_region_status(self, region: str, status: str) -> None:
        """Change the opt-in status that DescribeRegions reports."""
        ec2._AWS_REGIONS[:] = [(name, status if name == region else old) for name, old in ec2._AWS_REGIONS]


def platform_of(image_id: str) -> str:
    """`windows` or `linux`, by ministack's built-in images."""
    return next((stub[3] for stub in ec2._STUB_AMIS if stub[0] == image_id), "") or "linux"


def _lives(record: Mapping[str, Any]) -> bool:
    return bool(record["State"]["Name"] != "terminated")


def _instance(account: str, region: str, record: Mapping[str, Any]) -> Instance:
    identity = record["InstanceId"]
    profile = (record.get("IamInstanceProfile") or {}).get("Arn")
    return Instance(
        account=account,
        region=region,
        instance_id=identity,
        state=record["State"]["Name"],
        tags={tag["Key"]: tag["Value"] for tag in ec2._tags.get_scoped(account, region, identity, [])},
        image_id=record["ImageId"],
        platform=platform_of(record["ImageId"]),
        private_ip=record["PrivateIpAddress"],
        launched_at=datetime.fromisoformat(record["LaunchTime"].replace("Z", "+00:00")).timestamp(),
        profile_arn=profile,
        role_name=role_of_profile(account, profile) if profile else None,
    )
