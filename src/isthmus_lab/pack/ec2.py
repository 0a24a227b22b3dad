"""EC2 where ministack is not as strict or as complete: paging, instance fields, instance profiles, images, account attributes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from isthmus_lab.adapter.adapter import Adapter
from isthmus_lab.adapter.ec2 import platform_of
from isthmus_lab.hooks import Handler, Headers, Query
from isthmus_lab.pack.forms import (
    Form,
    TokenMismatchError,
    append_text,
    child,
    local,
    read_form,
    read_token,
    text,
    with_xml,
    write_form,
    write_token,
    xml_of,
)
from isthmus_lab.pack.images import Images
from isthmus_lab.world import Response

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
_PAGING = ("NextToken", "MaxResults", "Version")

PAGED: Mapping[str, tuple[str, int, str]] = {
    "DescribeInstances": ("reservationSet", 1000, "InstanceId"),
    "DescribeInstanceStatus": ("instanceStatusSet", 1000, "InstanceId"),
    "DescribeVolumes": ("volumeSet", 500, "VolumeId"),
    "DescribeNetworkInterfaces": ("networkInterfaceSet", 1000, "NetworkInterfaceId"),
    "DescribeSnapshots": ("snapshotSet", 1000, "SnapshotId"),
    "DescribeImages": ("imagesSet", 1000, "ImageId"),
    "DescribeVpcs": ("vpcSet", 1000, "VpcId"),
    "DescribeSubnets": ("subnetSet", 1000, "SubnetId"),
    "DescribeSecurityGroups": ("securityGroupInfo", 1000, "GroupId"),
    "DescribeRouteTables": ("routeTableSet", 100, "RouteTableId"),
    "DescribeNetworkAcls": ("networkAclSet", 1000, "NetworkAclId"),
    "DescribeVpcEndpoints": ("vpcEndpointSet", 1000, "VpcEndpointId"),
    "DescribeVpcPeeringConnections": ("vpcPeeringConnectionSet", 1000, "VpcPeeringConnectionId"),
    "DescribeFlowLogs": ("flowLogSet", 1000, "FlowLogId"),
    "DescribeNatGateways": ("natGatewaySet", 1000, "NatGatewayId"),
    "DescribeInternetGateways": ("internetGatewaySet", 1000, "InternetGatewayId"),
    "DescribeTags": ("tagSet", 1000, "ResourceId"),
    "DescribeIamInstanceProfileAssociations": ("iamInstanceProfileAssociationSet", 1000, "AssociationId"),
}
"""Per operation: the element that holds the rows, the most rows of a page, the parameter of explicit ids."""

_ATTRIBUTES = {
    "supported-platforms": ["VPC"],
    "default-vpc": ["vpc-00000001"],
    "max-instances": ["20"],
    "vpc-max-security-groups-per-interface": ["5"],
    "max-elastic-ips": ["5"],
    "vpc-max-elastic-ips": ["5"],
}
_METADATA_FIELDS = {
    "HttpTokens": "httpTokens",
    "HttpPutResponseHopLimit": "httpPutResponseHopLimit",
    "HttpEndpoint": "httpEndpoint",
    "HttpProtocolIpv6": "httpProtocolIpv6",
    "InstanceMetadataTags": "instanceMetadataTags",
}
_METADATA = {
    "HttpTokens": "required",
    "HttpPutResponseHopLimit": "2",
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}
_OPTIONS_KEY = "IsthmusMetadataOptions"


class Ec2:
    """The wrapper around ministack's EC2."""

    def __init__(self, adapter: Adapter, images: Images) -> None:
        self._adapter, self._images = adapter, images
        self._own: dict[str, Callable[[Form], Response]] = {
            "DescribeAccountAttributes": self._account_attributes,
            "ModifyInstanceMetadataOptions": self._modify_metadata,
            "CreateImage": self._create_image,
        }

    async def __call__(self, method: str, path: str, headers: Headers, body: bytes, query: Query, inner: Handler) -> Response:
        form = read_form(query, body)
        action = form.get("Action", "")
        if own := self._own.get(action):
            return own(form)
        if action == "AssociateIamInstanceProfile" and (refusal := self._profile_refusal(form)):
            return refusal
        if action == "DeregisterImage" and self._images.remove(self._adapter.account(), self._adapter.region(), form.get("ImageId", "")):
            return _answer(action, "<return>true</return>")
        page: tuple[int, int] | None = None
        if action in PAGED and (form.get("MaxResults") or form.get("NextToken")):
            try:
                page = self._requested_page(action, form)
            except _PageError as error:
                return self._error(error.code, str(error))
        if page is not None and action == "DescribeInstances" and "Filter.1.Name" not in form:
            sliced = await self._instance_page(form, *page, lambda only: inner(method, path, headers, only, {}))
            if sliced is not None:
                return sliced
        response = await inner(method, path, headers, body, query)
        if response[0] != 200:
            return response
        if action == "DescribeImages":
            response = self._with_own_images(form, response)
        elif action == "DescribeRegions":
            response = _open_regions(form, response)
        return response if page is None else _cut(action, form, response, *page)

    def _error(self, code: str, message: str, status: int = 400) -> Response:
        return self._adapter.error("ec2", code, message, status, {})

    def _requested_page(self, action: str, form: Form) -> tuple[int, int]:
        """(first row, rows); raises _PageError as EC2 would refuse."""
        _, most, ids = PAGED[action]
        if form.get("MaxResults") and f"{ids}.1" in form and action != "DescribeTags":
            raise _PageError(
                "InvalidParameterCombination", f"The parameter {ids[0].lower() + ids[1:]}s cannot be used with the parameter maxResults"
            )
        try:
            size = int(form.get("MaxResults") or most)
        except ValueError:
            size = 0
        if not 5 <= size <= 1000:
            raise _PageError(
                "InvalidParameterValue",
                f"Value ( {form['MaxResults']} ) for parameter maxResults is invalid. Expecting a value from 5 to 1000.",
            )
        try:
            start = read_token(form["NextToken"], form, _PAGING) if form.get("NextToken") else 0
        except TokenMismatchError as error:
            raise _PageError("InvalidParameterValue", "Unable to parse pagination token") from error
        return start, min(size, most)

    async def _instance_page(self, form: Form, start: int, size: int, ask: Callable[[bytes], Awaitable[Response]]) -> Response | None:
        """One page by explicit ids, so that a region of thousands is not written out for every page; None when that does not work."""
        ids = self._adapter.ec2.instance_ids()
        chosen = ids[start : start + size]
        if not chosen:
            return None
        wanted = {name: value for name, value in form.items() if name not in ("NextToken", "MaxResults")}
        response = await ask(write_form(wanted | {f"InstanceId.{number}": one for number, one in enumerate(chosen, 1)}))
        if response[0] != 200:
            return None  # an instance was forgotten since
        if start + size >= len(ids):
            return response
        token = f"<nextToken>{write_token(start + size, form, _PAGING)}</nextToken></DescribeInstancesResponse>"
        return response[0], response[1], response[2].replace(b"</DescribeInstancesResponse>", token.encode())

    def _profile_refusal(self, form: Form) -> Response | None:
        """IncorrectState for an instance that has a profile or is gone; UnauthorizedOperation without iam:PassRole."""
        account, region, identity = self._adapter.account(), self._adapter.region(), form.get("InstanceId", "")
        instance = self._adapter.instance(account, region, identity)
        if instance is None:
            return None
        if instance.state not in ("pending", "running", "stopping", "stopped"):
            return self._error("IncorrectInstanceState", f"The instance '{identity}' is not in a valid state: {instance.state}")
        if instance.profile_arn is not None:
            return self._error("IncorrectState", f"There is an existing association for instance {identity}")
        role = self._adapter.iam.profile_role(account, form.get("IamInstanceProfile.Arn") or form.get("IamInstanceProfile.Name", ""))
        if role is None:
            return None
        arn = (self._adapter.iam.role(account, role) or {}).get("Arn", "*")
        denied = self._adapter.denial("iam:PassRole", arn, {"iam:PassedToService": "ec2.amazonaws.com"})
        return self._error("UnauthorizedOperation", denied.message, 403) if denied else None

    def _account_attributes(self, form: Form) -> Response:
        rows = "".join(
            f"<item><attributeName>{name}</attributeName><attributeValueSet>"
            + "".join(f"<item><attributeValue>{value}</attributeValue></item>" for value in values)
            + "</attributeValueSet></item>"
            for name, values in _ATTRIBUTES.items()
        )
        return _answer("DescribeAccountAttributes", f"<accountAttributeSet>{rows}</accountAttributeSet>")

    def _modify_metadata(self, form: Form) -> Response:
        record = self._adapter.ec2.instance_record(form.get("InstanceId", ""))
        if record is None:
            return self._error("InvalidInstanceID.NotFound", f"The instance ID '{form.get('InstanceId', '')}' does not exist")
        changed = {name: form[name] for name in _METADATA if name in form}
        record[_OPTIONS_KEY] = {**_METADATA, **record.get(_OPTIONS_KEY, {}), **changed}
        inner = f"<instanceId>{record['InstanceId']}</instanceId><instanceMetadataOptions>{_metadata(record)}</instanceMetadataOptions>"
        return _answer("ModifyInstanceMetadataOptions", inner)

    def _create_image(self, form: Form) -> Response:
        account, region = self._adapter.account(), self._adapter.region()
        source = self._adapter.instance(account, region, form.get("InstanceId", ""))
        if source is None:
            return self._error("InvalidInstanceID.NotFound", f"The instance ID '{form.get('InstanceId', '')}' does not exist")
        if self._images.named(account, region, form.get("Name", "")):
            return self._error("InvalidAMIName.Duplicate", f"AMI name {form['Name']} is already in use by AMI")
        identity = self._images.create(account, region, form, platform=source.platform)
        return _answer("CreateImage", f"<imageId>{identity}</imageId>")

    def _with_own_images(self, form: Form, response: Response) -> Response:
        rows = self._images.rows(self._adapter.account(), self._adapter.region(), form, self._adapter.ec2.resource_tags)
        if not rows:
            return response
        mark = b"<imagesSet>" if b"<imagesSet>" in response[2] else b"<imagesSet/>"
        rest = "" if mark == b"<imagesSet>" else "</imagesSet>"
        return response[0], response[1], response[2].replace(mark, f"<imagesSet>{rows}{rest}".encode(), 1)


