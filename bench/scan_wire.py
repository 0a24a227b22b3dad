"""What the AWS wire costs, against botocore in the same run on the same bytes: requests, and a page of 1,000 instances."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import get_session

from isthmus.clouds.aws.wire import Credentials, Wire, operation
from isthmus.clouds.aws.wire.answers import Answer, read_answer
from isthmus.clouds.aws.wire.sign import Signer

INSTANCES = 1000
PAGE_BUDGET = 80.0  # ms of CPU for a page of 1,000 instances
CALL_BUDGET = 0.2  # ms of CPU for a whole call with a small answer
CONCURRENT = 32
REQUEST_BUDGET = 0.02  # ms of CPU to write and sign one request
_KEY, _SECRET, _TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI", "t" * 900


def measure() -> list[dict[str, Any]]:
    """Rows `{group, name, value, unit, budget, ok, against}`; values are CPU time, medians."""
    return [_requests(), _call(), _page(), _small_json()]


def _row(name: str, value: float, budget: float, theirs: float) -> dict[str, Any]:
    return {
        "group": "scan",
        "name": name,
        "value": round(value, 4),
        "unit": "ms",
        "budget": budget,
        "ok": value <= budget,
        "against": f"botocore {theirs:.3f} ms ({theirs / value:.1f}x)",
    }


def _cpu(run: Callable[[], Any], *, rounds: int, repeat: int = 1) -> float:
    """Median CPU milliseconds of one run."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(repeat):
            run()
        taken.append((time.process_time() - start) / repeat)
    return statistics.median(taken) * 1000


def _requests() -> dict[str, Any]:
    found, params, signer = operation("ec2:DescribeInstances"), {"MaxResults": 1000}, Signer()
    credentials = Credentials(access_key=_KEY, secret_key=_SECRET, token=_TOKEN, expires_at=0)
    host, now = "ec2.us-east-1.amazonaws.com", 1714979289.0

    def ours() -> None:
        draft = found.write(params)
        signer.sign(draft, found.service, host=host, path=draft.path, region="us-east-1", credentials=credentials, now=now)

    model = get_session().get_service_model("ec2").operation_model("DescribeInstances")
    serializer = create_serializer("ec2")
    auth = SigV4Auth(BotocoreCredentials(_KEY, _SECRET, _TOKEN), "ec2", "us-east-1")

    def theirs() -> None:
        made = serializer.serialize_to_request(params, model)
        request = AWSRequest(method="POST", url=f"https://{host}/", data=made["body"], headers=made["headers"])
        auth.add_auth(request)
        request.prepare()

    return _row("write and sign a request", _cpu(ours, rounds=9, repeat=500), REQUEST_BUDGET, _cpu(theirs, rounds=5, repeat=100))


