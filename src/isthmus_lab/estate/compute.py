"""Machines, functions and containers."""

import io
import zipfile
from collections import Counter
from dataclasses import dataclass

from isthmus_lab.estate.builder import TEAMS, Builder, pairs, specification, tags
from isthmus_lab.estate.identity import FOREIGN_PROFILE, MANAGED_PROFILE
from isthmus_lab.estate.network import Network

LINUX_IMAGE = "ami-0c2023a1b2c3d4e5f"
WINDOWS_IMAGE = "ami-0fedcba9876543210"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One instance of the estate. `profile` is the instance profile that it was started with."""

    region: str
    instance_id: str
    name: str
    state: str
    platform: str
    tags: dict[str, str]
    profile: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One instance to start; instances with equal plans are started together."""

    name: str
    env: str
    team: str
    arc: str = "yes"
    stopped: bool = False
    windows: bool = False
    profile: str | None = None


OTHERS = (
    Plan(name="shop-web", env="staging", team="shop", stopped=True),
    Plan(name="billing-app", env="staging", team="billing", stopped=True, profile=MANAGED_PROFILE),
    Plan(name="data-app", env="prod", team="data", arc="no"),
    Plan(name="billing-win", env="prod", team="billing", arc="no", windows=True),
    Plan(name="data-batch", env="prod", team="data", arc="no", profile=FOREIGN_PROFILE),
    Plan(name="platform-app", env="staging", team="platform", arc="no", profile=MANAGED_PROFILE),
    Plan(name="platform-app", env="staging", team="platform", arc="no", stopped=True),
    Plan(name="shop-web", env="prod", team="shop", arc="no"),
)
"""Machines that are not to be onboarded: stopped, or kept out by their owners, among them one with Windows and one whose profile's
role knows nothing of Systems Manager."""


def plan_machines(count: int) -> list[Plan]:
    """`count` machines that run Linux, carry `arc: yes` and have no profile or one that Systems Manager can use, and `OTHERS`.

    The first three stand in different regions, and so on: what differs between machines goes by threes.
    """
    planned = []
    for number in range(count):
        row = number // 3
        team = TEAMS[row % len(TEAMS)]
        planned.append(
            Plan(
                name=f"{team}-{'web' if team == 'shop' else 'app'}",
                env=("prod", "prod", "staging")[row % 3],
                team=team,
                profile=MANAGED_PROFILE if row % 8 == 0 else None,
            )
        )
    return [*planned, *OTHERS]


def make_machines(builder: Builder, network: Network, plans: list[Plan]) -> list[Machine]:
    """Start the planned machines in a network, equal ones with one call; stop those that are planned so."""
    ec2 = builder.client("ec2", network.region)
    machines: list[Machine] = []
    for number, (plan, count) in enumerate(Counter(plans).items()):
        named = tags(plan.name, plan.team, plan.env, arc=plan.arc)
        profile = {"IamInstanceProfile": {"Name": plan.profile}} if plan.profile else {}
        started = ec2.run_instances(
            ImageId=WINDOWS_IMAGE if plan.windows else LINUX_IMAGE,
            InstanceType="t3.large" if plan.windows else "t3.micro",
            MinCount=count,
            MaxCount=count,
            SubnetId=network.subnets[number % 2],
            SecurityGroupIds=[network.group],
            KeyName="operators",
            TagSpecifications=specification("instance", named),
            **profile,
        )
        machines += [
            Machine(
                region=network.region,
                instance_id=instance["InstanceId"],
                name=plan.name,
                state="stopped" if plan.stopped else "running",
                platform="windows" if plan.windows else "linux",
                tags=named,
                profile=plan.profile,
            )
            for instance in started["Instances"]
        ]
    stopped = [machine.instance_id for machine in machines if machine.state == "stopped"]
    if stopped:
        ec2.stop_instances(InstanceIds=stopped)
    for name in ("ec2Instances", "ec2InstanceStatuses", "ec2Volumes"):
        builder.count(name, network.region, len(machines))
    return machines


def make_disks(builder: Builder, network: Network, machines: list[Machine]) -> None:
    """A key pair, a data volume with a snapshot, an image of the first machine."""
    ec2 = builder.client("ec2", network.region)
    ec2.create_key_pair(KeyName="operators", TagSpecifications=specification("key-pair", tags("operators", "platform", "prod")))
    named = tags("orders-data", "shop", "prod")
    volume = ec2.create_volume(
        AvailabilityZone=f"{network.region}a", Size=100, VolumeType="gp3", TagSpecifications=specification("volume", named)
    )["VolumeId"]
    ec2.create_snapshot(VolumeId=volume, Description="nightly", TagSpecifications=specification("snapshot", named))
    for name in ("ec2KeyPairs", "ec2Volumes", "ec2Snapshots"):
        builder.count(name, network.region)
    if machines:
        image = specification("image", tags("golden-web", "platform", "prod"))
        ec2.create_image(InstanceId=machines[0].instance_id, Name=f"golden-web-{network.region}", TagSpecifications=image)
        builder.count("ec2Images", network.region)


def make_functions(builder: Builder, region: str) -> None:
    """Two functions."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("index.py", "def handler(event, context):\n    return event\n")
    client = builder.client("lambda", region)
    for name, team in (("orders-intake", "shop"), ("invoice-render", "billing")):
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="index.handler",
            Role=f"arn:aws:iam::{builder.account}:role/orders-function",
            Code={"ZipFile": archive.getvalue()},
            Tags=tags(name, team, "prod"),
        )
        builder.count("lambdaFunctions", region)


def make_containers(builder: Builder, region: str) -> None:
    """A repository with an image, a cluster, a task definition and a service."""
    named = [{"key": key, "value": value} for key, value in tags("orders", "shop", "prod").items()]
    ecr = builder.client("ecr", region)
    ecr.create_repository(repositoryName="harbour/orders", tags=pairs(tags("orders", "shop", "prod")))
    manifest = '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","layers":[]}'
    ecr.put_image(repositoryName="harbour/orders", imageManifest=manifest, imageTag="2026.11")
    ecs = builder.client("ecs", region)
    ecs.create_cluster(clusterName="harbour", tags=named)
    container = {"name": "orders", "image": "harbour/orders:2026.11", "memory": 256, "essential": True}
    task = ecs.register_task_definition(family="orders", containerDefinitions=[container], tags=named)
    ecs.create_service(
        cluster="harbour", serviceName="orders", taskDefinition=task["taskDefinition"]["taskDefinitionArn"], desiredCount=0, tags=named
    )
    for name in ("ecrRepositories", "ecrImageDetails", "ecsClusters", "ecsTaskDefinitions", "ecsServices"):
        builder.count(name, region)


def make_groups(builder: Builder, network: Network) -> None:
    """An Auto Scaling group without members."""
    client = builder.client("autoscaling", network.region)
    client.create_launch_configuration(LaunchConfigurationName="orders", ImageId=LINUX_IMAGE, InstanceType="t3.micro")
    client.create_auto_scaling_group(
        AutoScalingGroupName="orders", LaunchConfigurationName="orders", MinSize=0, MaxSize=4, VPCZoneIdentifier=network.subnets[0]
    )
    builder.count("autoScalingAutoScalingGroups", network.region)
