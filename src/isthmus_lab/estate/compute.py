"""Machines, functions and containers."""

import io
import zipfile
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
    """One instance to start."""

    name: str
    env: str
    team: str
    arc: str
    stopped: bool
    windows: bool
    profile: str | None


def plan_machines(count: int) -> list[Plan]:
    """What the estate's machines are, by their number: every seventh is stopped, every fourth without the tag `arc: yes`, some have
    a profile already. One of a dozen runs Windows, one has a profile whose role knows nothing of Systems Manager."""
    planned = []
    for number in range(count):
        team = TEAMS[number % len(TEAMS)]
        windows, foreign = number % 12 == 11, number % 24 == 6
        profile = FOREIGN_PROFILE if foreign else MANAGED_PROFILE if number % 8 == 0 else None
        planned.append(
            Plan(
                name=f"{team}-{'win' if windows else 'web' if team == 'shop' else 'app'}-{number + 1:02}",
                env=("prod", "prod", "staging")[number % 3],
                team=team,
                arc="no" if number % 4 == 3 else "yes",
                stopped=number % 7 == 5,
                windows=windows,
                profile=profile,
            )
        )
    return planned


def make_machines(builder: Builder, network: Network, plans: list[Plan]) -> list[Machine]:
    """Start the planned machines in a network; stop those that are planned so."""
    ec2 = builder.client("ec2", network.region)
    machines: list[Machine] = []
    for plan in plans:
        named = tags(plan.name, plan.team, plan.env, arc=plan.arc)
        profile = {"IamInstanceProfile": {"Name": plan.profile}} if plan.profile else {}
        started = ec2.run_instances(
            ImageId=WINDOWS_IMAGE if plan.windows else LINUX_IMAGE,
            InstanceType="t3.large" if plan.windows else "t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=network.subnets[len(machines) % 2],
            SecurityGroupIds=[network.group],
            KeyName="operators",
            TagSpecifications=specification("instance", named),
            **profile,
        )
        identity = started["Instances"][0]["InstanceId"]
        platform, state = ("windows" if plan.windows else "linux"), ("stopped" if plan.stopped else "running")
        machines.append(
            Machine(
                region=network.region,
                instance_id=identity,
                name=plan.name,
                state=state,
                platform=platform,
                tags=named,
                profile=plan.profile,
            )
        )
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
