"""Where the account keeps data: buckets, tables, file systems, databases, secrets."""

from isthmus_lab.estate.builder import Builder, pairs, policy, tags


def make_buckets(builder: Builder, regions: tuple[str, ...]) -> None:
    """Buckets in several regions, one with a policy and an access point."""
    for number, (name, team, env) in enumerate((("lake", "data", "prod"), ("invoices", "billing", "prod"), ("assets", "shop", "staging"))):
        region = regions[number % len(regions)]
        s3 = builder.client("s3", region)
        bucket = f"harbour-{name}-{builder.account}"
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": pairs(tags(name, team, env))})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        builder.count("s3Buckets", region)
        builder.count("s3AccessControlPolicies", region)
        if number == 0:
            arn = f"arn:aws:s3:::{bucket}"
            reader = {"AWS": f"arn:aws:iam::{builder.account}:root"}
            s3.put_bucket_policy(Bucket=bucket, Policy=policy({"Principal": reader, "Action": "s3:GetObject", "Resource": f"{arn}/*"}))
            s3control = builder.client("s3control", region)
            s3control.create_access_point(AccountId=builder.account, Name="lake-analytics", Bucket=bucket)
            builder.count("s3BucketPolicies", region)
            builder.count("s3AccessPoints", region)


def make_tables(builder: Builder, region: str) -> None:
    """Three tables."""
    client = builder.client("dynamodb", region)
    for name, team in (("orders", "shop"), ("customers", "shop"), ("ledger", "billing")):
        client.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=pairs(tags(name, team, "prod")),
        )
        builder.count("dynamoDBTables", region)
        builder.count("dynamoDBContinuousBackupsDescriptions", region)


def make_files(builder: Builder, region: str, subnet: str) -> None:
    """A file system with a mount target."""
    client = builder.client("efs", region)
    system = client.create_file_system(CreationToken="reports", Tags=pairs(tags("reports", "data", "prod")))["FileSystemId"]
    client.create_mount_target(FileSystemId=system, SubnetId=subnet)
    builder.count("efsFileSystems", region)
    builder.count("efsMountTargets", region)


def make_secrets(builder: Builder, region: str) -> None:
    """A key, secrets with a resource policy, parameters."""
    builder.client("kms", region).create_key(
        Description="ledger", Tags=[{"TagKey": key, "TagValue": value} for key, value in tags("ledger", "billing", "prod").items()]
    )
    secrets = builder.client("secretsmanager", region)
    reader = {"AWS": f"arn:aws:iam::{builder.account}:root"}
    for name, team in (("orders/database", "shop"), ("billing/api", "billing")):
        arn = secrets.create_secret(Name=name, SecretString="not-a-secret", Tags=pairs(tags(name, team, "prod")))["ARN"]
        allowed = policy({"Principal": reader, "Action": "secretsmanager:GetSecretValue", "Resource": "*"})
        secrets.put_resource_policy(SecretId=arn, ResourcePolicy=allowed)
        builder.count("secretsManagerSecrets", region)
        builder.count("secretsManagerResourcePolicies", region)
    ssm = builder.client("ssm", region)
    for name in ("/harbour/orders/url", "/harbour/orders/limit", "/harbour/billing/currency"):
        ssm.put_parameter(Name=name, Value="set", Type="String", Tags=pairs(tags(name, "shop", "prod")))
        builder.count("ssmParameters", region)
    builder.count("kmsKeys", region)


def make_databases(builder: Builder, region: str) -> None:
    """A database with a snapshot, a cluster, a search domain, an analytics cluster."""
    rds = builder.client("rds", region)
    named = pairs(tags("ledger", "billing", "prod"))
    rds.create_db_instance(
        DBInstanceIdentifier="ledger",
        DBInstanceClass="db.t3.micro",
        Engine="postgres",
        MasterUsername="ledger",
        MasterUserPassword="not-a-secret",
        AllocatedStorage=20,
        Tags=named,
    )
    rds.create_db_snapshot(DBSnapshotIdentifier="ledger-before-upgrade", DBInstanceIdentifier="ledger", Tags=named)
    rds.create_db_cluster(
        DBClusterIdentifier="warehouse",
        Engine="aurora-postgresql",
        MasterUsername="warehouse",
        MasterUserPassword="not-a-secret",
        Tags=pairs(tags("warehouse", "data", "prod")),
    )
    for name in ("rdsDBInstances", "rdsDBSnapshots", "rdsDBClusters"):
        builder.count(name, region)


def make_warehouse(builder: Builder, region: str) -> None:
    """A Redshift cluster with a parameter group, a migration instance, a notebook, a detector, a Beanstalk application."""
    redshift = builder.client("redshift", region)
    named = pairs(tags("warehouse", "data", "prod"))
    redshift.create_cluster_parameter_group(
        ParameterGroupName="harbour", ParameterGroupFamily="redshift-1.0", Description="audit on", Tags=named
    )
    redshift.create_cluster(
        ClusterIdentifier="warehouse", NodeType="ra3.large", MasterUsername="warehouse", MasterUserPassword="Not-a-secret-1", Tags=named
    )
    builder.client("dms", region).create_replication_instance(
        ReplicationInstanceIdentifier="from-datacenter",
        ReplicationInstanceClass="dms.t3.medium",
        Tags=pairs(tags("from-datacenter", "data", "staging")),
    )
    role = f"arn:aws:iam::{builder.account}:role/nightly-build"
    builder.client("sagemaker", region).create_notebook_instance(
        NotebookInstanceName="forecast", InstanceType="ml.t3.medium", RoleArn=role, Tags=pairs(tags("forecast", "data", "staging"))
    )
    builder.client("guardduty", region).create_detector(Enable=True, Tags=tags("detector", "platform", "prod"))
    builder.client("elasticbeanstalk", region).create_application(
        ApplicationName="intranet", Tags=pairs(tags("intranet", "platform", "prod"))
    )
    builder.client("elasticbeanstalk", region).create_environment(ApplicationName="intranet", EnvironmentName="intranet-live")
    for name in (
        "redshiftClusters",
        "redshiftClusterParameterGroups",
        "databaseMigrationServiceReplicationInstances",
        "guardDutyDetectors",
    ):
        builder.count(name, region)
    for name in ("sageMakerNotebookInstanceSummaries", "elasticBeanstalkApplications", "elasticBeanstalkEnvironments"):
        builder.count(name, region)