class _PageError(ValueError):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _cut(action: str, form: Form, response: Response, start: int, size: int) -> Response:
    root = xml_of(response)
    rows = child(root, PAGED[action][0])
    if rows is None:
        return response
    items = [one for one in rows if isinstance(one.tag, str)]
    for number, item in enumerate(items):
        if not start <= number < start + size:
            rows.remove(item)
    if start + size < len(items):
        append_text(root, "nextToken", write_token(start + size, form, _PAGING))
    return with_xml(response, root)


def _open_regions(form: Form, response: Response) -> Response:
    """Without AllRegions=true EC2 leaves out regions that are not opted in."""
    if form.get("AllRegions", "").lower() == "true" or "RegionName.1" in form:
        return response
    root = xml_of(response)
    listed = child(root, "regionInfo")
    for item in list(listed) if listed is not None else []:
        if any(local(field) == "optInStatus" and field.text == "not-opted-in" for field in item):
            item.getparent().remove(item)  # type: ignore[union-attr]
    return with_xml(response, root)


def instance_fields(record: Mapping[str, Any]) -> str:
    """What AWS says of an instance and ministack does not: platform, network interface, metadata options, CPU, state reason."""
    windows = platform_of(record["ImageId"]) == "windows"
    details, operation = ("Windows", "RunInstances:0002") if windows else ("Linux/UNIX", "RunInstances")
    cores, threads = _cpu(record["InstanceType"])
    stopped = record["State"]["Name"] in ("stopped", "stopping", "terminated")
    reason = "Client.UserInitiatedShutdown"
    state = f"<stateReason><code>{reason}</code><message>{reason}: User initiated shutdown</message></stateReason>" if stopped else ""
    return (
        ("<platform>windows</platform>" if windows else "")
        + f"<platformDetails>{details}</platformDetails><usageOperation>{operation}</usageOperation>"
        + f"<usageOperationUpdateTime>{record['LaunchTime']}</usageOperationUpdateTime>"
        + f"<reason>{'User initiated' if stopped else ''}</reason>{state}"
        + f"<ebsOptimized>false</ebsOptimized><enaSupport>true</enaSupport><clientToken>{record['InstanceId']}</clientToken>"
        + f"<cpuOptions><coreCount>{cores}</coreCount><threadsPerCore>{threads}</threadsPerCore></cpuOptions>"
        + "<capacityReservationSpecification><capacityReservationPreference>open</capacityReservationPreference>"
        + "</capacityReservationSpecification>"
        + "<hibernationOptions><configured>false</configured></hibernationOptions><enclaveOptions><enabled>false</enabled></enclaveOptions>"
        + f"<metadataOptions>{_metadata(record)}</metadataOptions>"
        + "<bootMode>uefi-preferred</bootMode><currentInstanceBootMode>uefi</currentInstanceBootMode>"
        + f"<networkInterfaceSet>{_interface(record)}</networkInterfaceSet>"
    )


