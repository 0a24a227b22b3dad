"""People, roles and policies of the account, and the profiles that some machines already have."""

from isthmus_lab.estate.builder import Builder, pairs, policy, tags, trusts

MANAGED_PROFILE = "shop-web"
"""Its role carries AmazonSSMManagedInstanceCore: machines with it are managed from the start."""

FOREIGN_PROFILE = "data-batch"
"""Its role may read one bucket only: a machine with it stays out of Systems Manager until someone decides."""

_SSM_CORE = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def make_profiles(builder: Builder) -> None:
    """The two instance profiles."""
    iam = builder.client("iam", "us-east-1")
    for name, team in ((MANAGED_PROFILE, "shop"), (FOREIGN_PROFILE, "data")):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusts("ec2.amazonaws.com"), Tags=pairs(tags(name, team, "prod")))
        iam.create_instance_profile(InstanceProfileName=name)
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.attach_role_policy(RoleName=MANAGED_PROFILE, PolicyArn=_SSM_CORE)
    read = policy({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::harbour-lake/*"})
    iam.put_role_policy(RoleName=FOREIGN_PROFILE, PolicyName="lake", PolicyDocument=read)
    builder.count("iamRoles", "global", 2)


def make_people(builder: Builder) -> None:
    """Roles of services, a managed policy with two versions, users with keys and devices, a password policy."""
    iam = builder.client("iam", "us-east-1")
    for name, service, team in (
        ("orders-function", "lambda", "shop"),
        ("nightly-build", "codebuild", "platform"),
        ("flow-logs", "vpc-flow-logs", "platform"),
    ):
        trust = trusts(f"{service}.amazonaws.com")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=pairs(tags(name, team, "prod")))
        logs = policy({"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"})
        iam.put_role_policy(RoleName=name, PolicyName="logs", PolicyDocument=logs)
    lake = policy({"Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::harbour-lake"})
    arn = iam.create_policy(PolicyName="lake-reader", PolicyDocument=lake)["Policy"]["Arn"]
    wider = policy({"Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "arn:aws:s3:::harbour-lake*"})
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=wider, SetAsDefault=True)
    for user, team in (("ci-publisher", "platform"), ("report-exporter", "data"), ("break-glass", "platform")):
        iam.create_user(UserName=user, Tags=pairs(tags(user, team, "prod")))
        iam.create_access_key(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=lake)
    iam.create_virtual_mfa_device(VirtualMFADeviceName="spare")
    serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="break-glass")["VirtualMFADevice"]["SerialNumber"]
    iam.enable_mfa_device(UserName="break-glass", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321")
    iam.update_account_password_policy(MinimumPasswordLength=14, RequireSymbols=True, MaxPasswordAge=365)
    made = {"iamRoles": 3, "iamManagedPolicies": 1, "iamPolicyVersions": 2, "iamAccessKeyMetaData": 3, "iamAccessKeyLastUseds": 3}
    made |= {"iamUserPolicies": 3, "iamVirtualMFADevices": 2, "iamMFADevices": 1, "iamPasswordPolicies": 1}
    for name, number in made.items():
        builder.count(name, "global", number)
