"""What AWS calls its services, for people who choose among them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SERVICE_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "accessanalyzer": "IAM Access Analyzer",
        "apigateway": "API Gateway",
        "appsync": "AppSync",
        "autoscaling": "EC2 Auto Scaling",
        "cloudformation": "CloudFormation",
        "cloudfront": "CloudFront",
        "cloudtrail": "CloudTrail",
        "cloudwatch": "CloudWatch",
        "codebuild": "CodeBuild",
        "config": "Config",
        "dynamodb": "DynamoDB",
        "ec2": "EC2 and VPC",
        "ecr": "Elastic Container Registry (ECR)",
        "ecs": "Elastic Container Service (ECS)",
        "efs": "Elastic File System (EFS)",
        "eks": "Elastic Kubernetes Service (EKS)",
        "elasticbeanstalk": "Elastic Beanstalk",
        "elasticloadbalancingv2": "Elastic Load Balancing",
        "guardduty": "GuardDuty",
        "iam": "Identity and Access Management (IAM)",
        "kms": "Key Management Service (KMS)",
        "lambda": "Lambda",
        "lightsail": "Lightsail",
        "logs": "CloudWatch Logs",
        "macie": "Macie",
        "networkfirewall": "Network Firewall",
        "opensearch": "OpenSearch Service",
        "organizations": "Organizations",
        "rds": "Relational Database Service (RDS)",
        "redshift": "Redshift",
        "route53": "Route 53",
        "s3": "Simple Storage Service (S3)",
        "sagemaker": "SageMaker",
        "secretsmanager": "Secrets Manager",
        "sns": "Simple Notification Service (SNS)",
        "sqs": "Simple Queue Service (SQS)",
        "ssm": "Systems Manager",
    }
)
"""Titles by service key; the same keys as `service_keys()`."""
