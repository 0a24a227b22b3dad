"""What outlives the AWS session that began it. Sessions of people are denied most of it, and the rest where nobody would end it."""

from __future__ import annotations

from typing import Final

CHAINS: Final = (
    "signin:AuthorizeOAuth2Access",
    "signin:CreateOAuth2Token",
    "ssm:GetAccessToken",
    "sts:Assume*",
    "sts:GetDelegatedAccessToken",
    "sts:GetFederationToken",
    "sts:GetSessionToken",
    "sts:GetWebIdentityToken",
)
"""What makes another session of AWS, or a token for one: of STS, of `aws login`, and of just-in-time node access. Tokens of single services
(`sts:GetServiceBearerToken`, CodeArtifact, ECR) are none of these, and live on by themselves."""

SHELLS: Final = ("ec2-instance-connect:SendSSHPublicKey", "ecs:ExecuteCommand", "ssm:ResumeSession", "ssm:StartSession")
"""What opens a session of Session Manager, which `ssm:TerminateSession` ends, or lets somebody into one that carries SSH."""

TUNNELS: Final = (
    "ec2-instance-connect:OpenTunnel",
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
    "ssm-guiconnect:StartConnection",
)
"""What opens a tunnel, a serial console or a desktop, which no call of AWS ends."""
