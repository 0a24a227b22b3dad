"""Resources of the types that no emulator makes: their answers are fixtures, in the shapes of botocore's models."""

from typing import Any

from isthmus_lab.estate.builder import Builder, pairs, tags


def put_rest(builder: Builder, home: str) -> None:
    """One resource of each such type."""
    _put_security(builder, home)
    _put_machine_learning(builder, home)
    _put_leftovers(builder, home)


def _put_security(builder: Builder, home: str) -> None:
    account = builder.account
    analyzer = {
        "arn": f"arn:aws:access-analyzer:{home}:{account}:analyzer/account",
        "name": "account",
        "type": "ACCOUNT",
        "status": "ACTIVE",
        "createdAt": "2025-03-01T09:00:00Z",
        "tags": tags("account", "platform", "prod"),
    }
    builder.put("accessAnalyzerAnalyzers", home, "access-analyzer", ListAnalyzers={"analyzers": [analyzer]})
    allowed: dict[str, Any] = {"arn": f"arn:aws:macie2:{home}:{account}:allow-list/staff0001", "id": "staff0001", "name": "staff-names"}
    detail = {
        **allowed,
        "criteria": {"regex": "Harbour [A-Z][a-z]+"},
        "status": {"code": "OK"},
        "tags": tags("staff-names", "data", "prod"),
    }
    builder.put("macieAllowLists", home, "macie2", ListAllowLists={"allowLists": [allowed]}, GetAllowList=detail)
    job = {"jobId": "job0001", "name": "weekly-lake", "jobStatus": "IDLE", "jobType": "SCHEDULED"}
    builder.put("macie2JobSummaries", home, "macie2", ListClassificationJobs={"items": [job]})
    for name, kind, action in (
        ("networkFirewallRuleGroups", "stateful-rulegroup", "RuleGroup"),
        ("networkFirewallFirewallPolicies", "firewall-policy", "FirewallPolicy"),
    ):
        arn = f"arn:aws:network-firewall:{home}:{account}:{kind}/egress"
        row, lists = {"Name": "egress", "Arn": arn}, {"RuleGroup": "RuleGroups", "FirewallPolicy": "FirewallPolicies"}
        found: dict[str, Any] = {
            f"{action}Name": "egress",
            f"{action}Arn": arn,
            f"{action}Id": "0001",
            "Tags": pairs(tags("egress", "platform", "prod")),
        }
        answers: dict[str, dict[str, Any]] = {
            f"List{lists[action]}": {lists[action]: [row]},
            f"Describe{action}": {f"{action}Response": found, "UpdateToken": "1"},
        }
        builder.put(name, home, "network-firewall", **answers)
    configuration = {
        "ResourceArn": f"arn:aws:wafv2:{home}:{account}:regional/webacl/shop/0001",
        "LogDestinationConfigs": [f"arn:aws:logs:{home}:{account}:log-group:aws-waf-logs-shop"],
    }
    builder.put("wafv2LoggingConfigurations", home, "wafv2", ListLoggingConfigurations={"LoggingConfigurations": [configuration]})
    certificate = {
        "Path": "/",
        "ServerCertificateName": "legacy-shop",
        "ServerCertificateId": "ASCALEGACYSHOP0000001",
        "Arn": f"arn:aws:iam::{account}:server-certificate/legacy-shop",
        "UploadDate": "2023-02-01T00:00:00Z",
        "Expiration": "2027-02-01T00:00:00Z",
    }
    held = {"ServerCertificate": {"ServerCertificateMetadata": certificate, "CertificateBody": "not a certificate"}}
    listed = {"ServerCertificateMetadataList": [certificate], "IsTruncated": False}
    builder.put("iamServerCertificates", "global", "iam", ListServerCertificates=listed, GetServerCertificate=held)


