"""`python -m isthmus_lab.tour`: what the demo's AWS administrator does on the walk through docs/tour.md, without the AWS CLI."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from isthmus_lab.estate.builder import Builder
from isthmus_lab.estate.compute import LINUX_IMAGE

REGION = "eu-central-1"
_PROFILE = "IsthmusMachine-"


def main() -> None:
    """Launch an instance that nobody can manage, or give it what it lacks; prints what was done."""
    parser = argparse.ArgumentParser(prog="python -m isthmus_lab.tour", description="Be the AWS administrator of a demo that runs.")
    parser.add_argument("--figures", type=Path, default=Path("build/demo.json"), help="what the demo wrote (default %(default)s)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("launch", help="start an instance that carries arc=yes and has no instance profile; prints its id")
    attach = verbs.add_parser("attach", help="give an instance the profile of the authentication template")
    attach.add_argument("instance", help="id of the instance")
    asked = parser.parse_args()
    try:
        figures = json.loads(asked.figures.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"No demo has written '{asked.figures}': {error}. Start one with 'make demo' and leave it running.")
    ec2 = Builder(figures["urls"]["lab"], figures["account"]).client("ec2", REGION)
    sys.stdout.write(f"{launch(ec2) if asked.verb == 'launch' else give_profile(ec2, figures, asked.instance)}\n")


def launch(ec2: Any) -> str:
    """The id of a new instance."""
    tags = [{"Key": "Name", "Value": "forgotten"}, {"Key": "arc", "Value": "yes"}]
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    started = ec2.run_instances(
        ImageId=LINUX_IMAGE,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    return str(started["Instances"][0]["InstanceId"])


def give_profile(ec2: Any, figures: dict[str, Any], instance: str) -> str:
    """Attach the profile that the stack made; a sentence about it."""
    iam = Builder(figures["urls"]["lab"], figures["account"]).client("iam", "us-east-1")
    name = next(
        one["InstanceProfileName"] for one in iam.list_instance_profiles()["InstanceProfiles"] if _PROFILE in one["InstanceProfileName"]
    )
    ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": name}, InstanceId=instance)
    return f"{instance} has the instance profile {name}."


if __name__ == "__main__":
    main()