def _metadata(record: Mapping[str, Any]) -> str:
    options = record.get(_OPTIONS_KEY, _METADATA)
    return "<state>applied</state>" + "".join(
        f"<{_METADATA_FIELDS[name]}>{text(value)}</{_METADATA_FIELDS[name]}>" for name, value in options.items()
    )


def _interface(record: Mapping[str, Any]) -> str:
    identity = record["InstanceId"].removeprefix("i-")
    address, name = record["PrivateIpAddress"], record["PrivateDnsName"]
    groups = "".join(
        f"<item><groupId>{g['GroupId']}</groupId><groupName>{text(g['GroupName'])}</groupName></item>"
        for g in record.get("SecurityGroups", [])
    )
    mac = "02:" + ":".join(identity[n : n + 2] for n in range(0, 10, 2))
    attachment = (
        f"<attachment><attachmentId>eni-attach-{identity}</attachmentId><deviceIndex>0</deviceIndex><status>attached</status>"
        f"<attachTime>{record['LaunchTime']}</attachTime><deleteOnTermination>true</deleteOnTermination><networkCardIndex>0</networkCardIndex></attachment>"
    )
    private = f"<item><privateIpAddress>{address}</privateIpAddress><privateDnsName>{name}</privateDnsName><primary>true</primary></item>"
    return (
        f"<item><networkInterfaceId>eni-{identity}</networkInterfaceId><subnetId>{record['SubnetId']}</subnetId><vpcId>{record['VpcId']}</vpcId>"
        f"<description/><status>in-use</status><macAddress>{mac}</macAddress><privateIpAddress>{address}</privateIpAddress>"
        f"<privateDnsName>{name}</privateDnsName><sourceDestCheck>true</sourceDestCheck><groupSet>{groups}</groupSet>{attachment}"
        f"<privateIpAddressesSet>{private}</privateIpAddressesSet><interfaceType>interface</interfaceType></item>"
    )


def _cpu(instance_type: str) -> tuple[int, int]:
    size = instance_type.rpartition(".")[2]
    return {"nano": (1, 1), "micro": (1, 2), "small": (1, 2), "medium": (1, 2), "large": (1, 2), "xlarge": (2, 2), "2xlarge": (4, 2)}.get(
        size, (8, 2)
    )


def _answer(action: str, inner: str) -> Response:
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><{action}Response xmlns="{_NAMESPACE}"><requestId>lab</requestId>{inner}</{action}Response>'
    )
    return 200, {"Content-Type": "text/xml;charset=UTF-8"}, body.encode()