def _put_machine_learning(builder: Builder, home: str) -> None:
    app = {"DomainId": "d-harbour", "UserProfileName": "analyst", "AppType": "JupyterLab", "AppName": "default", "Status": "InService"}
    arn = f"arn:aws:sagemaker:{home}:{builder.account}"
    described = {**app, "AppArn": f"{arn}:app/d-harbour/analyst/jupyterlab/default"}
    builder.put("sageMakerApps", home, "sagemaker", ListApps={"Apps": [app]}, DescribeApp=described)
    device = {"DeviceName": "crane-cam-1", "DeviceArn": f"{arn}:device/cranes/crane-cam-1", "DeviceFleetName": "cranes"}
    builder.put("sageMakerDevices", home, "sagemaker", ListDevices={"DeviceSummaries": [device]})
    image = {
        "ImageName": "forecast",
        "ImageArn": f"{arn}:image/forecast",
        "ImageStatus": "CREATED",
        "CreationTime": "2025-05-01T00:00:00Z",
        "LastModifiedTime": "2025-05-01T00:00:00Z",
    }
    builder.put("sageMakerImages", home, "sagemaker", ListImages={"Images": [image]})


def _put_leftovers(builder: Builder, home: str) -> None:
    account = builder.account
    credential = {"arn": f"arn:aws:codebuild:{home}:{account}:token/github", "serverType": "GITHUB", "authType": "OAUTH"}
    builder.put("codeBuildSourceCredentialsInfos", home, "codebuild", ListSourceCredentials={"sourceCredentialsInfos": [credential]})
    ipam = {
        "OwnerId": account,
        "IpamId": "ipam-0a1b2c3d4e5f60718",
        "IpamArn": f"arn:aws:ec2::{account}:ipam/ipam-0a1b2c3d4e5f60718",
        "IpamRegion": home,
        "State": "create-complete",
        "Tags": pairs(tags("addresses", "platform", "prod")),
    }
    builder.put("ec2Ipams", home, "ec2", DescribeIpams={"Ipams": [ipam]})
    for kind, plural, name in (("Instance", "instances", "blog"), ("Bucket", "buckets", "blog-media")):
        named = [{"key": key, "value": value} for key, value in tags(name, "shop", "staging").items()]
        row = {"name": name, "arn": f"arn:aws:lightsail:{home}:{account}:{kind}/{name}", "resourceType": kind, "tags": named}
        builder.put(f"lightsail{plural.capitalize()}", home, "lightsail", **{f"Get{plural.capitalize()}": {plural: [row]}})
    event = {
        "CustomerAwsId": account,
        "CustSubscriptionId": "failovers",
        "SnsTopicArn": f"arn:aws:sns:{home}:{account}:order-events",
        "Status": "active",
        "Enabled": True,
        "EventSubscriptionArn": f"arn:aws:rds:{home}:{account}:es:failovers",
    }
    builder.put("rdsEventSubscriptions", home, "rds", DescribeEventSubscriptions={"EventSubscriptionsList": [event]})
    shared = {
        "DBSnapshotIdentifier": "ledger-before-upgrade",
        "DBSnapshotAttributes": [{"AttributeName": "restore", "AttributeValues": []}],
    }
    attributes = {"DBSnapshotAttributesResult": shared}
    builder.put("rdsDBSnapshotAttributesResults", home, "rds", DescribeDBSnapshotAttributes=attributes)
    summary = {"ComplianceType": "Patch", "ResourceType": "ManagedInstance", "ResourceId": "i-0a1b2c3d4e5f60718", "Status": "COMPLIANT"}
    compliance = {"ResourceComplianceSummaryItems": [summary]}
    builder.put("ssmResourceComplianceSummaryItems", home, "ssm", ListResourceComplianceSummaries=compliance)
    domain = {"DomainName": "harbour.example", "AutoRenew": True, "TransferLock": True}
    builder.put("route53DomainsDomainSummaries", "global", "route53domains", ListDomains={"Domains": [domain]})
