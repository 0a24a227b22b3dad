"""What outlives the AWS session that began it. Sessions of people are denied most of it, and the rest where nobody would end it.

The patterns are short, since a session policy has 2,048 characters; each matches what is meant and nothing harmless.
"""

from __future__ import annotations

from typing import Final

CHAINS: Final = (
    "datazone:GetEnv*Cred*",
    "deadline:Assume*",
    "gamelift:GetComputeAccess",
    "lakeformation:GetTemporary*",
    "s3:GetDataAccess",
    "signin:*OAuth2*",
    "ssm:GetAccessToken",
    "sts:Assume*",
    "sts:GetDelegated*",
    "sts:GetFed*",
    "sts:GetSession*",
    "sts:GetWeb*",
)
"""What makes another session of AWS, or a token for one: of STS, of `aws login`, of just-in-time node access, and of services that hand out
credentials of roles. Tokens and passwords of single services (`sts:GetServiceBearerToken`, CodeArtifact, ECR, databases) are none of these,
and live on by themselves, as does work that is handed to a service's role."""

SHELLS: Final = ("ec2-instance-connect:SendSSH*", "ecs:ExecuteCommand", "ssm:ResumeSession", "ssm:StartSession")
"""What opens a session of Session Manager, which `ssm:TerminateSession` ends, or lets somebody into one that carries SSH."""

TUNNELS: Final = (
    "ec2-instance-connect:OpenTunnel",
    "ec2-instance-connect:SendSerial*",
    "iot:OpenTunnel",
    "lightsail:GetInstanceAccess*",
    "sagemaker:*Presigned*",
    "sagemaker:StartSession",
    "ssm-guiconnect:StartConnection",
)
"""What opens a tunnel, a serial console, a desktop or a notebook, which no call of AWS ends."""