def _call() -> dict[str, Any]:
    with subprocess.Popen([sys.executable, str(Path(__file__).with_name("still_server.py"))], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        try:
            ours = asyncio.run(_wire_calls(url))
            theirs = _botocore_calls(url)
        finally:
            server.kill()
    return _row(f"one call, plain HTTP, {CONCURRENT} at once", ours, CALL_BUDGET, theirs)


async def _wire_calls(url: str) -> float:
    wire = Wire(environ={"AWS_ENDPOINT_URL": url}, clock=time.time)
    credentials = Credentials(access_key=_KEY, secret_key=_SECRET, token=_TOKEN, expires_at=0)

    async def some(count: int) -> None:
        for _ in range(count):
            await wire.call("ec2:DescribeVpcs", {"MaxResults": 1000}, region="us-east-1", credentials=credentials)

    await asyncio.gather(*(some(2) for _ in range(CONCURRENT)))
    start = time.process_time()
    await asyncio.gather(*(some(50) for _ in range(CONCURRENT)))
    taken = (time.process_time() - start) / (50 * CONCURRENT) * 1000
    await wire.close()
    return taken


def _botocore_calls(url: str) -> float:
    client = get_session().create_client(
        "ec2", region_name="us-east-1", endpoint_url=url, aws_access_key_id=_KEY, aws_secret_access_key=_SECRET, aws_session_token=_TOKEN
    )
    return _cpu(lambda: client.describe_vpcs(MaxResults=1000), rounds=5, repeat=60)


def _page() -> dict[str, Any]:
    body = instances_page(INSTANCES)
    found = operation("ec2:DescribeInstances")
    shape = get_session().get_service_model("ec2").operation_model("DescribeInstances").output_shape
    parser = create_parser("ec2")
    ours = _cpu(lambda: read_answer(found, Answer(200, {}, body), region="us-east-1"), rounds=9)
    theirs = _cpu(lambda: parser.parse({"body": body, "headers": {}, "status_code": 200}, shape), rounds=3)
    return _row(f"parse a page of {INSTANCES} instances ({len(body) / 1e6:.2f} MB)", ours, PAGE_BUDGET, theirs)


def _small_json() -> dict[str, Any]:
    groups = ",".join(
        f'{{"logGroupName":"/aws/lambda/f{n}","creationTime":1714979289000,"metricFilterCount":0,"storedBytes":{n},'
        f'"arn":"arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/f{n}:*","logGroupClass":"STANDARD"}}'
        for n in range(50)
    )
    body = f'{{"logGroups":[{groups}],"nextToken":"x"}}'.encode()
    found = operation("logs:DescribeLogGroups")
    shape = get_session().get_service_model("logs").operation_model("DescribeLogGroups").output_shape
    parser = create_parser("json")
    ours = _cpu(lambda: read_answer(found, Answer(200, {}, body), region="us-east-1"), rounds=9, repeat=100)
    theirs = _cpu(lambda: parser.parse({"body": body, "headers": {}, "status_code": 200}, shape), rounds=5, repeat=50)
    return _row("parse a page of 50 log groups", ours, 0.1, theirs)


def instances_page(count: int) -> bytes:
    """An answer of ec2:DescribeInstances: a reservation, a volume, an interface and two tags each, 3.46 MB for 1,000."""
    items = "".join(_INSTANCE.replace("{n}", f"{n:05d}") for n in range(count))
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
    return f"{head}<requestId>8f7724cf</requestId><reservationSet>{items}</reservationSet></DescribeInstancesResponse>".encode()


def _tags() -> str:
    return "".join(f"<item><key>{key}</key><value>value-{{n}}</value></item>" for key in ("Name", "team"))


def _volume(device: str) -> str:
    return (
        f"<item><deviceName>/dev/{device}</deviceName><ebs><volumeId>vol-0{device}00000{{n}}</volumeId><status>attached</status>"
        "<attachTime>2024-05-06T07:08:09.000Z</attachTime><deleteOnTermination>true</deleteOnTermination></ebs></item>"
    )


_GROUP = "<item><groupId>sg-0123456789abcdef0</groupId><groupName>web</groupName></item>"
_INTERFACE = (
    "<item><networkInterfaceId>eni-0000000000{n}</networkInterfaceId><subnetId>subnet-0a1b2c3d</subnetId><vpcId>vpc-0a1b2c3d</vpcId>"
    "<description/><ownerId>123456789012</ownerId><status>in-use</status><macAddress>0a:1b:2c:3d:4e:5f</macAddress>"
    "<privateIpAddress>10.0.1.17</privateIpAddress><privateDnsName>ip-10-0-1-17.ec2.internal</privateDnsName>"
    f"<sourceDestCheck>true</sourceDestCheck><groupSet>{_GROUP}</groupSet><attachment><attachmentId>eni-attach-000{{n}}</attachmentId>"
    "<deviceIndex>0</deviceIndex><status>attached</status><attachTime>2024-05-06T07:08:09.000Z</attachTime>"
    "<deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>"
    "<privateIpAddressesSet><item><privateIpAddress>10.0.1.17</privateIpAddress><primary>true</primary></item></privateIpAddressesSet>"
    "<ipv6AddressesSet/><interfaceType>interface</interfaceType></item>"
)
_INSTANCE = (
    "<item><reservationId>r-00000000000{n}</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item>"
    "<instanceId>i-000000000000{n}</instanceId><imageId>ami-0123456789abcdef0</imageId>"
    "<instanceState><code>16</code><name>running</name></instanceState><privateDnsName>ip-10-0-1-17.ec2.internal</privateDnsName>"
    "<dnsName/><reason/><keyName>operators</keyName><amiLaunchIndex>0</amiLaunchIndex><productCodes/>"
    "<instanceType>m7g.large</instanceType><launchTime>2024-05-06T07:08:09.000Z</launchTime><placement>"
    "<availabilityZone>us-east-1a</availabilityZone><groupName/><tenancy>default</tenancy></placement>"
    "<monitoring><state>disabled</state></monitoring><subnetId>subnet-0a1b2c3d</subnetId><vpcId>vpc-0a1b2c3d</vpcId>"
    f"<privateIpAddress>10.0.1.17</privateIpAddress><sourceDestCheck>true</sourceDestCheck><groupSet>{_GROUP}</groupSet>"
    "<architecture>arm64</architecture><rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName>"
    f"<blockDeviceMapping>{_volume('xvda')}</blockDeviceMapping><virtualizationType>hvm</virtualizationType>"
    f"<clientToken>token-{{n}}</clientToken><tagSet>{_tags()}</tagSet><hypervisor>xen</hypervisor>"
    f"<networkInterfaceSet>{_INTERFACE}</networkInterfaceSet><iamInstanceProfile>"
    "<arn>arn:aws:iam::123456789012:instance-profile/machine</arn><id>AIPAEXAMPLE</id></iamInstanceProfile>"
    "<ebsOptimized>true</ebsOptimized><enaSupport>true</enaSupport><cpuOptions><coreCount>2</coreCount>"
    "<threadsPerCore>1</threadsPerCore></cpuOptions><capacityReservationSpecification>"
    "<capacityReservationPreference>open</capacityReservationPreference></capacityReservationSpecification>"
    "<hibernationOptions><configured>false</configured></hibernationOptions><metadataOptions><state>applied</state>"
    "<httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit><httpEndpoint>enabled</httpEndpoint>"
    "<httpProtocolIpv6>disabled</httpProtocolIpv6><instanceMetadataTags>disabled</instanceMetadataTags></metadataOptions>"
    "<enclaveOptions><enabled>false</enabled></enclaveOptions><bootMode>uefi</bootMode>"
    "<platformDetails>Linux/UNIX</platformDetails><usageOperation>RunInstances</usageOperation>"
    "</item></instancesSet></item>"
)
